"""The starlet: isotropic undecimated wavelet transform with a B3 spline, "a trous".

Starck, Fadili & Murtagh 2007 (IEEE Trans. Image Processing 16, 297); Starck & Murtagh 2006, "Astronomical
Image and Data Analysis", appendix A. Smoothing by (1, 4, 6, 4, 1)/16 along y and x with holes of 2**j pixels
gives ever smoother images c_0 (the image), c_1, ...; the detail plane of scale j is w_j = c_j - c_(j+1).
The image is the sum of its planes. Borders are mirrored with the edge pixel repeated (d c b a | a b c d),
as often as needed, so that an image may be smaller than the reach of the filter, and so that smoothing keeps
the total flux: every detail plane sums to zero.
"""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np

_STRIP_PIXELS = 1 << 17
"""Pixels smoothed at a time: a strip and its result stay in a core's cache."""


def reach(scales: int) -> int:
    """Pixels between a pixel and the farthest one that its planes of `scales` scales depend on."""
    return 2 * (2**scales - 1)


def planes(image: np.ndarray, scales: int, threads: int | None = None) -> Iterator[np.ndarray]:
    """Yield the detail planes of `image` fine to coarse, then the smooth plane.

    The caller may change what it gets. At most three arrays of the image's size are alive.

    image : (y, x), floating, finite; not changed
    scales : number of detail planes; at least 1
    threads : threads to work with; None for as many as the process may use

    Raises ValueError: the image is not 2-D or is empty, or scales is below 1
    """
    if image.ndim != 2 or image.size == 0 or scales < 1:
        raise ValueError(f"{scales} scales of an image of shape {image.shape}")
    fine = image
    for scale in range(scales):
        coarse = smooth(fine, 2**scale, threads)
        detail = np.subtract(fine, coarse, out=None if fine is image else fine)
        fine = coarse
        yield detail
    yield fine


def transform(image: np.ndarray, scales: int, threads: int | None = None) -> np.ndarray:
    """All planes at once.

    image : (y, x) or (band, y, x), floating, finite
    scales, threads : see `planes`

    Returns (scales + 1, y, x) or (scales + 1, band, y, x) in the image's dtype: detail planes fine to coarse,
    then the smooth plane. Their sum over the first axis is the image.
    """
    if image.ndim == 2:
        return np.stack(list(planes(image, scales, threads)))
    return np.stack([transform(band, scales, threads) for band in image], axis=1)


def smooth(image: np.ndarray, step: int, threads: int | None = None) -> np.ndarray:
    """Smooth `image` (y, x) by the B3 spline with taps `step` pixels apart; returns a new array."""
    height, width = image.shape
    result = np.empty_like(image, order="C")
    rows, columns = _mirrored(height, 2 * step), _mirrored(width, 2 * step)
    left, right = columns[: 2 * step], columns[2 * step + width :]
    strip = max(1, _STRIP_PIXELS // width)

    def work(start: int) -> None:
        stop = min(start + strip, height)

        def shifted(shift: int) -> np.ndarray:
            first, last = start + shift * step, stop + shift * step
            if first >= 0 and last <= height:
                return image[first:last]
            return image[rows[first + 2 * step : last + 2 * step]]

        wide = np.empty((stop - start, width + 4 * step), image.dtype)
        middle = wide[:, 2 * step : 2 * step + width]
        scratch = np.empty_like(middle)
        _spline(shifted, middle, scratch)
        wide[:, : 2 * step] = middle[:, left]
        wide[:, 2 * step + width :] = middle[:, right]
        _spline(lambda shift: wide[:, (2 + shift) * step :][:, :width], result[start:stop], scratch)

    with ThreadPoolExecutor(threads or _usable_cores()) as pool:
        list(pool.map(work, range(0, height, strip)))
    return result


def _spline(shifted: Callable[[int], np.ndarray], out: np.ndarray, scratch: np.ndarray) -> None:
    """Write sum of (1, 4, 6, 4, 1)/16 * shifted(-2 ... 2) to `out`, all in place."""
    np.add(shifted(-1), shifted(1), out=out)
    out *= 4
    out += np.multiply(shifted(0), 6, out=scratch)
    out += shifted(-2)
    out += shifted(2)
    out *= 1 / 16


def _mirrored(length: int, margin: int) -> np.ndarray:
    """Indices -margin ... length + margin - 1 folded into 0 ... length - 1 by mirrors at both edges."""
    folded = np.arange(-margin, length + margin) % (2 * length)
    return np.minimum(folded, 2 * length - 1 - folded)


def _usable_cores() -> int:
    """Cores this process may run on: fewer than the machine has, inside a Slurm job."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def response(scales: int) -> list[np.ndarray]:
    """Impulse responses of the detail planes.

    Returns one (2 R + 1, 2 R + 1) float64 array per scale j, R = reach(j + 1), centred, summing to 0
    """
    filters = []
    for scale in range(scales):
        edge = reach(scale + 1)
        impulse = np.zeros((2 * edge + 1, 2 * edge + 1))
        impulse[edge, edge] = 1
        *_, detail, _ = planes(impulse, scale + 1, threads=1)
        filters.append(detail)
    return filters


def noise_levels(correlation: np.ndarray, scales: int) -> np.ndarray:
    """Rms of the starlet coefficients of unit-variance noise with a known correlation function.

    level_j**2 = sum over lags d of correlation(d) * (autocorrelation of the filter psi_j)(d).
    White noise gives 0.891, 0.201, 0.086, 0.041, 0.020 (Starck & Murtagh 2006, table of appendix A).

    correlation : (2 L + 1, 2 L + 1), 1 at the centre, taken as 0 beyond lag L; no unit
    scales : number of detail planes

    Returns (scales,) float64

    Raises ValueError: the shape is not square and odd, or no noise has such a correlation (its power at the
        frequencies of a scale is not positive)
    """
    size = correlation.shape[0]
    if correlation.shape != (size, size) or size % 2 == 0:
        raise ValueError(f"a correlation function of shape {correlation.shape} is not square and odd")
    levels = np.empty(scales)
    for scale, psi in enumerate(response(scales)):
        grid = psi.shape[0] + size  # no wrap at any lag of the correlation
        power = np.abs(np.fft.fft2(psi, (grid, grid))) ** 2
        autocorrelation = np.fft.ifft2(power).real
        lags = np.arange(size) - size // 2
        variance = np.sum(correlation * autocorrelation[np.ix_(lags, lags)])
        if not variance > 0:
            raise ValueError(f"the correlation function gives variance {variance:.3g} at scale {scale}")
        levels[scale] = np.sqrt(variance)
    return levels
