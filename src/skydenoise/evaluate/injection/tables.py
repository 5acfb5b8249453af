"""Tables of injected sources: their fluxes, and flux that leaks into other bands."""

from collections.abc import Mapping, Sequence
from itertools import permutations

import numpy as np
from astropy.table import Table

from skydenoise.evaluate.aperture import RADIUS
from skydenoise.evaluate.fluxes import BIN_FIELDS, FLUX_DEFINITIONS, RATIO_MEASURES, binned, snr_bins
from skydenoise.evaluate.injection.inject import DETECTION_RADIUS, Sources
from skydenoise.evaluate.injection.rounds import RATE
from skydenoise.evaluate.statistics import BOOTSTRAP, Array, bootstrap_row, selected
from skydenoise.evaluate.tables import BAND, METHOD, Field, Measure, make_table, with_errors

SNR_EDGES = tuple(float(edge) for edge in 2 * 10 ** (0.2 * np.arange(11)))
"""Borders of bins of the aperture's signal-to-noise ratio, 0.5 mag apart: 2, 3.2, 5, ... 200."""
BINS = snr_bins("snr", SNR_EDGES, (5.0, 10.0, 20.0, 50.0))

_BETA = "standard deviation of the Beta distribution (Jeffreys' prior), not 0 where all or none are found"
INJECTION_MEASURES = (
    *RATIO_MEASURES,
    Measure("slope", "of F against F_true by least squares, in snr_above alone", of=lambda s: _slope(*s[2:])),
)
INJECTION_FIELDS = (
    METHOD,
    BAND,
    Field("shape", "point, disc (exponential), or all", dtype=str),
    *BIN_FIELDS,
    *with_errors(BOOTSTRAP, *INJECTION_MEASURES),
    *with_errors(_BETA, Field("detected", "share of the judged sources that are found")),
    Field("judged", "sources that could be found: nothing was there before", "", int),
)
INJECTION_DEFINITIONS = FLUX_DEFINITIONS | {
    "F": f"sum in a circle of {RADIUS:g} pixels around the place of the source, in the image denoised with "
    "it minus the one denoised without it",
    "F_true": "the same sum over the noise-free source that was put into the input",
    "snr": "F_true over the noise of the aperture in the input; in bins of 0.5 mag",
    "places": "random ones where no source is visible in the input",
    "detected": f"a pixel within {DETECTION_RADIUS} pixels of the place is above the height that {RATE:g} "
    "peaks per million pixels exceed when the method is given pure noise; places where one is without the "
    "source are not judged",
}
LEAK_MEASURES = (
    Measure(
        "leak_percent", "mean of F in other over F_true in band", "%", of=lambda s: 100 * s[0].mean(axis=-1)
    ),
    Measure(
        "leak_sigma", "mean of F in other over the aperture's noise in other", of=lambda s: s[1].mean(axis=-1)
    ),
)
LEAK_FIELDS = (
    METHOD,
    Field("band", "filter into which alone the sources were put", dtype=str),
    Field("other", "filter in which their flux is looked for", dtype=str),
    *BIN_FIELDS,
    *with_errors(BOOTSTRAP, *LEAK_MEASURES),
)
LEAK_DEFINITIONS = INJECTION_DEFINITIONS | {"other": "what neighbouring sources put there is taken off"}

Samples = Mapping[str, Sources]
"""Sources by the method that was measured on them."""


def injection_table(samples: Samples, bands: Sequence[str], generator: np.random.Generator) -> Table:
    """Fluxes of the sources that were put into all bands, by method, band, shape and bin."""
    rows: list[dict[str, object]] = []
    for method, every in samples.items():
        sources = selected(every, every.alone < 0)
        shapes = {"all": np.ones_like(sources.disc), "point": ~sources.disc, "disc": sources.disc}
        for band, name in enumerate(bands):
            injected, measured = (
                sources.flux[band] / sources.noise[band],
                sources.measured[band] / sources.noise[band],
            )
            fluxes = measured / injected, np.ones_like(injected), injected, measured
            sample = np.stack([*fluxes, sources.found[band]])
            for shape, chosen in shapes.items():
                for columns, inside in binned(sample[:, chosen], sources.snr[band, chosen], BINS):
                    row = bootstrap_row(INJECTION_MEASURES, inside[:4], generator)
                    if columns["binned_by"] == "snr":
                        row["slope"] = row["slope_err"] = np.nan
                    head = {"method": method, "band": name, "shape": shape}
                    rows.append({**head, **columns, **_share(inside[4]), **row})
    return make_table(INJECTION_FIELDS, rows, INJECTION_DEFINITIONS)


def _slope(injected: Array, measured: Array) -> Array:
    """Slope of the straight line through n points by least squares, (..., n) each."""
    off = injected - injected.mean(axis=-1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray((off * measured).sum(axis=-1) / (off**2).sum(axis=-1))


def _share(found: Array) -> dict[str, object]:
    """Share of sources found, its error and their number, from 1, 0 or NaN for each."""
    judged, hits = int(np.isfinite(found).sum()), float(np.nansum(found))
    a, b = hits + 0.5, judged - hits + 0.5
    share, error = (hits / judged, np.sqrt(a * b / (a + b + 1)) / (a + b)) if judged else (np.nan, np.nan)
    return {"judged": judged, "detected": share, "detected_err": error}


def leak_table(samples: Samples, bands: Sequence[str], generator: np.random.Generator) -> Table:
    """Flux that sources in one band alone leave in the others, by method, pair of bands and bin."""
    rows: list[dict[str, object]] = []
    for method, every in samples.items():
        for band, other in permutations(range(len(bands)), 2):
            sources = selected(every, every.alone == band)
            leaked = sources.measured[other] - sources.flux[other]  # the latter is a neighbour's
            sample = np.stack([leaked / sources.flux[band], leaked / sources.noise[other]])
            for columns, inside in binned(sample, sources.snr[band], BINS):
                head = {"method": method, "band": bands[band], "other": bands[other]}
                rows.append({**head, **columns, **bootstrap_row(LEAK_MEASURES, inside, generator)})
    return make_table(LEAK_FIELDS, rows, LEAK_DEFINITIONS)
