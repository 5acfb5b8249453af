"""Images of other surveys, brought into the survey's layout (source: files).

`table` reads the list and imports, `sourceimage` one image, `align` puts bands on one grid.
"""

from skydenoise.foreign.table import import_brick, import_bricks, read_table

__all__ = ["import_brick", "import_bricks", "read_table"]
