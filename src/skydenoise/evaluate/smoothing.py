"""The simplest peer: the noisy image smoothed by a Gaussian, of the width that comes closest to the truth."""

from collections.abc import Iterable

import numpy as np
from scipy.ndimage import gaussian_filter

from skydenoise.evaluate.pixels import stretched_error
from skydenoise.evaluate.scene import Image, Mask, Scene
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


def best_widths(scenes: Iterable[Scene], noise: NoiseModel) -> tuple[float, ...]:
    """Width out of `WIDTHS` with the least stretched error over all scenes, for each band; pixels."""
    squares = np.zeros((len(noise.bands), len(WIDTHS)))
    for scene in scenes:
        for band, sigma in enumerate(noise.sigma_sky):
            measured, truth = scene.measured[band], scene.truth[band]
            for trial, width in enumerate(WIDTHS):
                smoothed = smooth(scene.brick.image[band], scene.brick.usable[band], width)
                squares[band, trial] += np.sum(
                    stretched_error(smoothed[measured], truth[measured], sigma) ** 2, dtype=np.float64
                )
    return tuple(WIDTHS[best] for best in squares.argmin(axis=1))


def smooth_bands(scene: Scene, widths: tuple[float, ...]) -> Image:
    """The noisy brick with each band smoothed by its own width: (band, y, x), nanomaggies."""
    return np.stack(
        [
            smooth(image, usable, width)
            for image, usable, width in zip(scene.brick.image, scene.brick.usable, widths, strict=True)
        ]
    )
