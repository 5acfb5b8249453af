"""Photometric bias and scatter, of fluxes by magnitude and signal-to-noise ratio, and of colours."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, pairwise

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

from skydenoise.evaluate.apertures import CONTAMINATION, NEIGHBOUR_FLUX, RADIUS, Apertures
from skydenoise.evaluate.search.detection import LEAST_SCORE
from skydenoise.evaluate.statistics import Array, bootstrap_error, robust_scatter
from skydenoise.evaluate.tables import Field, make_table

SNR_EDGES = (5.0, 10.0, 20.0, 50.0, 100.0, np.inf)
MAGNITUDE_STEP = 0.5

_BOOTSTRAP = "bootstrap over sources"

_BIN_FIELDS = (
    Field(
        "binned_by",
        "magnitude (true, total), snr, snr_measured or snr_detected; with _above: everything "
        "above the lower edge",
        dtype=str,
    ),
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
    *Field(
        "shift_percent", "mean of (F - F_noisy) / F_true: bias free of the noise that both share", "%"
    ).with_error(_BOOTSTRAP),
)

PHOTOMETRY_DEFINITIONS = {
    "F": f"sum in a circle of {RADIUS:g} pixels around the true position; F_true: the same on the noise-free "
    "image, so that neighbours and the flux outside the aperture cancel",
    "snr": "F_true over the noise of the aperture in the input, from invvar and the measured correlation",
    "snr_measured": "F over that noise, of the isolated sources of the catalogue. What is chosen by what is "
    "measured must be true in the sum, so here bias is sum of F / sum of F_true, minus 1, and shift likewise",
    "snr_detected": "as snr_measured, around everything that the method's image shows in all bands together "
    f"above a score of {LEAST_SCORE:g}, be it true or not, isolated or not; F_true is the noise-free image's",
    "dual": "detected in the denoised image, all bands together, above the threshold of 90 % purity "
    "(detection.ecsv), measured on the noisy image at that place; F_true at the true one",
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


Bin = tuple[str, float, float, NDArray[np.bool_]]
"""Name, edges and members."""


def _magnitude_bins(magnitude: Array) -> Iterator[Bin]:
    """Bins of magnitude that have members."""
    if not magnitude.size:
        return
    first, last = (np.floor(edge / MAGNITUDE_STEP) for edge in (magnitude.min(), magnitude.max()))
    for low, high in pairwise(MAGNITUDE_STEP * np.arange(first, last + 2)):
        members = (magnitude >= low) & (magnitude < high)
        if members.any():
            yield "magnitude", low, high, members


def _snr_bins(name: str, snr: Array) -> Iterator[Bin]:
    """Bins of signal-to-noise ratio that have members, then all above each lower edge."""
    bins = [(name, low, high) for low, high in pairwise(SNR_EDGES)]
    bins += [(f"{name}_above", low, np.inf) for low in SNR_EDGES[:-1]]
    for label, low, high in bins:
        members = (snr >= low) & (snr < high)
        if members.any():
            yield label, low, high, members


def _magnitudes(ratio: Array) -> Array:
    """-2.5 log10 of flux ratios; fainter than anything (+inf) where the flux is not positive."""
    with np.errstate(divide="ignore"):
        return -2.5 * np.log10(np.maximum(ratio, 0))


def _flux_statistics(sample: Array) -> Array:
    """From F, F_noisy and F_true, (3, ..., n), the measures of a row of photometry, (6, ...)."""
    flux, noisy, truth = sample
    ratio = flux / truth
    return _measures(ratio, ratio.mean(axis=-1), ((flux - noisy) / truth).mean(axis=-1))


def _calibration_statistics(sample: Array) -> Array:
    """The same by sums, for sources chosen by F, some of which may not be there."""
    flux, noisy, truth = sample
    with np.errstate(divide="ignore", invalid="ignore"):
        total = truth.mean(axis=-1)
        return _measures(flux / truth, flux.mean(axis=-1) / total, (flux - noisy).mean(axis=-1) / total)


def _measures(ratio: Array, average: Array, shift: Array) -> Array:
    magnitudes = _magnitudes(ratio)
    return np.stack(
        [
            100 * (average - 1),
            100 * robust_scatter(ratio),
            _magnitudes(average),
            np.median(magnitudes, axis=-1),
            robust_scatter(magnitudes),
            100 * shift,
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


def photometry_table(
    apertures: Apertures,
    bands: Sequence[str],
    generator: np.random.Generator,
    detected: Mapping[str, Apertures] | None = None,
) -> Table:
    """Bias and scatter of fluxes by method, band and bin.

    Parameters
    ----------
    apertures
        of the catalogue's sources
    bands
        names
    generator
        of the bootstrap
    detected
        apertures around what each method shows (`dual.measure_detected`), for the bins snr_detected
    """
    rows = []
    for method, flux in apertures.fluxes.items():
        for band, name in enumerate(bands):
            head = {"method": method, "band": name}
            good = apertures.good[band] & np.isfinite(flux[band])
            sample, noise = _sample(apertures, method, band, good), apertures.noise[band, good]
            by_truth = chain(
                _magnitude_bins(apertures.magnitude[band, good]), _snr_bins("snr", sample[2] / noise)
            )
            rows += _rows(head, sample, by_truth, _flux_statistics, generator)
            by_flux = _snr_bins("snr_measured", sample[0] / noise)
            rows += _rows(head, sample, by_flux, _calibration_statistics, generator)
            if detected is not None and method in detected:
                seen = detected[method]
                sample = _sample(seen, method, band, seen.good[band])
                by_flux = _snr_bins("snr_detected", sample[0] / seen.noise[band, seen.good[band]])
                rows += _rows(head, sample, by_flux, _calibration_statistics, generator)
    return make_table(PHOTOMETRY_FIELDS, rows, PHOTOMETRY_DEFINITIONS)


def _sample(apertures: Apertures, method: str, band: int, good: NDArray[np.bool_]) -> Array:
    """F, F_noisy and F_true of the good ones: (3, n)."""
    fluxes = apertures.fluxes[method], apertures.fluxes["noisy"], apertures.truth
    return np.stack([flux[band, good] for flux in fluxes])


def _rows(
    head: Mapping[str, object],
    sample: Array,
    bins: Iterable[Bin],
    statistics: Callable[[Array], Array],
    generator: np.random.Generator,
) -> list[dict[str, object]]:
    """One row per bin. sample : (3, n)."""
    rows = []
    for name, low, high, members in bins:
        inside = sample[:, members]
        errors = bootstrap_error(statistics, inside, generator)
        edges = {"binned_by": name, "low": low, "high": high, "sources": inside.shape[1]}
        rows.append({**head, **edges, **_with_errors(_FLUX_MEASURES, statistics(inside), errors)})
    return rows


def colour_table(apertures: Apertures, bands: Sequence[str], generator: np.random.Generator) -> Table:
    """Bias and scatter of the colours of neighbouring bands by method and bin."""
    rows = []
    for method, flux in apertures.fluxes.items():
        for blue in range(len(bands) - 1):
            pair = slice(blue, blue + 2)
            good = apertures.good[pair].all(axis=0) & np.isfinite(flux[pair]).all(axis=0)
            truth = apertures.truth[pair, good]
            sample = flux[pair, good] / truth
            for bin_name, low, high, members in _snr_bins(
                "snr", (truth / apertures.noise[pair, good]).min(axis=0, initial=np.inf)
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
