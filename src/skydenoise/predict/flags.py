"""Which pixels are inpainted, and which have little coverage."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from skydenoise.io import Brick

Array = NDArray[Any]


def inpainted_pixels(brick: Brick, reach: int) -> Array:
    """Masked pixels that are covered, or have a usable one within `reach` pixels along each axis.

    (band, y, x) bool.
    """
    covered = brick.invvar > 0
    inpainted: Array = brick.masked & covered
    for band, masked in enumerate(brick.masked):
        bare = masked & ~covered[band]
        if bare.any():
            usable = covered[band] & ~masked
            inpainted[band] |= bare & ndimage.maximum_filter(usable, 2 * reach + 1, mode="constant")
    return inpainted


def low_coverage(invvar: Array, fraction: float) -> Array:
    """Pixels with 0 < invvar < fraction * median of invvar > 0, band by band: (band, y, x) bool."""
    low = np.zeros(invvar.shape, dtype=bool)
    for band, values in enumerate(invvar):
        covered = values > 0
        if covered.any():
            low[band] = covered & (values < fraction * np.median(values[covered]))
    return low
