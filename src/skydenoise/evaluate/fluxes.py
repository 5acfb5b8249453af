"""Measured over true fluxes of sources, in bins of magnitude or signal-to-noise ratio."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise

import numpy as np

from skydenoise.evaluate.statistics import Array, Statistic, robust_scatter

Bin = tuple[str, float, float]
"""What is binned, lower and upper edge."""


def average(sample: Array) -> Array:
    """Mean of the first row over that of the second: of F / F_true and 1, or of F and F_true."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(sample[0].mean(axis=-1) / sample[1].mean(axis=-1))


def magnitudes(ratio: Array) -> Array:
    """-2.5 log10 of flux ratios; fainter than anything (+inf) where the flux is not positive."""
    with np.errstate(divide="ignore"):
        return -2.5 * np.log10(np.maximum(ratio, 0))


def _scatter(sample: Array) -> Array:
    with np.errstate(divide="ignore", invalid="ignore"):
        return 100 * robust_scatter(sample[0] / sample[1])


RATIO_MEASURES: Mapping[str, Statistic] = {
    "bias_percent": lambda sample: 100 * (average(sample) - 1),
    "scatter_percent": _scatter,
    "bias_mag": lambda sample: magnitudes(average(sample)),
}
"""Of samples whose first rows are those of `average`."""


def snr_bins(name: str, edges: Sequence[float], above: Sequence[float]) -> list[Bin]:
    """Bins between edges of signal-to-noise ratio, then `<name>_above`: all above each of some ratios."""
    return [(name, *edge) for edge in pairwise(edges)] + [(f"{name}_above", low, np.inf) for low in above]


def magnitude_edges(magnitude: Array, step: float) -> Array:
    """Edges of bins `step` wide from the brightest source to the faintest; of none, one edge and no bin."""
    if not magnitude.size:
        return np.zeros(1)
    first, last = np.floor(magnitude.min() / step), np.floor(magnitude.max() / step)
    return np.asarray(step * np.arange(first, last + 2))


def binned(sample: Array, values: Array, bins: Iterable[Bin]) -> Iterator[tuple[dict[str, object], Array]]:
    """Columns that tell the bin, and the members, of each bin that has any.

    sample : (k, n), what is known of n sources
    values : (n,), by which they are binned
    """
    for name, low, high in bins:
        inside = sample[:, (values >= low) & (values < high)]
        if inside.shape[1]:
            yield {"binned_by": name, "low": low, "high": high, "sources": inside.shape[1]}, inside
