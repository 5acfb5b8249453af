"""Which detections are true, and which sources were found."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from skydenoise.evaluate.detection.detect import BRIGHT, Detections, Peaks, SearchField
from skydenoise.evaluate.images import values_at
from skydenoise.evaluate.statistics import Array, Blocks, joined

MATCH_RADIUS = 3.0
"""Pixels between a detection and its source at most."""
BLEND_RADIUS = 10.0
"""A source with a more significant one within this many pixels is a blend: completeness leaves it out. Twice
the width of the survey's seeing: the matched filter, which blurs once more, merges what is closer."""
TRUE_FLOOR = 1.0
"""Least true significance of a source in the bands searched, for a detection of it to be a true one."""


@dataclass(frozen=True, eq=False)
class Matches:
    """Detections and sources that count, of one method and search; d detections, s sources.

    score : (d,) float64
    true : (d,) bool, whether it is a source of at least `TRUE_FLOOR`
    detection_block : (d,) int, number of the image block it lies in
    found : (s,) float64, score of the detection of each source; -inf without
    magnitude : (band, s) float64, true
    source_block : (s,) int
    blocks : how many there are
    arcmin2 : area searched
    """

    score: Array
    true: NDArray[np.bool_]
    detection_block: NDArray[np.intp]
    found: Array
    magnitude: Array
    source_block: NDArray[np.intp]
    blocks: int
    arcmin2: float


Compared = Mapping[tuple[str, str], Matches]
"""Matches by method and the search's name."""


def match(peaks: Peaks, x: Array, y: Array, brightness: Array) -> NDArray[np.intp]:
    """Number of the peak that is each of n sources, -1 if none is; a peak is one source at most.

    In order of brightness each source takes the highest peak within `MATCH_RADIUS` that is left. So the peaks
    above any threshold are matched as if there were no others.

    x, y, brightness : (n,)
    """
    chosen = np.full(x.size, -1, dtype=np.intp)
    taken: set[int] = set()
    near = _near(peaks.x, peaks.y, x, y, MATCH_RADIUS)
    for source in np.argsort(-brightness, kind="stable"):
        if free := set(near[source]) - taken:
            chosen[source] = max(sorted(free), key=lambda peak: peaks.score[peak])
            taken.add(chosen[source])
    return chosen


def _near(x: Array, y: Array, at_x: Array, at_y: Array, radius: Array | float) -> Sequence[list[int]]:
    """Which of the places x, y lie within a radius of each of n others."""
    if not (x.size and at_x.size):
        return [[]] * at_x.size
    return cKDTree(np.column_stack([x, y])).query_ball_point(np.column_stack([at_x, at_y]), radius)


def compare(found: Detections) -> dict[tuple[str, str], Matches]:
    """What is true and what is found in every image of a brick, by method and the search's name."""
    return {
        (method, name): compare_peaks(peaks, found.field, found.searches[name])
        for (method, name), peaks in found.peaks.items()
    }


def compare_peaks(peaks: Peaks, field: SearchField, bands: Sequence[int]) -> Matches:
    """Which detections in some bands, taken together, are true and which sources were found.

    - True: a source whose significance in this search is at least `TRUE_FLOOR` lies within `MATCH_RADIUS`.
    - A false detection on the body of a source of at least `BRIGHT` is a part of it: it does not count.
      Neither do fainter sources there, nor blends, in completeness; where they are found they are true.
    """
    strength = field.strength(bands)
    real = np.flatnonzero(strength >= TRUE_FLOOR)
    chosen = match(peaks, field.x[real], field.y[real], strength[real])
    matched, chosen = real[chosen >= 0], chosen[chosen >= 0]
    true = np.zeros(peaks.x.size, dtype=bool)
    true[chosen] = True
    counts = np.ones(peaks.x.size, dtype=bool)
    for _, members in _on_bodies(peaks.x, peaks.y, strength, field):
        counts[members] = true[members]
    found = np.full(strength.size, -np.inf)
    found[matched] = peaks.score[chosen]
    listed = values_at(field.searched, field.x, field.y) & ~_outshone(strength, field)
    blocks = Blocks(field.searched.shape)
    return Matches(
        score=peaks.score[counts],
        true=true[counts],
        detection_block=values_at(blocks.index, peaks.x[counts], peaks.y[counts]),
        found=found[listed],
        magnitude=field.magnitude[:, listed],
        source_block=values_at(blocks.index, field.x[listed], field.y[listed]),
        blocks=blocks.count,
        arcmin2=field.arcmin2,
    )


def _outshone(strength: Array, field: SearchField) -> NDArray[np.bool_]:
    """Sources close to a more significant one, or on the body of a bright one: (n,) bool."""
    outshone = np.zeros(strength.size, dtype=bool)
    near = enumerate(_near(field.x, field.y, field.x, field.y, BLEND_RADIUS))
    for source, members in [*near, *_on_bodies(field.x, field.y, strength, field)]:
        others = np.asarray(members, dtype=np.intp)
        outshone[others[strength[others] < strength[source]]] = True
    return outshone


def _on_bodies(x: Array, y: Array, strength: Array, field: SearchField) -> Iterator[tuple[int, list[int]]]:
    """Each source of at least `BRIGHT`, and which of the positions (n,) lie on its body."""
    bright = np.flatnonzero(strength >= BRIGHT)
    near = _near(x, y, field.x[bright], field.y[bright], field.body[bright])
    return zip(bright.tolist(), near, strict=True)


def pool(parts: Sequence[Compared]) -> Compared:
    """Matches of all bricks together, their blocks numbered through; empty without a brick."""
    blocks = [next(iter(part.values())).blocks for part in parts]
    numbered = zip(parts, np.cumsum(blocks) - blocks, strict=True)
    return joined([{key: _shifted(part[key], first) for key in part} for part, first in numbered])


def _shifted(part: Matches, first: int) -> Matches:
    found, sources = part.detection_block + first, part.source_block + first
    return replace(part, detection_block=found, source_block=sources)
