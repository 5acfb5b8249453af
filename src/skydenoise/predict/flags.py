"""Which pixels are inpainted, and which have little coverage."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from skydenoise.io import Brick

Array = NDArray[Any]


def inpainted_pixels(brick: Brick, reach: int) -> Array:
    """Masked pixels that are covered, or within `reach` pixels of a usable one: (band, y, x) bool."""
    covered = brick.invvar > 0
    inpainted: Array = brick.masked & covered
    for band, masked in enumerate(brick.masked):
        bare = masked & ~covered[band]
        if bare.any():
            inpainted[band] |= within_reach(bare, covered[band] & ~masked, reach)
    return inpainted


def within_reach(chosen: Array, usable: Array, reach: int) -> Array:
    """Chosen pixels with a usable one at most `reach` pixels away along each axis: (y, x) bool.

    Most are settled block by block, by usable ones in blocks that lie within reach of the whole of theirs; a
    filter over all pixels takes a hundredth of a brick's time and is left for the others.
    """
    height, width = chosen.shape
    block = max(1, (reach + 1) // 8)
    padded = np.pad(usable, ((0, -height % block), (0, -width % block)))
    blocks = padded.reshape(padded.shape[0] // block, block, -1, block).any(axis=(1, 3))
    near = ndimage.maximum_filter(blocks, 2 * ((reach + 1 - block) // block) + 1, mode="constant")
    settled: Array = chosen & near.repeat(block, 0).repeat(block, 1)[:height, :width]
    if (settled != chosen).any():
        filtered = ndimage.maximum_filter(usable.astype(np.uint8), 2 * reach + 1, mode="constant")
        settled |= chosen & (filtered > 0)
    return settled


def low_coverage(invvar: Array, fraction: float) -> Array:
    """Pixels with 0 < invvar < fraction * median of invvar > 0, band by band: (band, y, x) bool."""
    low = np.zeros(invvar.shape, dtype=bool)
    for band, values in enumerate(invvar):
        covered = values > 0
        if covered.any():
            low[band] = covered & (values < fraction * _median(values[covered]))
    return low


def _median(values: Array) -> float:
    """What numpy's gives, in a third of the time: it looks for the largest, too, in case it is NaN."""
    middle = values.size // 2
    ordered = np.partition(values, middle)
    upper = float(ordered[middle])
    return upper if values.size % 2 else (float(ordered[:middle].max()) + upper) / 2
