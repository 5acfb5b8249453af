"""The noise of an image that comes without any, and the pixels whose values cannot be light."""

import warnings

import numpy as np
from astropy.nddata import block_reduce, block_replicate
from astropy.stats import mad_std, sigma_clip

from skydenoise.survey.external.plane import ImageError

BLOCK = 16
"""Edge in pixels of the blocks whose means tell sky from light."""

LAG = 3
"""Pixels between those that are compared: the noise of resampled images is correlated over two."""

CLIPPED = 0.9866
"""Standard deviation of a normal distribution of width 1 that is clipped at 3."""

BELOW, REPEATED_BELOW, ABOVE = 100.0, 10.0, 1e7
"""How far a value without meaning lies from the median, in the spread of the pixels: below it; below it if
REPEATS pixels or more hold the lowest value; above it, where the brightest of stars do not come."""

REPEATS = 10


def without_outliers(pixels: np.ndarray) -> tuple[np.ndarray, str]:
    """The same pixels (y, x), NaN where a value cannot be light: -999 and the like, or a pixel of 1e30.

    And how many these are, their most frequent value, and where the first is, from 0; empty if none is.
    """
    kept = pixels
    while (strange := _strange(kept)).any():
        kept = np.where(strange, np.nan, kept)
    found = np.isfinite(pixels) & ~np.isfinite(kept)
    if not found.any():
        return pixels, ""
    values, times = np.unique(pixels[found], return_counts=True)
    y, x = np.argwhere(found)[0]
    most = times.argmax()
    what = f"{found.sum()} pixels, {times[most]} of them {values[most]:g}"
    return kept, f"{what}, the first at x {x}, y {y}"


def _strange(pixels: np.ndarray) -> np.ndarray:
    finite = np.isfinite(pixels)
    lowest = pixels == np.min(pixels, where=finite, initial=np.inf)
    others = pixels[finite & ~lowest]
    if others.size == 0 or not (spread := mad_std(others)) > 0:
        return np.zeros(pixels.shape, bool)
    middle = np.median(others)
    strange = (pixels < middle - BELOW * spread) | (pixels > middle + ABOVE * spread)
    if np.count_nonzero(lowest) >= REPEATS:
        strange |= lowest & (pixels < middle - REPEATED_BELOW * spread)
    return strange


def measure_noise(pixels: np.ndarray) -> tuple[float, float]:
    """Noise per pixel of an image (y, x), NaN where there is no data; and how much of it looks like sky.

    In the darker half of the image, each pixel is compared with the mean of two others, LAG pixels to either
    side: light that is smooth on that scale cancels. The noise is their standard deviation, clipped at 3
    sigma. Real noise also rises with the light of sources and varies with exposure, which this does not see.

    Returns the noise, and the share of neighbouring blocks whose means agree to 5 of their errors. Raises
    ImageError if there is no noise.
    """
    block = min(BLOCK, max(1, min(pixels.shape) // 4))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # blocks without data
        means = block_reduce(pixels, block, np.nanmean)
    if not np.isfinite(means).any():
        raise ImageError("no valid pixel (all are 0 or NaN)")
    dark = block_replicate(means <= np.nanmedian(means), block, conserve_sum=False)
    dark = np.where(dark, pixels[: dark.shape[0], : dark.shape[1]], np.nan)
    differences = np.concatenate([_second_differences(dark), _second_differences(dark.T)])
    noise = 0.0
    if differences.size:
        kept = sigma_clip(differences, sigma=3, stdfunc=mad_std, masked=False)
        noise = float(kept.std()) / (CLIPPED * 1.5**0.5)
    if not noise > 0:
        raise ImageError("no noise can be measured in the image", "give the column invvar")
    steps = np.concatenate([np.diff(means, axis=axis).ravel() for axis in (0, 1)])
    steps = np.abs(steps[np.isfinite(steps)])
    sky = float(np.mean(steps < 5 * 2**0.5 * noise / block)) if steps.size else 0.0
    return noise, sky


def _second_differences(rows: np.ndarray) -> np.ndarray:
    """Each pixel minus the mean of those LAG to its left and right, where all three have data; (n,)."""
    middle, left, right = rows[:, LAG:-LAG], rows[:, : -2 * LAG], rows[:, 2 * LAG :]
    differences = middle - (left + right) / 2
    return differences[np.isfinite(differences)]
