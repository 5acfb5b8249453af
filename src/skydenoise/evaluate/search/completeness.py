"""Purity, completeness and depth of detections: what a list may hold that is nine tenths true."""

from collections.abc import Sequence

import numpy as np
from scipy.optimize import isotonic_regression

from skydenoise.evaluate.search.detection import Matches
from skydenoise.evaluate.statistics import Array

STEP = 0.25
"""Width of a bin of magnitudes."""
PURITY, COMPLETENESS = 0.9, 0.9


def pool_matches(parts: Sequence[Matches]) -> Matches:
    """Detections and sources of several bricks side by side, their blocks numbered through."""
    blocks = np.array([part.blocks for part in parts])
    first = np.cumsum(blocks) - blocks
    return Matches(
        score=np.concatenate([part.score for part in parts]),
        true=np.concatenate([part.true for part in parts]),
        detection_block=np.concatenate(
            [part.detection_block + start for part, start in zip(parts, first, strict=True)]
        ),
        found=np.concatenate([part.found for part in parts]),
        magnitude=np.concatenate([part.magnitude for part in parts], axis=1),
        source_block=np.concatenate(
            [part.source_block + start for part, start in zip(parts, first, strict=True)]
        ),
        blocks=int(blocks.sum()),
        arcmin2=sum(part.arcmin2 for part in parts),
    )


def threshold_at_purity(matches: Matches, purity: float = PURITY, weight: Array | None = None) -> float:
    """Lowest score at which at least `purity` of the detections above are true; NaN if there is none.

    weight : (blocks,), how often each block counts; once by default
    """
    times = np.ones(matches.score.size) if weight is None else weight[matches.detection_block]
    order = np.argsort(-matches.score, kind="stable")
    listed = np.cumsum(times[order])
    true = np.cumsum((times * matches.true)[order])
    pure = np.flatnonzero((listed > 0) & (true >= purity * listed))
    return float(matches.score[order][pure[-1]]) if pure.size else float("nan")


def equal_threshold(matches: Matches, reference: Matches) -> float:
    """Score above which a method finds as many sources as the reference above its own 90 % purity.

    At these thresholds methods are equally deep: what they detect in pure noise can be compared, although a
    restored flux is shrunk and so means less of a score. NaN if the reference has no such threshold; -inf if
    the method never finds so many.
    """
    count = int(np.sum(reference.found >= threshold_at_purity(reference)))
    if not count:
        return float("nan")
    return float(np.sort(matches.found)[::-1][count - 1])


def magnitude_bins(matches: Matches, band: int) -> Array:
    """Edges of bins from the brightest source to the faintest one found."""
    magnitude = matches.magnitude[band]
    magnitude = magnitude[np.isfinite(magnitude) & np.isfinite(matches.found)]
    if not magnitude.size:
        return np.zeros(1)
    first, last = np.floor(magnitude.min() / STEP), np.floor(magnitude.max() / STEP)
    return np.asarray(STEP * np.arange(first, last + 2))


def completeness(
    matches: Matches, band: int, threshold: float, edges: Array, weight: Array | None = None
) -> tuple[Array, Array]:
    """Sources, and those found at or above a threshold, per bin of true magnitude.

    edges : (n + 1,)
    weight : (blocks,), how often each block counts; once by default
    """
    times = np.ones(matches.found.size) if weight is None else weight[matches.source_block]
    magnitude = matches.magnitude[band]
    listed, _ = np.histogram(magnitude, edges, weights=times)
    found, _ = np.histogram(magnitude, edges, weights=times * (matches.found >= threshold))
    return listed, found


def magnitude_limit(edges: Array, listed: Array, found: Array, share: float = COMPLETENESS) -> float:
    """Magnitude at which completeness falls through `share`; NaN if it never is above, or never below.

    Completeness is made monotone by isotonic regression, then interpolated between the centres of bins.
    """
    filled = listed > 0
    if not filled.any():
        return float("nan")
    centres = ((edges[1:] + edges[:-1]) / 2)[filled]
    ratio = isotonic_regression(found[filled] / listed[filled], weights=listed[filled], increasing=False).x
    below = np.flatnonzero(ratio < share)
    if not below.size or below[0] == 0:
        return float("nan")
    after = below[0]
    part = (ratio[after - 1] - share) / (ratio[after - 1] - ratio[after])
    return float(centres[after - 1] + part * (centres[after] - centres[after - 1]))
