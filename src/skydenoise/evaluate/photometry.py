"""Photometric bias and scatter, of fluxes by magnitude and signal-to-noise ratio, and of colours."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

from skydenoise.evaluate.apertures import CONTAMINATION, NEIGHBOUR_FLUX, RADIUS, Apertures
from skydenoise.evaluate.statistics import Array, bootstrap_error, robust_scatter
from skydenoise.evaluate.tables import Field, make_table

SNR_EDGES = (5.0, 10.0, 20.0, 50.0, 100.0, np.inf)
MAGNITUDE_STEP = 0.5

_BOOTSTRAP = "bootstrap over sources"

_BIN_FIELDS = (
    Field("binned_by", "magnitude (true, total), snr, or snr_above (all above the lower edge)", dtype=str),
    Field("low", "lower edge of the bin"),
    Field("high", "upper edge of the bin"),
    Field("sources", "sources in the bin", "", int),
)

PHOTOMETRY_FIELDS = (
    Field("method", "what was made of the noisy brick", dtype=str),
    Field("band", "filter", dtype=str),
    *_BIN_FIELDS,
    *Field("bias_percent", "mean of F / F_true, minus 1", "%").with_error(_BOOTSTRAP),
    *Field("scatter_percent", "robust scatter of F / F_true", "%").with_error(_BOOTSTRAP),
    *Field("bias_mag", "-2.5 log10 of the mean of F / F_true: positive is too faint", "mag").with_error(
        _BOOTSTRAP
    ),
    *Field("median_mag", "median of -2.5 log10(F / F_true)", "mag").with_error(_BOOTSTRAP),
    *Field("scatter_mag", "robust scatter of -2.5 log10(F / F_true)", "mag").with_error(_BOOTSTRAP),
    *Field("shift_percent", "mean of (F - F_noisy) / F_true: bias free of the noise that both share", "%")
    .with_error(_BOOTSTRAP),
)  # fmt: skip

PHOTOMETRY_DEFINITIONS = {
    "F": f"sum in a circle of {RADIUS:g} pixels around the true position; F_true: the same on the noise-free "
    "image, so that neighbours and the flux outside the aperture cancel",
    "snr": "F_true over the noise of the aperture in the input, from invvar and the measured correlation",
    "magnitude": "AB, from the catalogue's total flux",
    "isolated": f"no source with more than {NEIGHBOUR_FLUX:g} of the flux within {2 * RADIUS:g} pixels, "
    f"F_true at most {CONTAMINATION:g} times the catalogue's flux; not saturated, every pixel measured",
    "robust scatter": "1.4826 times the median absolute deviation",
    "errors": "standard deviation over bootstrap samples of the sources",
}

COLOUR_FIELDS = (
    Field("method", "what was made of the noisy brick", dtype=str),
    Field("colour", "difference of the magnitudes in two bands", dtype=str),
    *_BIN_FIELDS,
    *Field("bias_mag", "difference of the bands' -2.5 log10 of the mean of F / F_true", "mag").with_error(
        _BOOTSTRAP
    ),
    *Field("median_mag", "median of the error of the colour", "mag").with_error(_BOOTSTRAP),
    *Field("scatter_mag", "robust scatter of the error of the colour", "mag").with_error(_BOOTSTRAP),
)

COLOUR_DEFINITIONS = PHOTOMETRY_DEFINITIONS | {
    "snr": "the lower of the two bands' F_true over the noise of the aperture in the input"
}


def _bins(magnitude: Array | None, snr: Array) -> Iterator[tuple[str, float, float, NDArray[np.bool_]]]:
    """Name, edges and members of each bin that has any."""
    bins: list[tuple[str, float, float]] = []
    if magnitude is not None and magnitude.size:
        first, last = (np.floor(edge / MAGNITUDE_STEP) for edge in (magnitude.min(), magnitude.max()))
        edges = MAGNITUDE_STEP * np.arange(first, last + 2)
        bins += [("magnitude", low, high) for low, high in pairwise(edges)]
    bins += [("snr", low, high) for low, high in pairwise(SNR_EDGES)]
    bins += [("snr_above", low, np.inf) for low in SNR_EDGES[:-1]]
    for name, low, high in bins:
        value = magnitude if name == "magnitude" and magnitude is not None else snr
        members = (value >= low) & (value < high)
        if members.any():
            yield name, low, high, members


def _magnitudes(ratio: Array) -> Array:
    """-2.5 log10 of flux ratios; fainter than anything (+inf) where the flux is not positive."""
    with np.errstate(divide="ignore"):
        return -2.5 * np.log10(np.maximum(ratio, 0))


def _flux_statistics(sample: Array) -> Array:
    """From F / F_true and F_noisy / F_true, (2, ..., n), the measures of a row of photometry, (6, ...)."""
    ratio, noisy = sample
    average = ratio.mean(axis=-1)
    magnitudes = _magnitudes(ratio)
    return np.stack(
        [
            100 * (average - 1),
            100 * robust_scatter(ratio),
            _magnitudes(average),
            np.median(magnitudes, axis=-1),
            robust_scatter(magnitudes),
            100 * (ratio - noisy).mean(axis=-1),
        ]
    )


def _colour_statistics(sample: Array) -> Array:
    """From F / F_true in two bands, (2, ..., n), the measures of a row of colours, (3, ...)."""
    blue, red = sample
    with np.errstate(invalid="ignore"):
        error = _magnitudes(blue) - _magnitudes(red)
        bias = _magnitudes(blue.mean(axis=-1)) - _magnitudes(red.mean(axis=-1))
    return np.stack([bias, np.median(error, axis=-1), robust_scatter(error)])


_FLUX_MEASURES = ("bias_percent", "scatter_percent", "bias_mag", "median_mag", "scatter_mag", "shift_percent")
_COLOUR_MEASURES = ("bias_mag", "median_mag", "scatter_mag")


def _with_errors(names: Sequence[str], values: Array, errors: Array) -> dict[str, float]:
    values, errors = (np.where(np.isfinite(array), array, np.nan) for array in (values, errors))
    return dict(zip(names, values, strict=True)) | dict(
        zip((f"{name}_err" for name in names), errors, strict=True)
    )


def photometry_table(apertures: Apertures, bands: Sequence[str], generator: np.random.Generator) -> Table:
    """Bias and scatter of fluxes by method, band and bin."""
    rows = []
    for method, flux in apertures.fluxes.items():
        for band, name in enumerate(bands):
            good = apertures.good[band]
            truth = apertures.truth[band, good]
            sample = np.stack([flux[band, good], apertures.fluxes["noisy"][band, good]]) / truth
            for bin_name, low, high, members in _bins(
                apertures.magnitude[band, good], truth / apertures.noise[band, good]
            ):
                inside = sample[:, members]
                row = {"method": method, "band": name, "binned_by": bin_name, "low": low, "high": high}
                errors = bootstrap_error(_flux_statistics, inside, generator)
                rows.append(
                    row
                    | {"sources": inside.shape[1]}
                    | _with_errors(_FLUX_MEASURES, _flux_statistics(inside), errors)
                )
    return make_table(PHOTOMETRY_FIELDS, rows, PHOTOMETRY_DEFINITIONS)


def colour_table(apertures: Apertures, bands: Sequence[str], generator: np.random.Generator) -> Table:
    """Bias and scatter of the colours of neighbouring bands by method and bin."""
    rows = []
    for method, flux in apertures.fluxes.items():
        for blue in range(len(bands) - 1):
            pair = slice(blue, blue + 2)
            good = apertures.good[pair].all(axis=0)
            truth = apertures.truth[pair, good]
            sample = flux[pair, good] / truth
            for bin_name, low, high, members in _bins(
                None, (truth / apertures.noise[pair, good]).min(axis=0, initial=np.inf)
            ):
                inside = sample[:, members]
                row = {"method": method, "colour": f"{bands[blue]}-{bands[blue + 1]}"}
                errors = bootstrap_error(_colour_statistics, inside, generator)
                rows.append(
                    row
                    | {"binned_by": bin_name, "low": low, "high": high, "sources": inside.shape[1]}
                    | _with_errors(_COLOUR_MEASURES, _colour_statistics(inside), errors)
                )
    return make_table(COLOUR_FIELDS, rows, COLOUR_DEFINITIONS)
