"""Light on large scales: the smooth plane of the residual, which is put back whole.

A network that has learnt skies near zero takes a level, a gradient or diffuse light for noise and wipes it.
The mean of the residual over thousands of pixels has next to no noise, so it needs no test of significance.
"""

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


def smooth_residual(
    image: np.ndarray, network: np.ndarray, sigma: np.ndarray, usable: np.ndarray
) -> np.ndarray:
    """Smooth plane of (image - network), weighted by the inverse variance of its pixels.

    Smoothed twice, the second time what the first has left (twicing: Tukey 1977, "Exploratory data analysis",
    section 16), which keeps clouds of 200 pixels to 3 per cent. Its noise is about 0.012 of a pixel's.

    image, network : (band, y, x) float32, nanomaggies
    sigma : (band, y, x) float32, noise of a pixel of `image`, nanomaggies, above 0 where usable
    usable : (band, y, x) bool; other pixels do not count

    Returns (band, y, x) float32, nanomaggies; 0 in a band without a usable pixel.
    """
    planes = [_plane(*each) for each in zip(image, network, sigma, usable, strict=True)]
    return np.stack(planes)


def _plane(image: np.ndarray, network: np.ndarray, sigma: np.ndarray, usable: np.ndarray) -> np.ndarray:
    """`smooth_residual` of one band, (y, x)."""
    counts = usable & (network < BRIGHT * sigma)
    if not counts.any():
        return np.zeros_like(image)
    limit = CLIP * sigma
    residual = torch.from_numpy(np.clip(image - network, -limit, limit))
    weight = torch.from_numpy(np.divide(1, sigma**2, out=np.zeros_like(sigma), where=counts))
    weight /= weight.max()
    share = _cells(weight)
    total = _cells(residual * weight)
    smooth = _smooth(total, share)
    smooth = smooth + _smooth(total - share * smooth, share)
    height, width = image.shape
    fine = functional.interpolate(smooth[None, None], scale_factor=CELL, mode="bilinear")[0, 0]
    return np.ascontiguousarray(fine[:height, :width].numpy())


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
