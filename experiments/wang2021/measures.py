"""How far denoised frames are from the truth, by numbers that the paper or its readers use."""

from __future__ import annotations

from dataclasses import dataclass
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


@dataclass(frozen=True)
class Mean:
    """A mean over frames and its standard error, nan for a single frame."""

    value: float
    error: float

    def __str__(self) -> str:
        return f"{self.value:.3f} +- {self.error:.3f}"


def mean_of(values: Array) -> Mean:
    """Mean of one value per frame, (n,), and its standard error."""
    count = len(values)
    error = float(np.std(values, ddof=1) / np.sqrt(count)) if count > 1 else float("nan")
    return Mean(float(np.mean(values)), error)


def psnr(images: Array, truth: Array, peak: float) -> Array:
    """Peak signal-to-noise ratio of each frame, dB, (n,); infinite for equal frames.

    images, truth : (n, channel, y, x)
    peak : range of the truth
    """
    difference = np.asarray(images, dtype=np.float64) - truth
    with np.errstate(divide="ignore"):
        return np.asarray(10 * np.log10(peak**2 / np.square(difference).mean(axis=(1, 2, 3))))


def ssim(images: Array, truth: Array, peak: float) -> Array:
    """Mean structural similarity of each frame, (n,), 1 for equal frames (Wang et al. 2004).

    images, truth : (n, channel, y, x), at least 11 pixels along y and x
    peak : range of the truth
    """
    return np.array([_ssim_map(image, true, peak).mean() for image, true in zip(images, truth, strict=True)])


def _ssim_map(image: Array, truth: Array, peak: float) -> Array:
    """Similarity of each pixel whose window lies inside: (channel, y - 10, x - 10)."""

    def window(values: Array) -> Array:
        smooth = ndimage.gaussian_filter(
            values, (0, SSIM_SIGMA, SSIM_SIGMA), radius=(0, SSIM_REACH, SSIM_REACH)
        )
        return np.asarray(smooth[:, SSIM_REACH:-SSIM_REACH, SSIM_REACH:-SSIM_REACH])

    a, b = np.asarray(image, dtype=np.float64) / peak, np.asarray(truth, dtype=np.float64) / peak
    mean_a, mean_b = window(a), window(b)
    variance_a, variance_b = window(a * a) - mean_a**2, window(b * b) - mean_b**2
    covariance = window(a * b) - mean_a * mean_b
    luminance = (2 * mean_a * mean_b + SSIM_C1) / (mean_a**2 + mean_b**2 + SSIM_C1)
    return luminance * (2 * covariance + SSIM_C2) / (variance_a + variance_b + SSIM_C2)


def contrast(images: Array, inside: Array, outside: Array) -> Array:
    """Mean inside minus mean outside of each frame, (n,), in the unit of the images.

    images : (n, channel, y, x)
    inside, outside : bool of the same shape; nan for a frame without such pixels
    """
    with np.errstate(invalid="ignore"):
        means = [
            np.where(where, images, 0).sum(axis=(1, 2, 3)) / np.count_nonzero(where, axis=(1, 2, 3))
            for where in (inside, outside)
        ]
    return np.asarray(means[0] - means[1])


def median_where(images: Array, where: Array) -> Array:
    """Median of the pixels that count in each frame, (n,); nan for a frame without any.

    images : (n, channel, y, x)
    where : bool of the same shape
    """
    chosen = [image[here] for image, here in zip(images, where, strict=True)]
    return np.array([np.median(values) if values.size else np.nan for values in chosen])


def overlap(images: Array, truth: Array, threshold: float = 0.5) -> Array:
    """Intersection over union of the pixels above a threshold in image and truth, of each frame, (n,).

    images, truth : (n, channel, y, x); some pixel of every truth is above the threshold
    """
    above, true = np.asarray(images) > threshold, np.asarray(truth) > threshold
    both = np.count_nonzero(above & true, axis=(1, 2, 3))
    return np.asarray(both / np.count_nonzero(above | true, axis=(1, 2, 3)))


def best_scaled(images: Array, truth: Array) -> Array:
    """Frames a + b * images with the a and b, one for all frames, that come closest to the truth.

    A loss that finds the mean of a noise that is not zero-mean gets offset and contrast wrong alone; this is
    what is left of it for one who knows the noise.
    """
    slope, offset = np.polyfit(np.ravel(images).astype(np.float64), np.ravel(truth), 1)
    return np.asarray(offset + slope * images)


def nearest(images: Array, templates: Array) -> Array:
    """Number of the template that each image is most like, by the correlation of their pixels: (n,) int.

    Neither brightness nor contrast of an image counts.

    images : (n, channel, y, x)
    templates : (m, channel, y, x); none of one brightness all over
    """
    return np.asarray(np.argmax(_standardised(images) @ _standardised(templates).T, axis=1))


def _standardised(images: Array) -> Array:
    """Rows of mean 0 and sum of squares 1, (n, pixels) float32; zeros for a flat image."""
    rows = np.reshape(images, (len(images), -1)).astype(np.float32)
    rows -= rows.mean(axis=1, keepdims=True)
    norm = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(np.divide(rows, norm, out=np.zeros_like(rows), where=norm > 0))
