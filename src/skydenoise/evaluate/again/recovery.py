"""Tables of what was recovered of injected sources: fluxes, colours, and flux that leaks into other bands."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

from skydenoise.evaluate.again.false_peaks import RATE
from skydenoise.evaluate.again.injection import DETECTION_RADIUS, Recovered
from skydenoise.evaluate.apertures import RADIUS
from skydenoise.evaluate.statistics import Array, bootstrap_error, robust_scatter
from skydenoise.evaluate.tables import Field, make_table

SNR_EDGES = tuple(float(edge) for edge in 2 * 10 ** (0.2 * np.arange(11)))
"""Borders of bins of the aperture's signal-to-noise ratio, 0.5 mag apart: 2, 3.2, 5, ... 200."""
SNR_ABOVE = (5.0, 10.0, 20.0, 50.0)

_BOOTSTRAP = "bootstrap over sources"
_BETA = "standard deviation of the Beta distribution (Jeffreys' prior)"

_BIN_FIELDS = (
    Field("binned_by", "snr (bins of 0.5 mag), or snr_above (all above the lower edge)", dtype=str),
    Field("low", "lower edge of the bin"),
    Field("high", "upper edge of the bin"),
    Field("sources", "sources in the bin", "", int),
)

RECOVERY_FIELDS = (
    Field("method", "what was made of the noisy brick", dtype=str),
    Field("band", "filter", dtype=str),
    Field("shape", "point, disc (exponential), or all", dtype=str),
    *_BIN_FIELDS,
    *Field("bias_percent", "mean of recovered over injected flux, minus 1", "%").with_error(_BOOTSTRAP),
    *Field("scatter_percent", "robust scatter of recovered over injected flux", "%").with_error(_BOOTSTRAP),
    *Field("bias_mag", "-2.5 log10 of the mean of recovered over injected flux: positive is too faint", "mag")
    .with_error(_BOOTSTRAP),
    *Field("detected", "share of the judged sources that are found").with_error(_BETA),
    Field("judged", "sources that could be found: nothing was there before", "", int),
    *Field("slope", "linearity: slope of recovered against injected flux, both over the aperture's noise, by "
    "least squares with an intercept; in snr_above alone").with_error(_BOOTSTRAP),
)  # fmt: skip

RECOVERY_DEFINITIONS = {
    "recovered": f"sum in a circle of {RADIUS:g} pixels around the place of the source, in the image "
    "denoised with it minus the one denoised without it",
    "injected": "the same sum over the noise-free source that was put into the input",
    "snr": "injected flux over the noise of the aperture in the input, from invvar and the measured "
    "correlation",
    "places": "random ones where no source is visible in the input",
    "detected": f"a pixel within {DETECTION_RADIUS} pixels of the place is above the height that {RATE:g} "
    "peaks per million pixels exceed when the method is given pure noise; places where one is without the "
    "source are not judged",
    "robust scatter": "1.4826 times the median absolute deviation",
    "errors": "standard deviation over bootstrap samples of the sources; of shares, that of the Beta "
    "distribution, which is not 0 where all or none are found",
}

COLOUR_FIELDS = (
    Field("method", "what was made of the noisy brick", dtype=str),
    Field("colour", "difference of the magnitudes in two bands", dtype=str),
    *_BIN_FIELDS,
    *Field("bias_mag", "difference of the bands' bias_mag: positive is too red", "mag").with_error(
        _BOOTSTRAP
    ),
    *Field("scatter_mag", "robust scatter of the error of the colour", "mag").with_error(_BOOTSTRAP),
)

COLOUR_DEFINITIONS = RECOVERY_DEFINITIONS | {"snr": "the lower of the two bands'"}

LEAK_FIELDS = (
    Field("method", "what was made of the noisy brick", dtype=str),
    Field("band", "filter into which alone the sources were put", dtype=str),
    Field("other", "filter in which their flux is looked for", dtype=str),
    *_BIN_FIELDS,
    *Field("leak_percent", "mean of the flux recovered in other over the flux injected in band", "%")
    .with_error(_BOOTSTRAP),
    *Field("leak_sigma", "mean of the flux recovered in other over the aperture's noise in other")
    .with_error(_BOOTSTRAP),
)  # fmt: skip

LEAK_DEFINITIONS = RECOVERY_DEFINITIONS | {
    "snr": RECOVERY_DEFINITIONS["snr"] + ", in band",
    "other": "what neighbouring sources put there is taken off",
}


def _bins(snr: Array) -> Iterator[tuple[dict[str, object], NDArray[np.bool_]]]:
    """Columns that name a bin, and its members, for each bin that has any."""
    edges = [("snr", low, high) for low, high in pairwise(SNR_EDGES)]
    for name, low, high in edges + [("snr_above", low, np.inf) for low in SNR_ABOVE]:
        members = (snr >= low) & (snr < high)
        if members.any():
            columns = {"binned_by": name, "low": low, "high": high, "sources": int(members.sum())}
            yield columns, members


def _magnitude(ratio: Array) -> Array:
    """-2.5 log10 of flux ratios; +inf where not positive."""
    with np.errstate(divide="ignore"):
        return -2.5 * np.log10(np.maximum(ratio, 0))


def _recovery_statistics(sample: Array) -> Array:
    """Bias and scatter in per cent, bias in magnitudes, slope: (4, ...).

    sample : (2, ..., n); flux injected and recovered over the noise
    """
    injected, recovered = sample
    ratio = recovered / injected
    average = ratio.mean(axis=-1)
    off = injected - injected.mean(axis=-1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = (off * recovered).sum(axis=-1) / (off**2).sum(axis=-1)
    return np.stack([100 * (average - 1), 100 * robust_scatter(ratio), _magnitude(average), slope])


def _share(found: Array) -> dict[str, object]:
    """Share of sources found, its error and their number, from 1, 0 or NaN for each."""
    judged = int(np.isfinite(found).sum())
    hits = float(np.nansum(found))
    a, b = hits + 0.5, judged - hits + 0.5
    error = np.sqrt(a * b / (a + b + 1)) / (a + b)
    share, error = (hits / judged, error) if judged else (np.nan, np.nan)
    return {"judged": judged, "detected": share, "detected_err": error}


def _colour_statistics(sample: Array) -> Array:
    """From recovered over injected flux in two bands, (2, ..., n): bias and robust scatter of the colour."""
    blue, red = sample
    with np.errstate(invalid="ignore"):
        bias = _magnitude(blue.mean(axis=-1)) - _magnitude(red.mean(axis=-1))
        scatter = robust_scatter(_magnitude(blue) - _magnitude(red))
    return np.stack([bias, scatter])


def _leak_statistics(sample: Array) -> Array:
    """From recovered over injected flux and over the noise, (2, ..., n): means, the first in per cent."""
    return np.stack([100 * sample[0].mean(axis=-1), sample[1].mean(axis=-1)])


def _with_errors(names: Sequence[str], values: Array, errors: Array) -> dict[str, object]:
    """Columns of values and errors; what is not finite is NaN."""
    every = [*names, *(f"{name}_err" for name in names)]
    numbers = np.concatenate([values, errors])
    return dict(zip(every, np.where(np.isfinite(numbers), numbers, np.nan), strict=True))


def recovery_table(
    samples: Mapping[str, Recovered], bands: Sequence[str], generator: np.random.Generator
) -> Table:
    """Fluxes of the sources that were put into all bands, by method, band, shape and bin."""
    rows: list[dict[str, object]] = []
    names = ("bias_percent", "scatter_percent", "bias_mag", "slope")
    for method, every in samples.items():
        sources = every.select(every.alone < 0)
        shapes = {"all": np.ones_like(sources.disc), "point": ~sources.disc, "disc": sources.disc}
        for band, name in enumerate(bands):
            for shape, chosen in shapes.items():
                some = sources.select(chosen)
                sample = np.stack([some.flux[band], some.recovered[band]]) / some.noise[band]
                for columns, members in _bins(some.snr[band]):
                    inside = sample[:, members]
                    values = _recovery_statistics(inside)
                    errors = bootstrap_error(_recovery_statistics, inside, generator)
                    if columns["binned_by"] == "snr":
                        values[-1] = errors[-1] = np.nan
                    row: dict[str, object] = {"method": method, "band": name, "shape": shape}
                    row |= columns | _share(some.found[band, members])
                    rows.append(row | _with_errors(names, values, errors))
    return make_table(RECOVERY_FIELDS, rows, RECOVERY_DEFINITIONS)


def injected_colours_table(
    samples: Mapping[str, Recovered], bands: Sequence[str], generator: np.random.Generator
) -> Table:
    """Colours of neighbouring bands of the sources that were put into all bands, by method and bin."""
    rows: list[dict[str, object]] = []
    for method, every in samples.items():
        sources = every.select(every.alone < 0)
        for blue, (first, second) in enumerate(pairwise(bands)):
            pair = slice(blue, blue + 2)
            ratio = sources.recovered[pair] / sources.flux[pair]
            for columns, members in _bins(sources.snr[pair].min(axis=0, initial=np.inf)):
                inside = ratio[:, members]
                errors = bootstrap_error(_colour_statistics, inside, generator)
                row = {"method": method, "colour": f"{first}-{second}"} | columns
                values = _colour_statistics(inside)
                rows.append(row | _with_errors(("bias_mag", "scatter_mag"), values, errors))
    return make_table(COLOUR_FIELDS, rows, COLOUR_DEFINITIONS)


def leak_table(
    samples: Mapping[str, Recovered], bands: Sequence[str], generator: np.random.Generator
) -> Table:
    """Flux that sources in one band alone leave in the others, by method, pair of bands and bin."""
    rows: list[dict[str, object]] = []
    for method, every in samples.items():
        for band, name in enumerate(bands):
            sources = every.select(every.alone == band)
            for other in (number for number in range(len(bands)) if number != band):
                leaked = sources.recovered[other] - sources.flux[other]  # the latter is a neighbour's
                sample = np.stack([leaked / sources.flux[band], leaked / sources.noise[other]])
                for columns, members in _bins(sources.snr[band]):
                    inside = sample[:, members]
                    errors = bootstrap_error(_leak_statistics, inside, generator)
                    row = {"method": method, "band": name, "other": bands[other]} | columns
                    values = _leak_statistics(inside)
                    rows.append(row | _with_errors(("leak_percent", "leak_sigma"), values, errors))
    return make_table(LEAK_FIELDS, rows, LEAK_DEFINITIONS)
