"""Matched filter for point sources in correlated noise: flux, and its error in the input, at every pixel.

The filter h is the point spread function p divided by the power spectrum of the noise, in Fourier space, and
h.p = 1: of all linear filters it measures the flux of a point source with the least error. On a noisy image
its score, flux over error, is the significance of a point source. A denoised image has little noise left and
is smoothed by a narrow Gaussian alone, normalised alike: its score is the flux that the peak stands for over
the error of the matched filter in the *input*. So all methods are scored on one scale, in the input's sigma.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft
from scipy.ndimage import gaussian_filter
from scipy.signal import oaconvolve

from skydenoise.evaluate.aperture import variance_of_sum
from skydenoise.evaluate.images import Image, Mask
from skydenoise.evaluate.psf import moffat
from skydenoise.evaluate.statistics import Array
from skydenoise.noise import NoiseModel
from skydenoise.noise.correlation import power_spectrum

POWER_FLOOR = 0.1
"""Least power of the noise, of a mean of 1: what a coadd lacks at high frequencies is not to be relied on."""
SMOOTHING = 1.0
"""Standard deviation, pixels, of the Gaussian in which denoised images are searched."""
LEAST_WEIGHT = 0.9
"""Share of the filter's squared weight that must fall on pixels that count, for a position to be searched."""


@dataclass(frozen=True, eq=False)
class PointFilter:
    """Filters that measure the flux of a point source, on one grid, its middle pixel the position.

    psf : (band, 2R+1, 2R+1) float64, point spread functions, each of sum 1
    kernels : (band, 2R+1, 2R+1) float64, weights of the pixels; sum of kernel * psf is 1 in each band
    error : (band,) float64, error of the flux over the noise of a pixel, for noise of one strength
    """

    psf: Array
    kernels: Array
    error: Array


def moffats(fwhm: Sequence[float]) -> Array:
    """One Moffat profile per band, out to 3 times the widest, of sum 1: (band, 2R+1, 2R+1). fwhm : pixels."""
    radius = int(np.ceil(3 * max(fwhm)))
    profiles = np.stack([moffat(width, radius) for width in fwhm])
    return np.asarray(profiles / profiles.sum(axis=(1, 2), keepdims=True))


def matched_filter(psf: Array, noise: NoiseModel) -> PointFilter:
    """The filter of least error for sources of one shape in noise of one correlation per band.

    psf : (band, 2R+1, 2R+1), point spread functions, each of sum 1
    """
    size = psf.shape[1]
    grid = fft.next_fast_len(4 * size, real=True)
    power = np.maximum(power_spectrum(noise.correlation, grid, grid), POWER_FLOOR)
    kernels = fft.irfft2(fft.rfft2(psf, s=(grid, grid)) / power, s=(grid, grid))
    return _normalised(psf, kernels[:, :size, :size], noise)


def smoothing_filter(psf: Array, noise: NoiseModel) -> PointFilter:
    """A Gaussian of `SMOOTHING`, for images with little noise; parameters as above."""
    point = np.zeros(psf.shape[1:])
    point[psf.shape[1] // 2, psf.shape[2] // 2] = 1
    kernel = gaussian_filter(point, SMOOTHING, mode="constant")
    return _normalised(psf, np.broadcast_to(kernel, psf.shape), noise)


def _normalised(psf: Array, kernels: Array, noise: NoiseModel) -> PointFilter:
    kernels = kernels / np.sum(kernels * psf, axis=(1, 2), keepdims=True)
    variance = [variance_of_sum(*pair) for pair in zip(kernels, noise.correlation, strict=True)]
    return PointFilter(psf, kernels, np.sqrt(variance))


def point_flux(image: Image, usable: Mask, point_filter: PointFilter) -> Array:
    """Flux of a point source at every pixel: (band, y, x) float64, nanomaggies.

    image : (band, y, x), nanomaggies
    usable : (band, y, x) bool; other pixels, and those beyond the border, count as zero
    """
    mirrored = point_filter.kernels[:, ::-1, ::-1]  # a filter correlates: a convolution with its mirror image
    planes = zip(np.where(usable, image, 0).astype(np.float64), mirrored, strict=True)
    return np.stack([oaconvolve(plane, kernel, mode="same") for plane, kernel in planes])


def flux_errors(sigma: NDArray, usable: Mask, matched: PointFilter) -> Array:
    """1-sigma error of a point source's flux in the input, nanomaggies: (band, y, x).

    inf where the filter sees too few pixels for a search. Where the noise changes within the filter, or
    pixels are missing, its mean square, weighted by the squared filter, counts: exact for white noise, and
    close where the noise changes over more than its correlation.

    sigma : (band, y, x), rms noise of each pixel of the input, nanomaggies
    usable : (band, y, x) bool
    """
    error = np.full(sigma.shape, np.inf)
    for band, (good, kernel) in enumerate(zip(usable, matched.kernels, strict=True)):
        weight = kernel[::-1, ::-1] ** 2 / np.sum(kernel**2)
        seen = oaconvolve(good.astype(np.float64), weight, mode="same") >= LEAST_WEIGHT
        square = oaconvolve(np.where(good, sigma[band], 0).astype(np.float64) ** 2, weight, mode="same")
        # where no pixel counts the transform leaves rounding errors of either sign
        error[band][seen] = matched.error[band] * np.sqrt(np.maximum(square[seen], 0))
    return error


def combined(score: Array) -> Array:
    """Sum of the bands' scores over the root of their number: (band, ...) -> (...).

    Again of unit variance where the bands are. It is the best combination for a source that is equally
    significant in every band: at the survey's depths one of g - r = 0.8 and r - z = 0.9, a red galaxy.
    """
    return np.asarray(score.sum(axis=0) / np.sqrt(len(score)))
