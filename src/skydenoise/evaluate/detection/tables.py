"""Tables of detections by method: depth at 90 % purity and completeness, and the curves of both."""

from collections.abc import Mapping, Sequence

import numpy as np
from astropy.stats import binom_conf_interval
from astropy.table import Table

from skydenoise.evaluate.detection.completeness import (
    PURITY,
    STEP,
    completeness,
    equal_threshold,
    found_edges,
    magnitude_limit,
    threshold_at_purity,
)
from skydenoise.evaluate.detection.detect import searches
from skydenoise.evaluate.detection.field import BRIGHT
from skydenoise.evaluate.detection.matches import BLEND_RADIUS, MATCH_RADIUS, TRUE_FLOOR, Compared, Matches
from skydenoise.evaluate.statistics import Array
from skydenoise.evaluate.tables import Field, make_table, with_errors

RESAMPLES = 200
LISTS = 40
"""Of how many detections purity is told, at most."""
REFERENCE = "noisy"
"""Method to which depths are compared: the matched filter on the noisy image."""

_SEARCH = (
    Field("method", "image in which was searched; noisy: the matched filter itself", dtype=str),
    Field("search", "bands in which was searched together", dtype=str),
)
_BAND = Field("band", "band of the magnitudes", dtype=str)
_BOOTSTRAP = "bootstrap over blocks of 64 x 64 pixels"
_EQUAL = (
    "score above which it finds as many sources as the matched filter above its threshold in the same "
    "search: at these, false detections of methods can be compared"
)
_LIMIT = "magnitude at which completeness above the threshold falls through 90 %"
_GAINS = (
    Field("gain_single", "limit_mag minus that of the matched filter in this band alone", "mag"),
    Field("gain_combined", "limit_mag minus that of the matched filter in all bands together", "mag"),
)

DETECTION_FIELDS = (
    *_SEARCH,
    _BAND,
    *Field("threshold", "least score of the longest list of that purity").with_error(_BOOTSTRAP),
    Field("detections", "detections above the threshold", "", int),
    Field("purity", "share of them that is true"),
    *Field("limit_mag", _LIMIT, "mag").with_error(_BOOTSTRAP),
    Field("threshold_equal", _EQUAL),
    *with_errors(_BOOTSTRAP, *_GAINS),
    Field("sources", "sources that count in completeness", "", int),
    Field("area", "area searched", "arcmin2"),
)


def _with_interval(name: str, description: str) -> tuple[Field, ...]:
    ends = ("low", "lower"), ("high", "upper")
    wilson = (Field(f"{name}_{end}", f"{word} end of the 68 % Wilson interval") for end, word in ends)
    return Field(name, description), *wilson


COMPLETENESS_FIELDS = (
    *_SEARCH,
    _BAND,
    Field("low", "lower edge of the bin of true total magnitude", "mag"),
    Field("high", "upper edge", "mag"),
    Field("sources", "sources in the bin that count", "", int),
    *_with_interval("completeness", "share of them found above the threshold of detection.ecsv"),
)

PURITY_FIELDS = (
    *_SEARCH,
    Field("threshold", "least score of the list"),
    Field("detections", "detections per area", "arcmin-2"),
    Field("true", "true ones per area", "arcmin-2"),
    *_with_interval("purity", "share that is true"),
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


def _resampled(samples: Mapping[str, Array]) -> dict[str, float]:
    """Of each the first, and the scatter of the others; NaN if fewer than half of them are known."""
    row: dict[str, float] = {}
    for name, values in samples.items():
        others = values[1:][np.isfinite(values[1:])]
        known = np.isfinite(values[0]) and others.size >= max(2, (values.size - 1) / 2)
        row |= {name: float(values[0]), f"{name}_err": float(others.std(ddof=1)) if known else np.nan}
    return row


def _share(name: str, part: float, total: float) -> dict[str, float]:
    """Columns of a share and its 68 % interval."""
    low, high = binom_conf_interval(part, total, interval="wilson")
    return {name: part / total, f"{name}_low": float(low), f"{name}_high": float(high)}


def _limits(matches: Matches, band: int, thresholds: Array, weights: Array) -> Array:
    """Limiting magnitude above each threshold: (n,). weights : (n, blocks)."""
    edges = found_edges(matches, band)
    resamples = zip(thresholds, weights, strict=True)
    return np.array(
        [magnitude_limit(edges, *completeness(matches, band, *each, edges)) for each in resamples]
    )


def detection_table(compared: Compared, bands: Sequence[str], generator: np.random.Generator) -> Table:
    """Threshold of 90 % purity and depth of 90 % completeness by method, search and band.

    All methods share the resamples, so that what they have in common cancels in the error of a gain.
    """
    blocks, together = next((matches.blocks for matches in compared.values()), 1), searches(bands)
    drawn = generator.multinomial(blocks, np.full(blocks, 1 / blocks), RESAMPLES)
    weights = np.concatenate([np.ones((1, blocks)), drawn])
    thresholds, limits = {}, {}
    for key, matches in compared.items():
        thresholds[key] = np.array([threshold_at_purity(matches, weight) for weight in weights])
        for band in together[key[1]]:
            limits[*key, band] = _limits(matches, band, thresholds[key], weights)
    rows = []
    for (method, search, band), limit in limits.items():
        matches, threshold = compared[method, search], thresholds[method, search]
        samples = {"threshold": threshold, "limit_mag": limit}
        for gain, other in (("single", bands[band]), ("combined", "+".join(bands))):
            samples[f"gain_{gain}"] = limit - limits.get((REFERENCE, other, band), np.nan)
        head = {"method": method, "search": search, "band": bands[band]}
        reference = compared.get((REFERENCE, search))
        equal = equal_threshold(matches, reference) if reference else np.nan
        listed = _above(matches, threshold[0])
        rows.append({**head, **listed, "threshold_equal": equal, **_resampled(samples)})
    return make_table(DETECTION_FIELDS, rows, DEFINITIONS)


def _above(matches: Matches, threshold: float) -> dict[str, float]:
    """What is above a threshold, and out of what."""
    above = matches.score >= threshold
    purity = float(matches.true[above].mean()) if above.any() else np.nan
    found = {"detections": int(above.sum()), "purity": purity}
    return found | {"sources": matches.found.size, "area": matches.arcmin2}


def completeness_table(compared: Compared, bands: Sequence[str]) -> Table:
    """Completeness by true magnitude, above the threshold of 90 % purity."""
    rows = []
    for (method, search), matches in compared.items():
        threshold = threshold_at_purity(matches)
        for band in searches(bands)[search]:
            edges = found_edges(matches, band)
            listed, found = completeness(matches, band, threshold, None, edges)
            head = {"method": method, "search": search, "band": bands[band]}
            for bin_ in np.flatnonzero(listed):
                row = {"low": edges[bin_], "high": edges[bin_ + 1], "sources": int(listed[bin_])}
                rows.append({**head, **row, **_share("completeness", found[bin_], listed[bin_])})
    return make_table(COMPLETENESS_FIELDS, rows, DEFINITIONS)


def purity_table(compared: Compared) -> Table:
    """Purity of lists of ever more detections, by method and search."""
    rows = []
    for (method, search), matches in compared.items():
        order = np.argsort(-matches.score, kind="stable")
        score, true = matches.score[order], np.cumsum(matches.true[order])
        sizes = np.unique(np.geomspace(1, max(1, order.size), LISTS).round().astype(np.intp))
        for size in sizes[sizes <= order.size]:
            head = {"method": method, "search": search, "threshold": score[size - 1]}
            per_area = {"detections": size / matches.arcmin2, "true": true[size - 1] / matches.arcmin2}
            rows.append({**head, **per_area, **_share("purity", true[size - 1], size)})
    return make_table(PURITY_FIELDS, rows, DEFINITIONS)
