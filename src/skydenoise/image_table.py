"""The table of images of `source: files`: one row per band of a brick, or per stack of frames."""

import re
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, fields
from itertools import zip_longest
from pathlib import Path
from typing import Any

from skydenoise import paths
from skydenoise.errors import SettingsError
from skydenoise.survey.bricks_table import read_cells

STACK_KINDS = {
    ".tif": "tiff",
    ".tiff": "tiff",
    ".npy": "pixels",
    ".mrc": "mrc",
    ".mrcs": "mrc",
    ".h5": "hdf5",
    ".hdf5": "hdf5",
    ".fits.gz": "fits_cube",
    ".fits.fz": "fits_cube",
    ".fits": "fits_cube",
}
"""End of the name of a file that can hold a stack of frames -> module of `stacks` that knows its kind."""

SKIES = re.compile(r".+\.(fits|fit|fts)(\.(fz|gz|bz2|z))?", re.IGNORECASE)
"""Names of files with images of the sky."""


@dataclass(frozen=True)
class ListedImage:
    """One row of the table: one band of one brick, or a stack of frames.

    brick, band : names, harmless in a file's name; a stack has no band
    image : FITS file; or the file of a stack
    hdu : index of its HDU; None takes the first with an image
    plane : index (from 0) in a cube (plane, y, x); None for a plain image
    units : "" takes BUNIT; a unit's name; a number, the nanomaggies of one unit; "native" keeps the numbers
    invvar, invvar_hdu : inverse variance in the image's units to the power of -2; None makes a constant one
        of the image's own background noise
    mask, mask_hdu : image that is not 0 at saturated or bad pixels; None for no such file
    axes, dataset : of a stack, as in `stacks.pixels.StackFile`; a FITS file with one of them is a stack
    """

    brick: str
    band: str
    image: Path
    hdu: int | None = None
    plane: int | None = None
    units: str = ""
    invvar: Path | None = None
    invvar_hdu: int | None = None
    mask: Path | None = None
    mask_hdu: int | None = None
    axes: str = ""
    dataset: str = ""

    def __str__(self) -> str:
        return f"brick {self.brick}, band {self.band}"

    @property
    def is_stack(self) -> bool:
        """Whether the row names a stack of frames, not an image of the sky."""
        suffix = stack_suffix(self.image) or ".fits"
        return bool(self.axes or self.dataset) or not suffix.startswith(".fits")


def stack_suffix(path: Path) -> str:
    """End of the name of a file that can hold a stack, in lower case; empty for any other."""
    return next((end for end in STACK_KINDS if re.fullmatch(f".+{re.escape(end)}", path.name.lower())), "")


def read_table(path: Path) -> list[ListedImage]:
    """Read a tab-separated table with the columns brick, image, band (but for stacks) and any of the others.

    Paths are relative to the table's folder; empty cells are as good as no column; lines that start with #
    are comments.

    Raises SettingsError for no such table or no text, an unknown or missing column, a wrong name or number, a
    file of no known kind, a band listed twice.
    """
    known = {field.name for field in fields(ListedImage)}
    try:
        (_, columns), *lines = read_cells(path) or [(0, [])]
    except SettingsError as error:
        raise SettingsError(f"survey.files: {error}") from None
    if unknown := sorted(set(columns) - known):
        raise SettingsError(f"{path}: unknown column {', '.join(unknown)}; known: {', '.join(sorted(known))}")
    if missing := sorted({"brick", "image"} - set(columns)):
        raise SettingsError(f"{path}: column {', '.join(missing)} is missing")
    rows = (dict(zip_longest(columns, cells[: len(columns)], fillvalue="")) for _, cells in lines)
    images = [_row(path, row) for row in rows]
    for (brick, band), times in Counter((image.brick, image.band) for image in images).items():
        if times > 1:
            twice = f"brick {brick} has band {band}" if band else f"stack {brick} is listed"
            raise SettingsError(f"{path}: {twice} twice")
    return images


def files_of(images: Iterable[ListedImage], bricks: Collection[str]) -> list[Path]:
    """Files that decide on these bricks and are there; a brick with a missing one is skipped in its step."""
    wanted = set(bricks)
    files = (path for row in images if row.brick in wanted for path in (row.image, row.invvar, row.mask))
    return [path for path in dict.fromkeys(files) if path is not None and path.is_file()]


def versions_of(files: Iterable[Path]) -> list[str]:
    """Size in bytes and time of writing in ns of each: a file may be exchanged for an older one."""
    return [f"{found.st_size} {found.st_mtime_ns}" for found in (path.stat() for path in files)]


def _row(table: Path, cells: dict[str, str]) -> ListedImage:
    brick = paths.check_brick_name(cells["brick"], survey=False)

    def file(column: str) -> Path | None:
        return table.parent / cells[column] if cells.get(column) else None

    def number(column: str) -> int | None:
        text = cells.get(column, "")
        if text and not re.fullmatch(r"[0-9]{1,6}", text):
            raise SettingsError(f"{table}: brick {brick}: {column} {text!r} is not a number from 0 on")
        return int(text) if text else None

    image = file("image")
    if image is None:
        raise SettingsError(f"{table}: brick {brick}: the image's path is missing")
    told: dict[str, Any] = {column: cells.get(column, "") for column in ("band", "units", "axes", "dataset")}
    told |= {column: file(column) for column in ("invvar", "mask")}
    told |= {column: number(column) for column in ("hdu", "plane", "invvar_hdu", "mask_hdu")}
    found = ListedImage(brick=brick, image=image, **told)
    if not found.is_stack:
        _check_sky(table, found)
    return found


def _check_sky(table: Path, row: ListedImage) -> None:
    """Refuse a row that names neither a stack nor an image of the sky."""
    where = f"{table}: brick {row.brick}: {row.image}"
    if not SKIES.fullmatch(row.image.name):
        raise SettingsError(
            f"{where} is of no known kind; known are images of the sky (FITS) and stacks of frames "
            f"({', '.join(STACK_KINDS)})"
        )
    if not row.band:
        raise SettingsError(
            f"{where}: column band is missing or empty; or, if this is a stack of frames, column axes "
            "(such as nyx)"
        )
    paths.check_band_name(row.band)
