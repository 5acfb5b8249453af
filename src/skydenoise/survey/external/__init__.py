"""Images of other surveys, brought into the survey's layout (`survey.source: files`).

`bricks` imports the bricks of a table (`skydenoise.image_table`), `band` reads one of their bands: `plane` is
the image, `units` makes it nanomaggies, `noise` finds its noise and what cannot be light. `align` puts all
bands on one grid.
"""
