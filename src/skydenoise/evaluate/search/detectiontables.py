"""Tables of detections by method: depth at 90 % purity and completeness, and the curves of both."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from astropy.stats import binom_conf_interval
from astropy.table import Table
from numpy.typing import NDArray

from skydenoise.evaluate.search.completeness import (
    PURITY,
    STEP,
    completeness,
    equal_threshold,
    magnitude_bins,
    magnitude_limit,
    threshold_at_purity,
)
from skydenoise.evaluate.search.detection import BLEND_RADIUS, MATCH_RADIUS, TRUE_FLOOR, Matches
from skydenoise.evaluate.search.searchfield import BRIGHT, Search
from skydenoise.evaluate.statistics import Array
from skydenoise.evaluate.tables import Field, make_table

RESAMPLES = 200
REFERENCE = "noisy"
"""Method to which depths are compared: the matched filter on the noisy image."""

_BOOTSTRAP = "bootstrap over blocks of 64 x 64 pixels"
_WILSON = "of the 68 % Wilson interval"

DETECTION_FIELDS = (
    Field("method", "image in which was searched; noisy: the matched filter itself", dtype=str),
    Field("search", "bands in which was searched together", dtype=str),
    Field("band", "band of the magnitudes", dtype=str),
    *Field("threshold", "least score of the longest list of that purity").with_error(_BOOTSTRAP),
    Field("detections", "detections above the threshold", "", int),
    Field("purity", "share of them that is true"),
    *Field("limit_mag", "magnitude at which completeness above the threshold falls through 90 %", "mag")
    .with_error(_BOOTSTRAP),
    Field("threshold_equal", "score above which it finds as many sources as the matched filter above its "
    "threshold in the same search: at these, false detections of methods can be compared"),
    *Field("gain_single", "limit_mag minus that of the matched filter in this band alone", "mag")
    .with_error(_BOOTSTRAP),
    *Field("gain_combined", "limit_mag minus that of the matched filter in all bands together", "mag")
    .with_error(_BOOTSTRAP),
    Field("sources", "sources that count in completeness", "", int),
    Field("area", "area searched", "arcmin2"),
)  # fmt: skip

COMPLETENESS_FIELDS = (
    *DETECTION_FIELDS[:3],
    Field("low", "lower edge of the bin of true total magnitude", "mag"),
    Field("high", "upper edge", "mag"),
    Field("sources", "sources in the bin that count", "", int),
    Field("completeness", "share of them found above the threshold of detection.ecsv"),
    Field("completeness_low", f"lower end {_WILSON}"),
    Field("completeness_high", f"upper end {_WILSON}"),
)

PURITY_FIELDS = (
    *DETECTION_FIELDS[:2],
    Field("threshold", "least score of the list"),
    Field("detections", "detections per area", "arcmin-2"),
    Field("true", "true ones per area", "arcmin-2"),
    Field("purity", "share that is true"),
    Field("purity_low", f"lower end {_WILSON}"),
    Field("purity_high", f"upper end {_WILSON}"),
)

DEFINITIONS = {
    "score": "flux of a point source by the matched filter over its error in the input, summed over the "
    "bands of the search and divided by the root of their number. In the noisy image it is the significance; "
    "in any other, smoothed by a narrow Gaussian, that which a point source of the peak seen there has in "
    "the input. Detections are its local maxima in 5 x 5 pixels",
    "true": f"a source whose true flux scores at least {TRUE_FLOOR:g} lies within {MATCH_RADIUS:g} pixels; a "
    "source is matched once, the most significant first, each with the highest score near it",
    "counted detections": f"none that is not true and lies on the body of a source above {BRIGHT:g} sigma",
    "counted sources": f"no more significant one within {BLEND_RADIUS:g} pixels, not on the body of a source "
    f"above {BRIGHT:g} sigma; none fainter is left out, and what scores below {TRUE_FLOOR:g} is not found",
    "searched": "pixels measured in every band, 90 % of the filter's squared weight included; not within "
    "1630 * 1.396**-magnitude arcsec of saturated stars and what is brighter than 16, nor within 3 times the "
    "width of the widest point spread function of a border; where bricks overlap both count",
    "list": f"threshold: the lowest at which {PURITY:.0%} of the detections above are true",
    "limit_mag": f"completeness in bins of {STEP:g} mag, made monotone (isotonic regression), interpolated",
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class _Depths:
    """Of one method and search: of the sample (first) and of its resamples.

    threshold : (1 + resamples,)
    limit : (band, 1 + resamples)
    """

    threshold: Array
    limit: Array


def _depths(matches: Matches, bands: Sequence[int], weights: Array) -> _Depths:
    edges = {band: magnitude_bins(matches, band) for band in bands}
    threshold = np.array([threshold_at_purity(matches, weight=weight) for weight in weights])
    limit = np.full((len(matches.magnitude), len(weights)), np.nan)
    for number, (weight, score) in enumerate(zip(weights, threshold, strict=True)):
        for band in bands:
            limit[band, number] = magnitude_limit(
                edges[band], *completeness(matches, band, score, edges[band], weight)
            )
    return _Depths(threshold, limit)


def _with_errors(samples: Mapping[str, Array]) -> dict[str, float]:
    """Of each the first, and the scatter of the others; NaN if fewer than half of them are known."""
    row = {}
    for name, values in samples.items():
        others = values[1:][np.isfinite(values[1:])]
        known = np.isfinite(values[0]) and others.size >= max(2, (values.size - 1) / 2)
        row[name] = float(values[0])
        row[f"{name}_err"] = float(others.std(ddof=1)) if known else np.nan
    return row


def _wilson(part: float, total: float) -> tuple[float, float, float]:
    """Share and its 68 % interval."""
    low, high = binom_conf_interval(part, total, interval="wilson")
    return part / total, float(low), float(high)


Compared = Mapping[str, Mapping[str, Matches]]
"""Matches by method and by the search's name."""


def detection_table(
    compared: Compared, searches: Sequence[Search], bands: Sequence[str], generator: np.random.Generator
) -> Table:
    """Threshold of 90 % purity and depth of 90 % completeness by method, search and band.

    All methods share the resamples, so that what they have in common cancels in the error of a gain.
    """
    blocks = next((each.blocks for by_search in compared.values() for each in by_search.values()), 0)
    if not blocks:
        return make_table(DETECTION_FIELDS, [], DEFINITIONS)
    drawn = generator.multinomial(blocks, np.full(blocks, 1 / blocks), RESAMPLES)
    weights = np.concatenate([np.ones((1, blocks)), drawn])
    depths = {
        (method, search.name): _depths(by_search[search.name], search.bands, weights)
        for method, by_search in compared.items()
        for search in searches
    }
    rows = []
    for method, by_search in compared.items():
        for search in searches:
            here, matches = depths[method, search.name], by_search[search.name]
            listed = _above(matches, here.threshold[0]) | {"threshold_equal": np.nan}
            if REFERENCE in compared:
                listed["threshold_equal"] = equal_threshold(matches, compared[REFERENCE][search.name])
            for band in search.bands:
                samples = {"threshold": here.threshold, "limit_mag": here.limit[band]}
                for gain, other in (("single", bands[band]), ("combined", searches[-1].name)):
                    reference = depths.get((REFERENCE, other))
                    known = np.nan if reference is None else reference.limit[band]
                    samples[f"gain_{gain}"] = here.limit[band] - known
                head = {"method": method, "search": search.name, "band": bands[band]}
                rows.append({**head, **listed, **_with_errors(samples)})
    return make_table(DETECTION_FIELDS, rows, DEFINITIONS)


def _above(matches: Matches, threshold: float) -> dict[str, float]:
    """What is above a threshold, and out of what."""
    above = matches.score >= threshold
    purity = float(matches.true[above].mean()) if above.any() else np.nan
    found = {"detections": int(above.sum()), "purity": purity}
    return found | {"sources": matches.found.size, "area": matches.arcmin2}


def completeness_table(compared: Compared, searches: Sequence[Search], bands: Sequence[str]) -> Table:
    """Completeness by true magnitude, above the threshold of 90 % purity."""
    rows = []
    for method, by_search in compared.items():
        for search in searches:
            matches = by_search[search.name]
            threshold = threshold_at_purity(matches)
            for band in search.bands:
                edges = magnitude_bins(matches, band)
                listed, found = completeness(matches, band, threshold, edges)
                head = {"method": method, "search": search.name, "band": bands[band]}
                for number in np.flatnonzero(listed > 0):
                    share = _wilson(found[number], listed[number])
                    rows.append(
                        head
                        | {"low": edges[number], "high": edges[number + 1], "sources": int(listed[number])}
                        | dict(zip([field.name for field in COMPLETENESS_FIELDS[-3:]], share, strict=True))
                    )
    return make_table(COMPLETENESS_FIELDS, rows, DEFINITIONS)


def purity_table(compared: Compared, searches: Sequence[Search], lists: int = 40) -> Table:
    """Purity of lists of ever more detections, by method and search. lists : how many, at most."""
    rows = []
    for method, by_search in compared.items():
        for search in searches:
            matches = by_search[search.name]
            order = np.argsort(-matches.score, kind="stable")
            true = np.cumsum(matches.true[order])
            sizes: NDArray[np.intp] = np.unique(
                np.geomspace(1, max(1, order.size), lists).round().astype(np.intp)
            )
            for size in sizes[sizes <= order.size]:
                share = _wilson(true[size - 1], size)
                rows.append(
                    {
                        "method": method,
                        "search": search.name,
                        "threshold": matches.score[order][size - 1],
                        "detections": size / matches.arcmin2,
                        "true": true[size - 1] / matches.arcmin2,
                    }
                    | dict(zip([field.name for field in PURITY_FIELDS[-3:]], share, strict=True))
                )
    return make_table(PURITY_FIELDS, rows, DEFINITIONS)
