"""Detections: the local maxima of the scores of images, of bricks and of pure noise."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from skydenoise.evaluate.detection.field import SearchField, away_from_borders, search_field
from skydenoise.evaluate.detection.matched import (
    PointFilter,
    combined,
    depth,
    matched_filter,
    scores,
    smoothing_filter,
)
from skydenoise.evaluate.images import Image, Mask, Method, pixel_scale
from skydenoise.evaluate.statistics import Array
from skydenoise.evaluate.truth.known import KnownBrick
from skydenoise.io import Brick
from skydenoise.noise import NoiseModel

LEAST_SCORE = 0.1
"""Local maxima below are not looked at."""


@dataclass(frozen=True, eq=False)
class Peaks:
    """n local maxima of a score. x, y : (n,) float64, 0-based pixels; score : (n,) float64."""

    x: Array
    y: Array
    score: Array


@dataclass(frozen=True, eq=False)
class Detections:
    """Detections in all images of a brick.

    field : what is there
    searches : numbers of the bands that are searched together, by name; last all of them
    peaks : by method and the search's name
    """

    field: SearchField
    searches: Mapping[str, list[int]]
    peaks: Mapping[tuple[str, str], Peaks]

    def of_all_bands(self, method: str) -> Peaks:
        """What a method shows in all bands together."""
        return self.peaks[method, list(self.searches)[-1]]


def searches(bands: Sequence[str]) -> dict[str, list[int]]:
    """Each band alone ("r"), and last all of them ("g+r+z")."""
    return {name: [number] for number, name in enumerate(bands)} | {"+".join(bands): [*range(len(bands))]}


def detect(known: KnownBrick, methods: Mapping[str, Image], noise: NoiseModel, psf: Array) -> Detections:
    """Search every method's image in each band and in all bands together.

    known : gives the input's noise, what is measured, truth and catalogue
    methods : images (band, y, x) by method, nanomaggies; "noisy" is searched with the matched filter, others
        with a narrow Gaussian
    psf : point spread functions (band, 2R+1, 2R+1), such as `matched.moffats(known.psf_fwhm)`
    """
    matched, narrow = matched_filter(psf, noise), smoothing_filter(psf, noise)
    field, together = search_field(known, noise, matched), searches(known.brick.bands)
    peaks = {}
    for method, image in methods.items():
        score = scores(image, known.measured, field.depth, matched if method == "noisy" else narrow)
        for name, bands in together.items():
            peaks[method, name] = find_peaks(combined(score[bands]), field.searched)
    return Detections(field, together, peaks)


def find_peaks(score: NDArray, searched: Mask) -> Peaks:
    """Local maxima of `score` (y, x) in 5 x 5 pixels, where `searched` (y, x); highest first.

    A plateau is one maximum. Positions are those of parabolas through the neighbouring pixels.
    """
    high = (score == ndimage.maximum_filter(score, 5)) & searched & (score > LEAST_SCORE)
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


def noise_brick(brick: Brick, noise: NoiseModel, generator: np.random.Generator) -> Brick:
    """A brick with the same coverage and inverse variance, and noise alone, correlated as measured."""
    image = noise.draw(brick.image.shape, generator) * noise.sigma(brick.invvar)
    return replace(brick, image=image.astype(np.float32, copy=False))


def search_noise(
    drawn: Brick, method: Method, point_filter: PointFilter, matched: PointFilter, noise: NoiseModel
) -> tuple[Mapping[str, Peaks], float]:
    """What a method shows in a brick of pure noise (`noise_brick`), searched as `detect` does.

    A denoised flux is shrunk towards zero, so that equal scores say nothing. To be fair count above the
    thresholds at which methods find as many sources (`completeness.equal_threshold`, in detection.ecsv).

    point_filter : with which the method's image is searched
    matched : the matched filter, whose error in the input is the unit of all scores

    Returns peaks by the search's name, and the area searched, arcmin^2.
    """
    limits = depth(noise.sigma(drawn.invvar), drawn.usable, matched)
    searched = limits.searched.all(axis=0) & away_from_borders(drawn.shape, matched)
    score = scores(method(drawn), drawn.usable, limits, point_filter)
    together = searches(drawn.bands).items()
    peaks = {name: find_peaks(combined(score[bands]), searched) for name, bands in together}
    return peaks, float(np.count_nonzero(searched)) * pixel_scale(drawn.headers[0]) ** 2 / 3600
