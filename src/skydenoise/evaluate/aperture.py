"""Sums of pixels in circles, and their noise."""

from collections.abc import Iterable

import numpy as np
import sep
from numpy.typing import NDArray
from photutils.aperture import CircularAperture
from scipy.signal import fftconvolve

from skydenoise.evaluate.statistics import Array
from skydenoise.io import Brick
from skydenoise.noise import NoiseModel

RADIUS = 5.0
"""Radius of the aperture, pixels."""
ZERO_POINT = 22.5
"""AB magnitude of one nanomaggy."""


def aperture_sums(images: Iterable[NDArray], x: Array, y: Array) -> Array:
    """Sums in circles of `RADIUS` around n 0-based positions, pixels cut exactly: (band, n) float64.

    images : (band, y, x)
    """
    planes = (np.ascontiguousarray(image, dtype=np.float64) for image in images)
    return np.stack([np.asarray(sep.sum_circle(plane, x, y, RADIUS, subpix=0)[0]) for plane in planes])


def inside_by(reach: float, x: NDArray, y: NDArray, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Positions (n,) that lie `reach` pixels or more inside the borders of an image (y, x): bool."""
    height, width = shape
    return (np.minimum(x, y) >= reach) & (x <= width - 1 - reach) & (y <= height - 1 - reach)


def aperture_noise(brick: Brick, noise: NoiseModel, x: Array, y: Array) -> Array:
    """Rms noise of the sums in a brick, (band, n), nanomaggies."""
    variance = aperture_sums(noise.sigma(brick.invvar) ** 2, x, y) / (np.pi * RADIUS**2)
    circle = circle_weights(RADIUS)
    spread = np.array([variance_of_sum(circle, correlation) for correlation in noise.correlation])
    return np.sqrt(variance * spread[:, None])


def circle_weights(radius: float) -> Array:
    """Share of each pixel that lies in a circle around the middle one: (2R+1, 2R+1)."""
    return np.asarray(CircularAperture((0.0, 0.0), radius).to_mask(method="exact").data)


def variance_of_sum(weights: Array, correlation: Array) -> float:
    """Variance of a weighted sum over noise of unit variance: w' C w for the covariance C.

    weights : (2R+1, 2R+1)
    correlation : (2L+1, 2L+1), of two pixels against their distance
    """
    pairs = fftconvolve(weights, weights[::-1, ::-1])
    reach, lag = pairs.shape[0] // 2, correlation.shape[0] // 2
    both = min(reach, lag)
    near, far = (slice(edge - both, edge + both + 1) for edge in (reach, lag))
    return float(np.sum(pairs[near, near] * correlation[far, far]))
