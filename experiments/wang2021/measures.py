"""How far denoised frames are from the truth, by numbers that the paper or its readers use.

Images and truth are (n, y, x), a measure is one number per frame, (n,).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Array = NDArray[Any]

SSIM_SIGMA = 1.5
"""Of the Gaussian window, pixels (Wang, Bovik, Sheikh & Simoncelli 2004)."""
SSIM_REACH = 5
"""Half of the window's edge of 11 pixels (same paper)."""
SSIM_C1, SSIM_C2 = 0.01**2, 0.03**2
"""Constants K1 and K2, squared (same paper), in units of the squared range."""


def psnr(images: Array, truth: Array, peak: float) -> Array:
    """Peak signal-to-noise ratio, dB; infinite for equal frames.

    peak : range of the truth
    """
    difference = np.asarray(images, dtype=np.float64) - truth
    with np.errstate(divide="ignore"):
        return np.asarray(10 * np.log10(peak**2 / np.square(difference).mean(axis=(1, 2))))


def ssim(images: Array, truth: Array, peak: float) -> Array:
    """Mean structural similarity, 1 for equal frames (Wang et al. 2004); at least 11 pixels along y and x.

    peak : range of the truth
    """
    return np.array([_ssim_map(image, true, peak).mean() for image, true in zip(images, truth, strict=True)])


def _ssim_map(image: Array, truth: Array, peak: float) -> Array:
    """Similarity of each pixel whose window lies inside: (y - 10, x - 10)."""

    def window(values: Array) -> Array:
        smooth = ndimage.gaussian_filter(values, SSIM_SIGMA, radius=SSIM_REACH)
        return np.asarray(smooth[SSIM_REACH:-SSIM_REACH, SSIM_REACH:-SSIM_REACH])

    a, b = np.asarray(image, dtype=np.float64) / peak, np.asarray(truth, dtype=np.float64) / peak
    mean_a, mean_b = window(a), window(b)
    variance_a, variance_b = window(a * a) - mean_a**2, window(b * b) - mean_b**2
    covariance = window(a * b) - mean_a * mean_b
    luminance = (2 * mean_a * mean_b + SSIM_C1) / (mean_a**2 + mean_b**2 + SSIM_C1)
    return luminance * (2 * covariance + SSIM_C2) / (variance_a + variance_b + SSIM_C2)


def contrast(images: Array, inside: Array, outside: Array) -> Array:
    """Mean inside minus mean outside, in the unit of the images; nan for a frame without such pixels.

    inside, outside : bool, (n, y, x)
    """
    with np.errstate(invalid="ignore"):
        means = [
            np.where(where, images, 0).sum(axis=(1, 2)) / np.count_nonzero(where, axis=(1, 2))
            for where in (inside, outside)
        ]
    return np.asarray(means[0] - means[1])


def median_where(images: Array, where: Array) -> Array:
    """Median of the pixels that count; nan for a frame without any.

    where : bool, (n, y, x)
    """
    chosen = [image[here] for image, here in zip(images, where, strict=True)]
    return np.array([np.median(values) if values.size else np.nan for values in chosen])


def overlap(images: Array, truth: Array, threshold: float = 0.5) -> Array:
    """Intersection over union of the pixels above a threshold in image and truth; some of the truth are."""
    above, true = np.asarray(images) > threshold, np.asarray(truth) > threshold
    both = np.count_nonzero(above & true, axis=(1, 2))
    return np.asarray(both / np.count_nonzero(above | true, axis=(1, 2)))


def best_scaled(images: Array, truth: Array) -> Array:
    """Frames a + b * images with the a and b, one for all frames, that come closest to the truth.

    A loss that finds the mean of a noise that is not zero-mean gets offset and contrast wrong alone; this is
    what is left of it for one who knows the noise. Any equal shapes.
    """
    slope, offset = np.polyfit(np.ravel(images).astype(np.float64), np.ravel(truth), 1)
    return np.asarray(offset + slope * images)


def nearest(images: Array, templates: Array) -> Array:
    """Number of the template (m, y, x) that each image is most like, by the correlation of their pixels.

    Neither brightness nor contrast of an image counts. No template is of one brightness all over.
    """
    return np.asarray(np.argmax(_standardised(images) @ _standardised(templates).T, axis=1))


def _standardised(images: Array) -> Array:
    """Rows of mean 0 and sum of squares 1, (n, pixels) float32; zeros for a flat image."""
    rows = np.reshape(images, (len(images), -1)).astype(np.float32)
    rows -= rows.mean(axis=1, keepdims=True)
    norm = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(np.divide(rows, norm, out=np.zeros_like(rows), where=norm > 0))
