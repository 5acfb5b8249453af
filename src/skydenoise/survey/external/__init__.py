"""Images of other surveys, brought into the survey's layout (`survey.source: files`).

`bricks` imports the bricks of a table (`skydenoise.image_table`), `band` reads one of their bands: `plane` is
the image in nanomaggies, `noise` finds its noise and what cannot be light. `align` puts all on one grid.
"""
