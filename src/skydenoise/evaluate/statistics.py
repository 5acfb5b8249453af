"""Pooled statistics with uncertainties: sums per image block and the delete-one jackknife over blocks."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
BLOCK = 64
"""Edge of a block in pixels: far beyond the correlation of the noise, and as large as most sources."""

_DRAWN_AT_A_TIME = 1_000_000


def block_index(shape: tuple[int, int], size: int = BLOCK) -> NDArray[np.intp]:
    """Number of the block that each pixel belongs to: (y, x), 0 to blocks - 1, row by row."""
    rows, columns = np.arange(shape[0]) // size, np.arange(shape[1]) // size
    return rows[:, None] * (columns[-1] + 1) + columns[None, :]


def block_sums(
    index: NDArray[np.intp], where: NDArray[np.bool_], values: Sequence[NDArray], blocks: int | None = None
) -> Array:
    """Sums per block over the pixels `where`: (1 + len(values), blocks), the first row counts the pixels.

    index : (y, x) as `block_index` gives it, or a part of it
    where : (y, x)
    values : each (y, x)
    blocks : their number, if `index` is a part
    """
    chosen = index[where]
    blocks = int(index[-1, -1]) + 1 if blocks is None else blocks
    count = np.bincount(chosen, minlength=blocks)
    sums = [np.bincount(chosen, weights=value[where], minlength=blocks) for value in values]
    return np.stack([count.astype(np.float64), *sums])


def jackknife(statistic: Callable[[Array], Array], sums: Array) -> tuple[float, float]:
    """A statistic of pooled sums and its standard error by the delete-one jackknife over blocks.

    The error is sqrt((n - 1) / n * sum (theta_i - mean theta)**2), theta_i the statistic without block i
    (Efron 1982, "The Jackknife, the Bootstrap and Other Resampling Plans", equation 3.5).

    Parameters
    ----------
    statistic
        maps sums (k, ...) to values (...); must work elementwise on the trailing axis
    sums
        (k, blocks); the first row counts what was summed, blocks that count nothing are left out

    Returns
    -------
    value, error : NaN where nothing was summed; the error also where there is one block only
    """
    sums = sums[:, sums[0] > 0]
    blocks = sums.shape[1]
    if blocks == 0:
        return float("nan"), float("nan")
    total = sums.sum(axis=1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        value = float(statistic(total)[0])
        if blocks == 1:
            return value, float("nan")
        without = statistic(total - sums)
    spread = np.sum((without - without.mean()) ** 2)
    return value, float(np.sqrt((blocks - 1) / blocks * spread))


def mean(sums: Array) -> Array:
    """Mean from (count, sum)."""
    return sums[1] / sums[0]


def rms(sums: Array) -> Array:
    """Root mean square from (count, sum of squares)."""
    return np.sqrt(np.maximum(sums[1], 0) / sums[0])  # the sum without a block may round below 0


def bootstrap_error(
    statistic: Callable[[Array], Array],
    sample: Array,
    generator: np.random.Generator,
    resamples: int = 300,
) -> Array:
    """Standard errors of statistics of a sample, by drawing its members again with replacement.

    Parameters
    ----------
    statistic
        maps (k, resamples, n) to (m, resamples), along the last axis
    sample
        (k, n): k quantities of each of n members, which stay together
    generator
        of the random draws
    resamples
        how often to draw

    Returns
    -------
    (m,), NaN if n < 2 or where a statistic is not finite
    """
    size = sample.shape[1]
    if size < 2:
        return np.full(statistic(sample[:, None, :]).shape[0], np.nan)
    at_a_time = max(1, min(resamples, _DRAWN_AT_A_TIME // size))
    drawn = [
        statistic(sample[:, generator.integers(0, size, (min(at_a_time, resamples - start), size))])
        for start in range(0, resamples, at_a_time)
    ]
    with np.errstate(invalid="ignore"):
        return np.concatenate(drawn, axis=1).std(axis=1, ddof=1)


def robust_scatter(sample: Array) -> Array:
    """1.4826 times the median absolute deviation along the last axis: deaf to outliers.

    It is the standard deviation of a Gaussian sample. Infinite values may be fewer than half, else NaN.
    """
    with np.errstate(invalid="ignore"):
        middle = np.median(sample, axis=-1, keepdims=True)
        return np.asarray(1.4826 * np.median(np.abs(sample - middle), axis=-1))
