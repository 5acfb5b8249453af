"""Detections: the local maxima of the scores of images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from skydenoise.evaluate.detection.field import SearchField, search_field
from skydenoise.evaluate.detection.matched import combined, matched_filter, point_flux, smoothing_filter
from skydenoise.evaluate.images import Image, Mask
from skydenoise.evaluate.statistics import Array
from skydenoise.evaluate.truth.known import KnownBrick
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
        flux = point_flux(image, known.measured, matched if method == "noisy" else narrow)
        for name, bands in together.items():
            score = combined(flux[bands] / field.flux_error[bands])
            peaks[method, name] = find_peaks(score, field.searched)
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
