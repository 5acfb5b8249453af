"""Seams at the borders of tiles.

A seam is a step along a whole border, of either sign. The mean difference m of the pixels across one border,
between two corners of the grid, is the step there plus what sky and noise add; the same mean at places inside
of tiles is what they add alone. The difference of the two mean squares is the step's own:

    amplitude^2 = mean over borders of m^2 - mean over places inside of m^2

with the pixels that went into each m for weights. Two kinds of difference are taken: of adjacent pixels
(`step`), and across the whole strip that two tiles share (`offset`), over which blending spreads it.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

from skydenoise.evaluate.images import Image, Mask
from skydenoise.evaluate.residual.whiteness import faint_pixels
from skydenoise.evaluate.statistics import Array, jackknife, joined
from skydenoise.evaluate.tables import declared_table
from skydenoise.io import Brick
from skydenoise.noise import NoiseModel
from skydenoise.predict.tiles import TileGrid

LEAST_SHARE = 0.25
"""Share of a border that must be measured sky for it to count."""
KINDS = ("step", "offset")

Sums = Mapping[tuple[str, str], Array]
"""By band and kind: (5, stretches), as `seam_sums` gives them."""
Pairs = NDArray[np.intp]
"""(n, 2), pixels before and after a border along an axis."""


def border_pairs(origins: Sequence[int], tile: int, kind: str) -> tuple[Pairs, Pairs]:
    """Pixels on both sides of each border between tiles along an axis, and such pairs inside of tiles.

    origins : first pixels of the tiles along the axis
    tile : their edge
    kind : step: adjacent pixels, at the first and after the last pixel of a tile; offset: the last pixel that
        is one tile's alone and the first that is the next one's alone

    Returns borders, and pairs as far apart within what is one tile's alone; there may be none.
    """
    starts = np.asarray(origins)
    ends = starts + tile
    own_first = np.concatenate([starts[:1], ends[:-1]])
    own_last = np.concatenate([starts[1:], ends[-1:]]) - 1
    if kind == "step":
        after = np.unique(np.concatenate([starts[1:], ends[:-1]]))
        border, distance = np.stack([after - 1, after], axis=1), 1
    else:
        border = np.stack([own_last[:-1], own_first[1:]], axis=1)
        distance = int(np.ptp(border, axis=1).max(initial=1))
    inside = np.concatenate(
        [np.arange(low + 1, high - distance) for low, high in zip(own_first, own_last, strict=True)]
    )
    return border, np.stack([inside, inside + distance], axis=1)


def seam_sums(brick: Brick, image: Image, noise: NoiseModel, grid: TileGrid) -> dict[tuple[str, str], Array]:
    """Sums of which `seam_table` makes its measures, by band and kind.

    image : (band, y, x), nanomaggies, denoised on the tiles of `grid`

    Returns (5, stretches): borders; their pixels, and sum of pixels * m^2; both again for places inside of
    tiles. A stretch is a row or a column of tiles.
    """
    sky, sigma = brick.usable & faint_pixels(image, noise), noise.sigma(brick.invvar)
    result = {}
    for band, name in enumerate(noise.bands):
        normal = np.divide(image[band], sigma[band], out=np.zeros_like(sigma[band]), where=sky[band])
        for kind in KINDS:
            along, down = (border_pairs(edges, grid.tile, kind) for edges in (grid.columns, grid.rows))
            sums = [
                _stretch_sums(normal, sky[band], along, grid.rows),
                _stretch_sums(normal.T, sky[band].T, down, grid.columns),
            ]
            result[name, kind] = np.concatenate(sums, axis=1)
    return result


def _stretch_sums(normal: NDArray, sky: Mask, pairs: Sequence[Pairs], stretches: Sequence[int]) -> Array:
    """(5, stretches) of borders that run along the first axis, which is cut where its tiles begin."""
    length = np.diff([*stretches, normal.shape[0]])[:, None]
    rows: list[Array] = []
    for before, after in (pair.T for pair in pairs):
        both = sky[:, before] & sky[:, after]
        difference = np.where(both, normal[:, after].astype(np.float64) - normal[:, before], 0)
        pixels = np.add.reduceat(both.astype(np.float64), stretches, axis=0)
        total = np.add.reduceat(difference, stretches, axis=0)
        counts = pixels >= LEAST_SHARE * length
        squares = np.divide(total**2, pixels, out=np.zeros_like(total), where=counts)
        rows += [counts.sum(axis=1), (pixels * counts).sum(axis=1), squares.sum(axis=1)]
    return np.delete(rows, 3, axis=0).astype(np.float64)  # how many places inside does not matter


def seam_table(parts: Sequence[Sums]) -> Table:
    """Steps at borders of tiles by band and kind, over all bricks.

    parts : sums of each
    """
    rows = []
    for (band, kind), sums in joined(parts).items():
        sums = sums[:, (sums[1] > 0) & (sums[3] > 0)]
        square, error = jackknife(lambda s: s[2] / s[1] - s[4] / s[3], sums)
        row = {"band": band, "kind": kind, "borders": int(sums[0].sum())}
        row |= {"excess": square, "excess_err": error, "amplitude": np.sign(square) * np.sqrt(abs(square))}
        # of an excess that is larger by one error: of use where there is no step, too
        row["amplitude_err"] = np.sqrt(abs(square) + error) - np.sqrt(abs(square))
        rows.append(row)
    return declared_table("seams", rows)
