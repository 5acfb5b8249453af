"""Empty sky: the pixels of an image that hold background and noise alone, and that background.

A source is where the smoothed map stands out. The threshold in a pixel's own band is high and in the other
bands low: noise of other bands is independent, so they can be searched deeply without choosing quiet pixels,
which would make the noise look weaker and less correlated than it is.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from skydenoise.fill import fill

Array = NDArray[Any]

MESH = 64
"""Edge of a cell of the background mesh, pixels: narrower than halos, wider than most sources."""
SMOOTHING = (1.5, 5.0)
"""Standard deviations, pixels, of the Gaussians in which sources are searched: points, and faint wings."""
OWN_THRESHOLD, OTHER_THRESHOLD = 4.0, 3.0
"""Significance in the smoothed map that masks a pixel, in its own band and in the others."""


def empty_sky(image: Array, invvar: Array, usable: Array, masked: Array) -> tuple[Array, Array]:
    """Whiten a block, (image - background) * sqrt(invvar), and find its empty sky.

    image, invvar : (band, y, x) float32, nanomaggies and nanomaggies^-2
    usable, masked : (band, y, x) bool; the surroundings of `masked` (saturated) pixels are no sky either

    Returns the whitened pixels, (band, y, x) float32, 0 where not usable, and a bool array of the same shape.
    """
    root = np.where(usable, np.sqrt(np.maximum(invvar, 0)), 0).astype(np.float32)
    clear = usable & ~np.stack([ndimage.binary_dilation(band, iterations=8) for band in masked])
    sky = clear
    for _ in range(3):
        background = np.stack([mesh_background(*pair) for pair in zip(image, sky, strict=True)])
        y = (image - background) * root
        own, deep = sources(y, usable, (OWN_THRESHOLD, OTHER_THRESHOLD))
        others = [np.delete(deep, index, axis=0).any(axis=0) for index in range(len(deep))]
        sky = clear & ~own & ~np.stack(others)
    return y, sky


def sources(y: Array, usable: Array, thresholds: Sequence[float]) -> Array:
    """Where whitened pixels y (band, y, x) belong to sources: (threshold, band, y, x) bool.

    A source stands out by a threshold times the noise of a smoothed map; its mask grows by 3 (points) or 2
    (wings) standard deviations of the smoothing. The noise of a map is read from its faint side, which has no
    sources.
    """
    found = np.zeros((len(thresholds), *y.shape), dtype=bool)
    for index, (band, good) in enumerate(zip(y, usable, strict=True)):
        if not good.any():
            continue
        for width, growth in zip(SMOOTHING, (3, 2), strict=True):
            smooth = ndimage.gaussian_filter(band, width)
            low, middle = np.percentile(smooth[good], (15.87, 50))
            for mask, threshold in zip(found[:, index], thresholds, strict=True):
                peaks = smooth > middle + threshold * (middle - low)
                mask |= ndimage.maximum_filter(peaks, 2 * round(growth * width) + 1)
    return found


def mesh_background(image: Array, sky: Array) -> Array:
    """Background of image (y, x), float32: medians of sky pixels in cells of a mesh, joined bilinearly."""
    rows, columns = (max(1, round(size / MESH)) for size in image.shape)
    edges_y, edges_x = (
        np.linspace(0, size, n + 1) for size, n in zip(image.shape, (rows, columns), strict=True)
    )
    medians = np.zeros((rows, columns), dtype=np.float32)
    good = np.zeros((rows, columns), dtype=bool)
    for row, column in np.ndindex(rows, columns):
        cell = (
            slice(int(edges_y[row]), int(edges_y[row + 1])),
            slice(int(edges_x[column]), int(edges_x[column + 1])),
        )
        values = image[cell][sky[cell]]
        if values.size > 0.2 * image[cell].size:
            medians[row, column], good[row, column] = np.median(values), True
    medians = fill(medians[None], good[None])[0]
    weights = [_hat(size, edges) for size, edges in zip(image.shape, (edges_y, edges_x), strict=True)]
    return weights[0] @ medians @ weights[1].T


def _hat(size: int, edges: Array) -> Array:
    """Weights (size, cells) of linear interpolation between centres of cells, constant beyond them."""
    centres = (edges[1:] + edges[:-1] - 1) / 2
    unit = np.eye(len(centres))
    return np.stack([np.interp(np.arange(size), centres, row) for row in unit], axis=1).astype(np.float32)
