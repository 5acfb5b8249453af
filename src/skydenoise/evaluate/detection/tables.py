"""Purity, completeness and depth of detections by method: the depth at 90 % of both, and their curves."""

from collections.abc import Mapping, Sequence

import numpy as np
from astropy.stats import binom_conf_interval
from astropy.table import Table
from scipy.optimize import isotonic_regression

from skydenoise.evaluate.detection.detect import searches
from skydenoise.evaluate.detection.matches import Compared, Matches
from skydenoise.evaluate.fluxes import magnitude_edges
from skydenoise.evaluate.statistics import Array
from skydenoise.evaluate.tables import declared_table

PURITY, COMPLETENESS = 0.9, 0.9
"""Of a list that is deep and can be relied on."""
STEP = 0.25
"""Width of a bin of magnitudes."""
RESAMPLES = 200
LISTS = 40
"""Of how many detections purity is told, at most."""
REFERENCE = "noisy"
"""Method to which depths are compared: the matched filter on the noisy image."""


def threshold_at_purity(matches: Matches, weight: Array | None = None) -> float:
    """Lowest score at which at least `PURITY` of the detections above are true; NaN if there is none.

    weight : (blocks,), how often each block counts; once by default
    """
    times = np.ones(matches.score.size) if weight is None else weight[matches.detection_block]
    order = np.argsort(-matches.score, kind="stable")
    listed, true = np.cumsum(times[order]), np.cumsum((times * matches.true)[order])
    pure = np.flatnonzero((listed > 0) & (true >= PURITY * listed))
    return float(matches.score[order][pure[-1]]) if pure.size else float("nan")


def found_edges(matches: Matches, band: int) -> Array:
    """Edges of bins of magnitude from the brightest source to the faintest one found."""
    magnitude = matches.magnitude[band]
    return magnitude_edges(magnitude[np.isfinite(magnitude) & np.isfinite(matches.found)], STEP)


def completeness(
    matches: Matches, band: int, threshold: float, weight: Array | None, edges: Array
) -> tuple[Array, Array]:
    """Sources, and those found at or above a threshold, per bin of true magnitude.

    weight : (blocks,), how often each block counts; once if None
    edges : (n + 1,)
    """
    times = np.ones(matches.found.size) if weight is None else weight[matches.source_block]
    magnitude = matches.magnitude[band]
    listed, _ = np.histogram(magnitude, edges, weights=times)
    found, _ = np.histogram(magnitude, edges, weights=times * (matches.found >= threshold))
    return listed, found


def magnitude_limit(edges: Array, listed: Array, found: Array) -> float:
    """Magnitude at which completeness falls through 0.9; NaN if it never is above, or never below.

    Completeness is made monotone by isotonic regression, then interpolated between the centres of bins.
    """
    filled = listed > 0
    if not filled.any():
        return float("nan")
    centres = ((edges[1:] + edges[:-1]) / 2)[filled]
    ratio = isotonic_regression(found[filled] / listed[filled], weights=listed[filled], increasing=False).x
    after = int(np.argmax(ratio < COMPLETENESS))  # 0 if it is below nowhere, or everywhere
    if after == 0:
        return float("nan")
    steps = ratio[[after, after - 1]], centres[[after, after - 1]]
    return float(np.interp(COMPLETENESS, *steps))


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
            edges = found_edges(matches, band)
            resamples = zip(thresholds[key], weights, strict=True)
            found = (completeness(matches, band, *each, edges) for each in resamples)
            limits[*key, band] = np.array([magnitude_limit(edges, *each) for each in found])
    rows = []
    for (method, search, band), limit in limits.items():
        matches, threshold = compared[method, search], thresholds[method, search]
        samples = {"threshold": threshold, "limit_mag": limit}
        for gain, other in (("single", bands[band]), ("combined", "+".join(bands))):
            samples[f"gain_{gain}"] = limit - limits.get((REFERENCE, other, band), np.nan)
        above = matches.score >= threshold[0]
        purity = float(matches.true[above].mean()) if above.any() else np.nan
        head = {"method": method, "search": search, "band": bands[band], "sources": matches.found.size}
        listed = {"detections": int(above.sum()), "purity": purity, "area": matches.arcmin2}
        rows.append(head | listed | _resampled(samples))
    return declared_table("detection", rows)


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
    return declared_table("completeness", rows)


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
    return declared_table("purity", rows)
