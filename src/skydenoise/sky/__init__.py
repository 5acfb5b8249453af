"""The sky of a run as one picture: multi-order tiles (IVOA HiPS 1.0) before and after, and the page that shows them.

`tiles` knows where tiles lie and how they are stored, `bricks` which bricks lie in which tile, `pyramid` makes
tiles of bricks and of tiles, `found` lists what is detected, `survey` describes the whole, `viewer` shows it.
"""
