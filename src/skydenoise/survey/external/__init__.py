"""Images of other surveys, brought into the survey's layout (`survey.source: files`).

`bricks` imports the bricks of a table (`skydenoise.image_table`), `band` reads their bands onto one grid:
`plane` is an image in nanomaggies, `noise` finds its noise and what cannot be light.
"""
