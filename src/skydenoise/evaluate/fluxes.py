"""Measured over true fluxes of sources, in bins of magnitude or signal-to-noise ratio, and their colours."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

import numpy as np

from skydenoise.evaluate.statistics import BOOTSTRAP, Array, bootstrap_row, robust_scatter
from skydenoise.evaluate.tables import METHOD, Field, with_errors

Bin = tuple[str, float, float]
"""What is binned, lower and upper edge."""

BIN_FIELDS = (
    Field("binned_by", "magnitude or signal-to-noise ratio; _above: all above the lower edge", dtype=str),
    Field("low", "lower edge of the bin"),
    Field("high", "upper edge of the bin"),
    Field("sources", "sources in the bin", "", int),
)
RATIO_FIELDS = with_errors(
    BOOTSTRAP,
    Field("bias_percent", "mean of F / F_true, minus 1", "%"),
    Field("scatter_percent", "robust scatter of F / F_true", "%"),
    Field("bias_mag", "-2.5 log10 of the mean of F / F_true: positive is too faint", "mag"),
)
COLOUR_FIELDS = (
    METHOD,
    Field("colour", "difference of the magnitudes in two bands", dtype=str),
    *BIN_FIELDS,
    *with_errors(
        BOOTSTRAP,
        Field("bias_mag", "difference of the bands' -2.5 log10 of the mean of F / F_true", "mag"),
        Field("median_mag", "median of the error of the colour", "mag"),
        Field("scatter_mag", "robust scatter of the error of the colour", "mag"),
    ),
)
FLUX_DEFINITIONS = {
    "robust scatter": "1.4826 times the median absolute deviation",
    "errors": "standard deviation over bootstrap samples of the sources",
}


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
    """The columns of `BIN_FIELDS` and the members of each bin that has any.

    sample : (k, n), what is known of n sources
    values : (n,), by which they are binned
    """
    for name, low, high in bins:
        inside = sample[:, (values >= low) & (values < high)]
        if inside.shape[1]:
            yield {"binned_by": name, "low": low, "high": high, "sources": inside.shape[1]}, inside


def magnitudes(ratio: Array) -> Array:
    """-2.5 log10 of flux ratios; fainter than anything (+inf) where the flux is not positive."""
    with np.errstate(divide="ignore"):
        return -2.5 * np.log10(np.maximum(ratio, 0))


def ratio_statistics(ratio: Array, average: Array) -> list[Array]:
    """Measures of `RATIO_FIELDS` from F / F_true, (..., n), and its average."""
    return [100 * (average - 1), 100 * robust_scatter(ratio), magnitudes(average)]


def _colour_statistics(ratio: Array) -> Array:
    """From F / F_true in two bands, (2, ..., n), the measures of `COLOUR_FIELDS`, (3, ...)."""
    blue, red = ratio
    with np.errstate(invalid="ignore"):
        error = magnitudes(blue) - magnitudes(red)
        bias = magnitudes(blue.mean(axis=-1)) - magnitudes(red.mean(axis=-1))
    return np.stack([bias, np.median(error, axis=-1), robust_scatter(error)])


def colour_rows(
    ratio: Array, snr: Array, bands: Sequence[str], bins: Sequence[Bin], generator: np.random.Generator
) -> list[dict[str, object]]:
    """Measures of the colours of neighbouring bands, by bins of the lower of both signal-to-noise ratios.

    ratio : (band, n), F / F_true of n sources; NaN where one does not count
    snr : (band, n)
    """
    rows = []
    for blue, names in enumerate(pairwise(bands)):
        pair = ratio[blue : blue + 2]
        good = np.isfinite(pair).all(axis=0)
        lower = snr[blue : blue + 2, good].min(axis=0)
        for columns, inside in binned(pair[:, good], lower, bins):
            measures = ("bias_mag", "median_mag", "scatter_mag")
            row = bootstrap_row(measures, _colour_statistics, inside, generator)
            rows.append({"colour": "-".join(names), **columns, **row})
    return rows
