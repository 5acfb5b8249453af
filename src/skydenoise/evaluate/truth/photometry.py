"""Photometric bias and scatter against the truth, of fluxes in bins and of colours."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

from skydenoise.evaluate.aperture import RADIUS
from skydenoise.evaluate.fluxes import (
    BIN_FIELDS,
    COLOUR_FIELDS,
    FLUX_DEFINITIONS,
    RATIO_FIELDS,
    Bin,
    binned,
    colour_rows,
    magnitude_edges,
    magnitudes,
    ratio_statistics,
    snr_bins,
)
from skydenoise.evaluate.statistics import BOOTSTRAP, Array, bootstrap_row, robust_scatter
from skydenoise.evaluate.tables import BAND, METHOD, Field, make_table, with_errors
from skydenoise.evaluate.truth.catalogue import CONTAMINATION, NEIGHBOUR_FLUX, Apertures

SNR_EDGES = (5.0, 10.0, 20.0, 50.0, 100.0, np.inf)
MAGNITUDE_STEP = 0.5

PHOTOMETRY_FIELDS = (
    METHOD,
    BAND,
    *BIN_FIELDS,
    *RATIO_FIELDS,
    *with_errors(
        BOOTSTRAP,
        Field("median_mag", "median of -2.5 log10(F / F_true)", "mag"),
        Field("scatter_mag", "robust scatter of -2.5 log10(F / F_true)", "mag"),
        Field("shift_percent", "mean of (F - F_noisy) / F_true: bias free of the noise that both share", "%"),
    ),
)

PHOTOMETRY_DEFINITIONS = FLUX_DEFINITIONS | {
    "F": f"sum in a circle of {RADIUS:g} pixels around the true position; F_true: the same on the noise-free "
    "image, so that neighbours and the flux outside the aperture cancel",
    "snr": "F_true over the noise of the aperture in the input, from invvar and the measured correlation",
    "snr_measured": "F over that noise, of the isolated sources of the catalogue. What is chosen by what is "
    "measured must be true in the sum, so here bias is sum of F / sum of F_true, minus 1, and shift likewise",
    "snr_detected": "as snr_measured, around every detection (detection.ecsv) in the method's image, all "
    "bands together, whatever its score, true or not, isolated or not; F_true is the noise-free image's",
    "dual": "detected in the denoised image, all bands together, above the threshold of 90 % purity "
    "(detection.ecsv), measured on the noisy image at that place; F_true at the true one",
    "magnitude": "AB, from the catalogue's total flux",
    "isolated": f"no source with more than {NEIGHBOUR_FLUX:g} of the flux within {2 * RADIUS:g} pixels, "
    f"F_true at most {CONTAMINATION:g} times the catalogue's flux; not saturated, every pixel measured",
}
COLOUR_DEFINITIONS = PHOTOMETRY_DEFINITIONS | {
    "snr": "the lower of the two bands' F_true over the noise of the aperture in the input"
}

_MEASURES = ("bias_percent", "scatter_percent", "bias_mag", "median_mag", "scatter_mag", "shift_percent")


def _flux_statistics(sample: Array) -> Array:
    """From F, F_noisy and F_true, (3, ..., n), `_MEASURES`, (6, ...)."""
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
    error = magnitudes(ratio)
    spread = [np.median(error, axis=-1), robust_scatter(error)]
    return np.stack([*ratio_statistics(ratio, average), *spread, 100 * shift])


def _sample(apertures: Apertures, method: str, band: int, good: NDArray[np.bool_]) -> Array:
    """F, F_noisy and F_true of the good ones: (3, n)."""
    fluxes = apertures.fluxes[method], apertures.fluxes["noisy"], apertures.truth
    return np.stack([flux[band, good] for flux in fluxes])


def photometry_table(
    apertures: Apertures | None,
    bands: Sequence[str],
    generator: np.random.Generator,
    detected: Mapping[str, Apertures] | None = None,
) -> Table:
    """Bias and scatter of fluxes by method, band and bin.

    apertures : of the catalogue's sources; None if there is no brick
    generator : of the bootstrap
    detected : apertures around what each method shows (`dual.measure_detected`), for the bins snr_detected
    """
    rows: list[dict[str, object]] = []
    if apertures is None:
        return make_table(PHOTOMETRY_FIELDS, rows, PHOTOMETRY_DEFINITIONS)
    for method, flux in apertures.fluxes.items():
        for band, name in enumerate(bands):
            good = apertures.good[band] & np.isfinite(flux[band])
            sample, noise = _sample(apertures, method, band, good), apertures.noise[band, good]
            magnitude = apertures.magnitude[band, good]
            binnings = [
                (_flux_statistics, sample, magnitude, _magnitude_bins(magnitude)),
                (_flux_statistics, sample, sample[2] / noise, _snr_bins("snr")),
                (_calibration_statistics, sample, sample[0] / noise, _snr_bins("snr_measured")),
            ]
            if detected and method in detected:
                seen, good = detected[method], detected[method].good[band]
                sample, noise = _sample(seen, method, band, good), seen.noise[band, good]
                binnings.append(
                    (_calibration_statistics, sample, sample[0] / noise, _snr_bins("snr_detected"))
                )
            for statistics, chosen, values, bins in binnings:
                for columns, inside in binned(chosen, values, bins):
                    measured = bootstrap_row(_MEASURES, statistics, inside, generator)
                    rows.append({"method": method, "band": name, **columns, **measured})
    return make_table(PHOTOMETRY_FIELDS, rows, PHOTOMETRY_DEFINITIONS)


def _magnitude_bins(magnitude: Array) -> list[Bin]:
    return [("magnitude", *edge) for edge in pairwise(magnitude_edges(magnitude, MAGNITUDE_STEP))]


def _snr_bins(name: str) -> list[Bin]:
    return snr_bins(name, SNR_EDGES, SNR_EDGES[:-1])


def colour_table(apertures: Apertures | None, bands: Sequence[str], generator: np.random.Generator) -> Table:
    """Bias and scatter of the colours of neighbouring bands by method and bin; parameters as above."""
    rows: list[dict[str, object]] = []
    if apertures is None:
        return make_table(COLOUR_FIELDS, rows, COLOUR_DEFINITIONS)
    for method, flux in apertures.fluxes.items():
        good, snr = apertures.good, np.zeros(flux.shape)
        ratio = np.divide(flux, apertures.truth, out=np.full(flux.shape, np.nan), where=good)
        np.divide(apertures.truth, apertures.noise, out=snr, where=good)
        rows += [
            {"method": method, **row} for row in colour_rows(ratio, snr, bands, _snr_bins("snr"), generator)
        ]
    return make_table(COLOUR_FIELDS, rows, COLOUR_DEFINITIONS)
