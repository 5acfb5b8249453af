"""Tables of injected sources: their fluxes, and flux that leaks into other bands."""

from collections.abc import Mapping, Sequence
from itertools import permutations

import numpy as np
from astropy.table import Table

from skydenoise.evaluate.fluxes import RATIO_MEASURES, binned, snr_bins
from skydenoise.evaluate.injection.inject import Sources
from skydenoise.evaluate.statistics import Array, Statistic, bootstrap_row, selected
from skydenoise.evaluate.tables import declared_table

SNR_EDGES = tuple(float(edge) for edge in 2 * 10 ** (0.2 * np.arange(11)))
"""Borders of bins of the aperture's signal-to-noise ratio, 0.5 mag apart: 2, 3.2, 5, ... 200."""
BINS = snr_bins("snr", SNR_EDGES, (5.0, 10.0, 20.0, 50.0))

INJECTION: Mapping[str, Statistic] = {**RATIO_MEASURES, "slope": lambda sample: _slope(*sample[2:])}
LEAK: Mapping[str, Statistic] = {
    "leak_percent": lambda sample: 100 * sample[0].mean(axis=-1),
    "leak_sigma": lambda sample: sample[1].mean(axis=-1),
}

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
                    row = bootstrap_row(INJECTION, inside[:4], generator)
                    if columns["binned_by"] == "snr":
                        row["slope"] = row["slope_err"] = np.nan
                    head = {"method": method, "band": name, "shape": shape}
                    rows.append({**head, **columns, **_share(inside[4]), **row})
    return declared_table("injection", rows)


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
                rows.append({**head, **columns, **bootstrap_row(LEAK, inside, generator)})
    return declared_table("leak", rows)
