"""What a brick gives to the picture: its pixels before and after, and what is flagged."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from astropy.wcs import WCS
from numpy.typing import NDArray

from skydenoise.io import Brick, Denoised, flag_bit
from skydenoise.io.wcs import celestial_wcs
from skydenoise.sky.tiles import WIDTH, pixels_of_tile

KINDS = ("input", "denoised", "sigma")
MARKS = {
    "RECOVERED": (60, 200, 90),
    "LOWCOV": (240, 200, 40),
    "NODATA": (150, 150, 150),
    "INPAINTED": (240, 60, 60),
}
"""Colours of the flags; of a pixel with several, in one band or in different ones, the last."""


@dataclass(frozen=True, eq=False)
class Sheet:
    """What is shown of a brick.

    images : by kind, (band, y, x) float32, nanomaggies in a pixel of the brick; NaN where there are no data
    marks : (y, x) uint8, 0 or 1 + the number of the flag in MARKS
    wcs : its place on the sky
    """

    images: Mapping[str, NDArray[np.float32]]
    marks: NDArray[np.uint8]
    wcs: WCS


def sheet_of(brick: Brick, denoised: Denoised) -> Sheet:
    """The sheet of a brick."""
    bands, hole = len(brick.bands), np.float32(np.nan)
    images = {
        "input": np.where(brick.invvar > 0, brick.image, hole),
        "denoised": np.where(_flagged(denoised, "NODATA", bands), hole, denoised.image),
        "sigma": denoised.sigma,
    }
    marks = np.zeros(brick.shape, np.uint8)
    for number, kind in enumerate(MARKS, start=1):
        marks[_flagged(denoised, kind, bands).any(axis=0)] = number
    return Sheet(images, marks, celestial_wcs(brick.headers[0]))


def _flagged(denoised: Denoised, kind: str, bands: int) -> NDArray[np.bool_]:
    """Pixels of each band with a flag of one kind: (band, y, x)."""
    return np.stack([(denoised.flags >> flag_bit(kind, band)) & 1 == 1 for band in range(bands)])


def tile_of(
    order: int, tile: int, sheets: Sequence[Sheet]
) -> tuple[dict[str, NDArray[np.float32]], NDArray[np.uint8]]:
    """Images and marks of a tile: a pixel is that of the brick in which its middle lies, not interpolated.

    Where bricks overlap, the one whose border is farther away counts; one without data never does.
    """
    bands = len(sheets[0].images["input"])
    images = {kind: np.full((bands, WIDTH, WIDTH), np.nan, np.float32) for kind in KINDS}
    marks, depth = np.zeros((WIDTH, WIDTH), np.uint8), np.zeros((WIDTH, WIDTH))
    for sheet in sheets:
        x, y = pixels_of_tile(order, tile, sheet.wcs)
        height, width = sheet.marks.shape
        inside = np.minimum.reduce([x + 0.5, width - 0.5 - x, y + 0.5, height - 0.5 - y])
        taken = inside > depth  # False for NaN
        pixels = np.rint(y[taken]).astype(int), np.rint(x[taken]).astype(int)
        seen = np.isfinite(sheet.images["denoised"][:, *pixels]).any(axis=0)
        taken[taken] = seen
        pixels = pixels[0][seen], pixels[1][seen]
        depth[taken] = inside[taken]
        marks[taken] = sheet.marks[pixels]
        for kind, image in images.items():
            image[:, taken] = sheet.images[kind][:, *pixels]
    return images, marks
