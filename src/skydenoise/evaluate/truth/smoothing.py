"""The simplest peer: the noisy image smoothed by a Gaussian, of the width that comes closest to the truth."""

from collections.abc import Iterable

import numpy as np
from scipy.ndimage import gaussian_filter

from skydenoise.evaluate.images import Image, Mask
from skydenoise.evaluate.truth.known import KnownBrick
from skydenoise.evaluate.truth.pixels import stretched_error
from skydenoise.io import Brick
from skydenoise.noise import NoiseModel

WIDTHS = (0.5, 0.75, 1.0, 1.5, 2.0, 3.0)
"""Standard deviations that are tried, pixels."""


def smooth(image: Image, usable: Mask, width: float) -> Image:
    """Smooth one band (y, x) by a Gaussian of standard deviation `width` pixels over its usable pixels.

    Normalised convolution (Knutsson & Westin 1993): unusable pixels neither give nor dilute flux. Borders
    are mirrored. Where no usable pixel is in reach (4 widths) the result is 0.
    """
    weight = gaussian_filter(usable.astype(np.float32), width)
    flux = gaussian_filter(np.where(usable, image, np.float32(0)), width)
    return np.divide(flux, weight, out=np.zeros_like(flux), where=weight > 1e-3)


def best_widths(bricks: Iterable[KnownBrick], noise: NoiseModel) -> tuple[float, ...]:
    """Width out of `WIDTHS` with the least stretched error over all bricks, for each band; pixels."""
    squares = np.zeros((len(noise.bands), len(WIDTHS)))
    for known in bricks:
        for band, sigma in enumerate(noise.sigma_sky):
            measured, truth = known.measured[band], known.truth[band]
            for trial, width in enumerate(WIDTHS):
                smoothed = smooth(known.brick.image[band], known.brick.usable[band], width)
                error = stretched_error(smoothed[measured], truth[measured], sigma)
                squares[band, trial] += np.sum(error**2, dtype=np.float64)
    return tuple(WIDTHS[best] for best in squares.argmin(axis=1))


def smooth_bands(brick: Brick, widths: tuple[float, ...]) -> Image:
    """The noisy brick with each band smoothed by its own width: (band, y, x), nanomaggies."""
    planes = zip(brick.image, brick.usable, widths, strict=True)
    return np.stack([smooth(*plane) for plane in planes])
