"""Pooled statistics with uncertainties: jackknife over sums per image block, bootstrap over sources."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Array = NDArray[np.float64]
Statistic = Callable[[Array], Array]
T = TypeVar("T")

BLOCK = 64
"""Edge of a block in pixels: far beyond the correlation of the noise, and as large as most sources."""
RESAMPLES, AT_A_TIME = 300, 1_000_000
"""Samples of a bootstrap, and how many values of them are held at a time."""


def joined(parts: Sequence[T]) -> T:
    """Parts of one kind side by side, such as those of several bricks; of none, an empty mapping.

    Arrays are joined along the last axis and numbers added, in mappings and dataclasses, too.
    """

    def join(values: list[Any]) -> Any:
        return np.concatenate(values, axis=-1) if np.ndim(values[0]) else sum(values)

    return _each_array(join, parts) if parts else cast(T, {})


def selected(part: T, chosen: NDArray) -> T:
    """Members of a mapping or dataclass of arrays. chosen : mask or indices along the last axes."""
    return _each_array(lambda values: values[0][..., chosen], [part])


def _each_array(function: Callable[[list[Any]], Any], parts: Sequence[Any]) -> Any:
    first = parts[0]
    if isinstance(first, Mapping):
        return {key: _each_array(function, [part[key] for part in parts]) for key in first}
    if is_dataclass(first) and not isinstance(first, type):
        arrays = {each.name: [getattr(part, each.name) for part in parts] for each in fields(first)}
        return replace(first, **{name: _each_array(function, values) for name, values in arrays.items()})
    return function(list(parts))


class Blocks:
    """Blocks of `size` x `size` pixels that an image of a shape (y, x) is cut into.

    index : (y, x), number of the block that each pixel belongs to: 0 to count - 1, row by row
    """

    def __init__(self, shape: tuple[int, int], size: int = BLOCK) -> None:
        rows, columns = np.arange(shape[0]) // size, np.arange(shape[1]) // size
        self.index = rows[:, None] * (columns[-1] + 1) + columns
        self.count = int(self.index[-1, -1]) + 1

    def sums(self, where: NDArray[np.bool_], *values: NDArray, part: Any = ...) -> Array:
        """Sums per block over the pixels `where`: (1 + len(values), blocks), the first row counts the pixels.

        where, values : of the shape of index[part]
        """
        chosen = self.index[part][where]
        weights = [None, *(value[where] for value in values)]
        return np.stack([np.bincount(chosen, weight, self.count).astype(np.float64) for weight in weights])


def jackknife(statistic: Statistic, sums: Array) -> tuple[float, float]:
    """A statistic of pooled sums and its standard error by the delete-one jackknife over blocks.

    The error is sqrt((n - 1) / n * sum (theta_i - mean theta)**2), theta_i the statistic without block i
    (Efron 1982, "The Jackknife, the Bootstrap and Other Resampling Plans", equation 3.5).

    statistic : maps sums (k, ...) to values (...); must work elementwise on the trailing axis
    sums : (k, blocks); the first row counts what was summed, blocks that count nothing are left out

    Returns value and error: NaN where nothing was summed; the error also where there is one block only.
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
    return value, float(np.sqrt((blocks - 1) * without.var()))


def jackknife_row(sums: Array | Mapping[str, Array], measures: Mapping[str, Statistic]) -> dict[str, float]:
    """Columns `<name>` and `<name>_err` of measures of the same sums, or each of sums by its name."""
    row = {}
    for name, statistic in measures.items():
        own = sums[name] if isinstance(sums, Mapping) else sums
        row[name], row[f"{name}_err"] = jackknife(statistic, own)
    return row


def mean(sums: Array) -> Array:
    """Mean from (count, sum)."""
    return sums[1] / sums[0]


def rms(sums: Array) -> Array:
    """Root mean square from (count, sum of squares)."""
    return np.sqrt(np.maximum(sums[1], 0) / sums[0])  # the sum without a block may round below 0


def bootstrap_error(statistic: Statistic, sample: Array, generator: np.random.Generator) -> Array:
    """Standard errors of statistics of a sample, by drawing its members again with replacement.

    statistic : maps (k, resamples, n) to (m, resamples), along the last axis
    sample : (k, n): k quantities of each of n members, which stay together

    Returns (m,), NaN if n < 2 or where a statistic is not finite.
    """
    size = sample.shape[1]
    if size < 2:
        return np.full(statistic(sample[:, None, :]).shape[0], np.nan)
    most = max(1, AT_A_TIME // size)
    drawn = [
        statistic(sample[:, generator.integers(0, size, (min(most, RESAMPLES - start), size))])
        for start in range(0, RESAMPLES, most)
    ]
    with np.errstate(invalid="ignore"):
        return np.concatenate(drawn, axis=1).std(axis=1, ddof=1)


def bootstrap_row(
    measures: Mapping[str, Statistic], sample: Array, generator: np.random.Generator
) -> dict[str, float]:
    """Columns `<name>` and `<name>_err` of measures of a sample (k, n); NaN where a value is not finite."""

    def every(drawn: Array) -> Array:
        return np.stack([measure(drawn) for measure in measures.values()])

    values = errors = np.full(len(measures), np.nan)
    if sample.shape[1]:
        values, errors = every(sample), bootstrap_error(every, sample, generator)
    values, errors = np.where(np.isfinite([values, errors]), [values, errors], np.nan)
    return dict(zip(measures, values.tolist(), strict=True)) | {
        f"{name}_err": error for name, error in zip(measures, errors.tolist(), strict=True)
    }


def robust_scatter(sample: Array) -> Array:
    """1.4826 times the median absolute deviation along the last axis: deaf to outliers.

    It is the standard deviation of a Gaussian sample. Infinite values may be fewer than half, else NaN.
    """
    with np.errstate(invalid="ignore"):
        return np.asarray(stats.median_abs_deviation(sample, axis=-1, scale="normal"))
