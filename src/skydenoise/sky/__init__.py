"""The sky as one picture: multi-order tiles (IVOA HiPS 1.0) before and after, and the page that shows them.

`tiles` knows where tiles lie and how they are stored, `bricks` which bricks lie in which tile, `sheet` what
a brick gives to tiles, `pyramid` which tiles are out of date, `found` what is detected. `chunk` brings bricks
in, `survey` describes the whole for the page, `viewer` fetches what shows it.
"""
