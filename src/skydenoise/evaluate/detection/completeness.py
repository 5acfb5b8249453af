"""Purity, completeness and depth of detections: what a list may hold that is nine tenths true."""

import numpy as np
from scipy.optimize import isotonic_regression

from skydenoise.evaluate.detection.matches import Matches
from skydenoise.evaluate.fluxes import magnitude_edges
from skydenoise.evaluate.statistics import Array

STEP = 0.25
"""Width of a bin of magnitudes."""
PURITY, COMPLETENESS = 0.9, 0.9


def threshold_at_purity(matches: Matches, weight: Array | None = None) -> float:
    """Lowest score at which at least `PURITY` of the detections above are true; NaN if there is none.

    weight : (blocks,), how often each block counts; once by default
    """
    times = np.ones(matches.score.size) if weight is None else weight[matches.detection_block]
    order = np.argsort(-matches.score, kind="stable")
    listed, true = np.cumsum(times[order]), np.cumsum((times * matches.true)[order])
    pure = np.flatnonzero((listed > 0) & (true >= PURITY * listed))
    return float(matches.score[order][pure[-1]]) if pure.size else float("nan")


def equal_threshold(matches: Matches, reference: Matches) -> float:
    """Score above which a method finds as many sources as the reference above its own 90 % purity.

    At these thresholds methods are equally deep: what they detect in pure noise can be compared, although a
    denoised flux is shrunk and so means less of a score. NaN if the reference has no such threshold; -inf if
    the method never finds so many.
    """
    count = int(np.sum(reference.found >= threshold_at_purity(reference)))
    return float(np.sort(matches.found)[::-1][count - 1]) if count else float("nan")


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
    below = np.flatnonzero(ratio < COMPLETENESS)
    if not below.size or below[0] == 0:
        return float("nan")
    after = below[0]
    part = (ratio[after - 1] - COMPLETENESS) / (ratio[after - 1] - ratio[after])
    return float(centres[after - 1] + part * (centres[after] - centres[after - 1]))
