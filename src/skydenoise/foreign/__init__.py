"""Images of other surveys, brought into the survey's layout (source: files).

`rows` reads the list, `table` imports, `sourceimage` one image, `align` puts bands on one grid.
"""

from skydenoise.foreign.rows import ForeignImage, read_table
from skydenoise.foreign.table import import_brick, import_bricks

__all__ = ["ForeignImage", "import_brick", "import_bricks", "read_table"]
