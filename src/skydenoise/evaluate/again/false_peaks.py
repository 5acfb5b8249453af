"""What a method makes of pure noise: the peaks that somebody could take for sources."""

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from skydenoise.evaluate.scene import Method
from skydenoise.evaluate.search.falsealarm import noise_brick
from skydenoise.evaluate.statistics import Array
from skydenoise.io import Brick
from skydenoise.noise import NoiseModel

RATE = 20.0
"""False peaks per million pixels that a threshold of detection lets through: one on an arcminute squared."""

PEAK = 5
"""Edge of the square in which a peak is the highest pixel."""


def false_peaks(
    cutout: Brick, method: Method, noise: NoiseModel, generator: np.random.Generator
) -> tuple[list[Array], Array]:
    """Peaks in what a method makes of a cutout that holds noise alone, drawn with the measured covariance.

    Returns
    -------
    heights : in each band, (peaks,), in units of the pixel's noise in the input
    pixels : (band,), how many pixels were searched
    """
    sigma = noise.sigma(cutout.invvar)
    image = method(noise_brick(cutout, noise, generator))
    highest = ndimage.maximum_filter(image, (1, PEAK, PEAK))
    usable = cutout.usable
    heights = [
        (plane[peak] / level[peak]).astype(np.float64)
        for plane, level, peak in zip(image, sigma, (image == highest) & usable & (image > 0), strict=True)
    ]
    return heights, np.count_nonzero(usable, axis=(1, 2)).astype(np.float64)


def thresholds(parts: Sequence[tuple[Sequence[Array], Array]], rate: float = RATE) -> tuple[float, ...]:
    """Height in each band above which pure noise has `rate` peaks per million pixels, in units of the noise.

    parts : of each cutout, from `false_peaks`; where there are fewer peaks than that the threshold is 0
    """
    result = []
    for band in range(len(parts[0][0])):
        heights = np.sort(np.concatenate([part[0][band] for part in parts]))[::-1]
        allowed = int(rate * sum(part[1][band] for part in parts) / 1e6)
        result.append(float(heights[allowed]) if allowed < heights.size else 0.0)
    return tuple(result)
