"""Ratios of the fluxes of sources, in bins of magnitude and signal-to-noise ratio: bias, scatter, colours."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

import numpy as np

from skydenoise.evaluate.statistics import Array, bootstrap_row, robust_scatter
from skydenoise.evaluate.tables import Field

Bin = tuple[str, float, float]
"""What is binned, lower and upper edge."""


def bin_fields(binned_by: str) -> tuple[Field, ...]:
    """Columns that name a bin; `binned_by` describes the first."""
    return (
        Field("binned_by", binned_by, dtype=str),
        Field("low", "lower edge of the bin"),
        Field("high", "upper edge of the bin"),
        Field("sources", "sources in the bin", "", int),
    )


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
    """The columns of `bin_fields` and the members of each bin that has any.

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


COLOUR_MEASURES = ("bias_mag", "median_mag", "scatter_mag")


def colour_statistics(ratio: Array) -> Array:
    """From F / F_true in two bands, (2, ..., n), `COLOUR_MEASURES` of the colour, (3, ...)."""
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
            measured = bootstrap_row(COLOUR_MEASURES, colour_statistics, inside, generator)
            rows.append({"colour": "-".join(names), **columns, **measured})
    return rows
