"""Pictures of bricks and plots of tables.

`bricks` draws a brick before and after, in the colours of `colour` and at the places of `zones`; `plots` the
tables of an evaluation and the curve of the training. All are made of the panels of `panels`.
"""
