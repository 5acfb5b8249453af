"""Detections in an image, and which true sources they are."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from skydenoise.evaluate.scene import Image, Mask, Scene
from skydenoise.evaluate.search.matched import (
    PointFilter,
    combined,
    matched_filter,
    scores,
    smoothing_filter,
)
from skydenoise.evaluate.search.searchfield import BRIGHT, Search, SearchField, pixel, search_field, searches
from skydenoise.evaluate.statistics import Array, block_index
from skydenoise.noise import NoiseModel

MATCH_RADIUS = 3.0
"""Pixels between a detection and its source at most."""
BLEND_RADIUS = 10.0
"""A source with a more significant one within this many pixels is a blend: completeness leaves it out. Twice
the width of the survey's seeing: the matched filter, which blurs once more, merges what is closer."""
TRUE_FLOOR = 1.0
"""Least true significance of a source in the bands searched, for a detection of it to be a true one."""
LEAST_SCORE = 0.1
"""Local maxima below are not looked at."""


@dataclass(frozen=True, eq=False)
class Peaks:
    """n local maxima of a score. x, y : (n,) float64, 0-based pixels; score : (n,) float64."""

    x: Array
    y: Array
    score: Array


def find_peaks(score: NDArray, searched: Mask, least: float = LEAST_SCORE) -> Peaks:
    """Local maxima of `score` (y, x) in 5 x 5 pixels, where `searched` (y, x), above `least`; highest first.

    A plateau is one maximum. Positions are those of parabolas through the neighbouring pixels.
    """
    high = (score == ndimage.maximum_filter(score, 5)) & searched & (score > least)
    high[[0, -1], :] = high[:, [0, -1]] = False
    plateaus, _ = ndimage.label(high, np.ones((3, 3)))
    flat = np.flatnonzero(plateaus)
    _, first = np.unique(plateaus.ravel()[flat], return_index=True)
    y, x = np.unravel_index(flat[first], score.shape)
    value = score[y, x]
    order = np.argsort(value)[::-1]
    along_y = _vertex(score[y - 1, x], value, score[y + 1, x])
    along_x = _vertex(score[y, x - 1], value, score[y, x + 1])
    return Peaks((x + along_x)[order], (y + along_y)[order], value[order])


def _vertex(before: Array, middle: Array, after: Array) -> Array:
    """Where a parabola through -1, 0, 1 has its maximum, if the middle one is not the least."""
    curvature = before - 2 * middle + after
    shift = np.divide(before - after, 2 * curvature, out=np.zeros(middle.shape), where=curvature < 0)
    return np.clip(shift, -0.5, 0.5)


@dataclass(frozen=True, eq=False)
class SceneDetections:
    """Detections in all images of a brick.

    field : what is there
    searches : bands that are searched together
    peaks : by method and by the search's name
    """

    field: SearchField
    searches: tuple[Search, ...]
    peaks: Mapping[str, Mapping[str, Peaks]]

    def compare(self) -> dict[str, dict[str, "Matches"]]:
        """What is true and what is found, by method and by the search's name."""
        return {
            method: {
                search.name: compare(by_search[search.name], search, self.field) for search in self.searches
            }
            for method, by_search in self.peaks.items()
        }


def detect(
    scene: Scene,
    methods: Mapping[str, Image],
    noise: NoiseModel,
    psf: Array,
    filters: Mapping[str, PointFilter] | None = None,
) -> SceneDetections:
    """Search every method's image in each band and in all bands together.

    Parameters
    ----------
    scene
        gives the input's noise, what is measured, truth and catalogue
    methods
        images (band, y, x) by method, nanomaggies; "noisy" is searched with the matched filter
    noise
        as measured
    psf
        point spread functions (band, 2R+1, 2R+1), such as `matched.moffats(scene.psf_fwhm)`
    filters
        of methods that are not to be searched with the narrow Gaussian of `matched.smoothing_filter`
    """
    matched, narrow = matched_filter(psf, noise), smoothing_filter(psf, noise)
    chosen = {"noisy": matched} | dict(filters or {})
    field = search_field(scene, noise, matched)
    together = tuple(searches(scene.brick.bands))
    peaks = {}
    for method, image in methods.items():
        score = scores(image, scene.measured, field.depth, chosen.get(method, narrow))
        peaks[method] = {
            search.name: find_peaks(combined(score[list(search.bands)]), field.searched)
            for search in together
        }
    return SceneDetections(field, together, peaks)


def match(peaks: Peaks, x: Array, y: Array, brightness: Array) -> NDArray[np.intp]:
    """Number of the peak that is each of n sources, -1 if none is; a peak is one source at most.

    In order of brightness each source takes the highest peak within `MATCH_RADIUS` that is left. So the peaks
    above any threshold are matched as if there were no others.

    x, y, brightness : (n,)
    """
    chosen = np.full(x.size, -1, dtype=np.intp)
    if not (x.size and peaks.x.size):
        return chosen
    tree = cKDTree(np.column_stack([peaks.x, peaks.y]))
    near = tree.query_ball_point(np.column_stack([x, y]), MATCH_RADIUS)
    taken = np.zeros(peaks.x.size, dtype=bool)
    for source in np.argsort(-brightness, kind="stable"):
        free = [peak for peak in near[source] if not taken[peak]]
        if free:
            chosen[source] = max(free, key=lambda peak: peaks.score[peak])
            taken[chosen[source]] = True
    return chosen


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


def compare(peaks: Peaks, search: Search, field: SearchField) -> Matches:
    """Which detections are true and which sources were found.

    - True: a source whose significance in this search is at least `TRUE_FLOOR` lies within `MATCH_RADIUS`.
    - A false detection on the body of a source of at least `BRIGHT` is a part of it: it does not count.
      Neither do fainter sources there, nor blends, in completeness; where they are found they are true.
    """
    strength = combined(field.significance[list(search.bands)])
    real = np.flatnonzero(strength >= TRUE_FLOOR)
    chosen = match(peaks, field.x[real], field.y[real], strength[real])
    matched, chosen = real[chosen >= 0], chosen[chosen >= 0]
    true = np.zeros(peaks.x.size, dtype=bool)
    true[chosen] = True
    found = np.full(strength.size, -np.inf)
    found[matched] = peaks.score[chosen]
    counts = true | ~_on_bodies(peaks.x, peaks.y, strength, field)
    listed = _inside(field.x, field.y, field.searched) & ~_outshone(strength, field)
    index = block_index(field.searched.shape)
    return Matches(
        score=peaks.score[counts],
        true=true[counts],
        detection_block=index[pixel(peaks.y[counts]), pixel(peaks.x[counts])],
        found=found[listed],
        magnitude=field.magnitude[:, listed],
        source_block=index[pixel(field.y[listed]), pixel(field.x[listed])],
        blocks=int(index[-1, -1]) + 1,
        arcmin2=field.arcmin2,
    )


def _inside(x: Array, y: Array, where: Mask) -> NDArray[np.bool_]:
    """Positions on pixels of `where` (y, x): (n,) bool; False beyond its borders."""
    inside = np.logical_and.reduce(
        [(pixel(at) >= 0) & (pixel(at) < edge) for at, edge in zip((y, x), where.shape, strict=True)]
    )
    inside[inside] = where[pixel(y[inside]), pixel(x[inside])]
    return inside


def _on_bodies(x: Array, y: Array, strength: Array, field: SearchField) -> NDArray[np.bool_]:
    """Positions on the body of a source of at least `BRIGHT`: (n,) bool."""
    on = np.zeros(x.size, dtype=bool)
    bright = np.flatnonzero(strength >= BRIGHT)
    if x.size and bright.size:
        centres = np.column_stack([field.x[bright], field.y[bright]])
        for members in cKDTree(np.column_stack([x, y])).query_ball_point(centres, field.body[bright]):
            on[members] = True
    return on


def _outshone(strength: Array, field: SearchField) -> NDArray[np.bool_]:
    """Sources close to a more significant one, or on the body of a bright one: (n,) bool."""
    outshone = np.zeros(strength.size, dtype=bool)
    if not strength.size:
        return outshone
    tree = cKDTree(np.column_stack([field.x, field.y]))
    pairs = tree.query_pairs(BLEND_RADIUS, output_type="ndarray")
    first_is_weaker = strength[pairs[:, 0]] < strength[pairs[:, 1]]
    outshone[np.where(first_is_weaker, pairs[:, 0], pairs[:, 1])] = True
    for source in np.flatnonzero(strength >= BRIGHT):
        members = np.array(tree.query_ball_point(tree.data[source], field.body[source]))
        outshone[members[strength[members] < strength[source]]] = True
    return outshone
