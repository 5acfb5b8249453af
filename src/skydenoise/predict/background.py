"""Light on large scales: the smooth plane of the residual, which is put back whole.

A network that has learnt skies near zero takes a level, a gradient or diffuse light for noise and wipes it.
The mean of the residual over thousands of pixels has next to no noise, so it needs no test of significance.
"""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from skydenoise import starlet
from skydenoise.fill import fill

CELL = 14
"""Pixels along the edge of the cells that are smoothed, by B3 splines with steps of 1 and 2 cells: together a
kernel of 31 pixels rms, about that of the smooth plane of a starlet transform of 6 scales."""
BRIGHT = 3.0
"""Network's image, in units of the noise, above which a pixel belongs to a source, which `recover` mends."""
CLIP = 4.0
"""Residual, in units of the noise, beyond which it counts as this much."""
STRIP_CELLS = 2
STRIP_ROWS = STRIP_CELLS * CELL
"""Rows worked on at a time: they stay in the caches of a CPU."""


def put_light_back(image: np.ndarray, network: np.ndarray, sigma: np.ndarray, usable: np.ndarray) -> None:
    """Add the smooth plane of (image - network) to the network's image, in place.

    It is weighted by the inverse variance of the pixels, and smoothed twice, the second time what the first
    has left (twicing: Tukey 1977, "Exploratory data analysis", section 16), which keeps clouds of 200 pixels
    to 3 per cent. Its noise is about 0.012 of a pixel's.

    image, network : (band, y, x) float32, nanomaggies
    sigma : (band, y, x) float32, noise of a pixel of `image`, nanomaggies, above 0 where usable
    usable : (band, y, x) bool; other pixels do not count. A band without one stays as it is
    """
    for band, *others in zip(network, image, sigma, usable, strict=True):
        for rows, light in _smooth_plane(others[0], band, *others[1:]):
            band[rows] += light


def _smooth_plane(
    image: np.ndarray, network: np.ndarray, sigma: np.ndarray, usable: np.ndarray
) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield rows of a band, and the plane there, when all of the band, (y, x), has been read."""
    height, width = image.shape
    parts = [
        _weighted(*(each[rows] for each in (image, network, sigma, usable)))
        for rows in (slice(start, start + STRIP_ROWS) for start in range(0, height, STRIP_ROWS))
    ]
    total, share = torch.cat(parts, dim=1)
    if not (largest := float(share.max())) > 0:
        return
    total, share = total / largest, share / largest
    smooth = _smooth(total, share)
    smooth += _smooth(total - share * smooth, share)
    for first in range(0, len(smooth), STRIP_CELLS):
        before = min(first, 1)  # a cell on either side, for those between
        cells = smooth[None, None, first - before : first + STRIP_CELLS + 1]
        fine = functional.interpolate(cells, scale_factor=CELL, mode="bilinear")[0, 0, before * CELL :]
        rows = slice(first * CELL, min(height, first * CELL + STRIP_ROWS))
        yield rows, fine[: rows.stop - rows.start, :width].numpy()


def _weighted(image: np.ndarray, network: np.ndarray, sigma: np.ndarray, usable: np.ndarray) -> Tensor:
    """Mean in cells of weight x residual, and of the weight, of some rows: (2, cells, cells)."""
    limit = CLIP * sigma
    residual = np.clip(image - network, -limit, limit)
    counts = usable & (network < BRIGHT * sigma)
    weight = np.divide(1, sigma**2, out=np.zeros_like(sigma), where=counts)
    return torch.stack([_cells(torch.from_numpy(each)) for each in (residual * weight, weight)])


def _cells(values: Tensor) -> Tensor:
    """Mean of (y, x) in cells of CELL x CELL pixels, zeros beyond the border."""
    height, width = values.shape
    padded = functional.pad(values, (0, -width % CELL, 0, -height % CELL))
    return functional.avg_pool2d(padded[None], CELL)[0]


def _smooth(total: Tensor, share: Tensor) -> Tensor:
    """Weighted mean around each cell, of `total` (weight x value) and `share` (weight); gaps are filled."""
    for step in (1, 2):
        total, share = starlet.smooth(total, step), starlet.smooth(share, step)
    known = share > 1e-3 * share.max()
    mean = torch.where(known, total / share.clamp(min=1e-30), 0)
    return torch.from_numpy(fill(mean.numpy()[None], known.numpy()[None])[0])
