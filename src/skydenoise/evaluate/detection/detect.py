"""Where a brick is searched for sources, what is truly there, and the detections: local maxima of scores."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from skydenoise.evaluate.aperture import ZERO_POINT, inside_by
from skydenoise.evaluate.detection.matched import (
    PointFilter,
    combined,
    flux_errors,
    matched_filter,
    point_flux,
    smoothing_filter,
)
from skydenoise.evaluate.images import Image, Mask, pixel_scale, values_at
from skydenoise.evaluate.statistics import Array
from skydenoise.evaluate.truth.known import KnownBrick
from skydenoise.noise import NoiseModel

BRIGHT = 50.0
"""True significance, in one band or in all together, from which a source owns what is found on its body."""
BODY_ABOVE, BODY_LIMIT = 1.0, 150
"""A body reaches to where the median around it of the noise-free score falls below 1, or 150 pixels."""
HALO_MAGNITUDE, HALO_ARCSEC, HALO_SLOPE = 16.0, 1630.0, 1.396
"""Around saturated stars, and all that are brighter, 1630 * 1.396**-magnitude arcsec are left out: what the
survey flags BRIGHT and MEDIUM (legacypipe, DR8)."""
LEAST_SCORE = 0.1
"""Local maxima below are not looked at."""


@dataclass(frozen=True, eq=False)
class SearchField:
    """Where a brick is searched, and what is there; n sources of its catalogue.

    flux_error : (band, y, x) float64, of a point source in the input, see `flux_errors`
    searched : (y, x) bool, positions that count in every search
    x, y : (n,) float64, 0-based pixels
    magnitude : (band, n) float64, true total AB magnitude; inf without flux
    significance : (band, n) float64, total flux over the error of a point source there; outside of what the
        filter sees, over the median error
    body : (n,) float64, radius of the body of a bright source, pixels; 0 of others
    arcmin2 : area searched
    """

    flux_error: Array
    searched: Mask
    x: Array
    y: Array
    magnitude: Array
    significance: Array
    body: Array
    arcmin2: float

    def strength(self, bands: Sequence[int]) -> Array:
        """Significance of each source in some bands together: (n,)."""
        return combined(self.significance[list(bands)])


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


def search_field(known: KnownBrick, noise: NoiseModel, matched: PointFilter) -> SearchField:
    """The part of a brick in which every band can be searched: away from borders, gaps, masks and halos.

    matched : the matched filter
    """
    scale = pixel_scale(known.brick.headers[0])
    errors = flux_errors(noise.sigma(known.brick.invvar), known.measured, matched)
    x, y = known.places
    with np.errstate(divide="ignore"):
        magnitude = ZERO_POINT - 2.5 * np.log10(np.maximum(known.fluxes, 0))
    searched = searched_pixels(errors, matched) & ~_halos(known, magnitude, scale)
    finite = np.isfinite(errors)
    planes = zip(errors, finite, strict=True)
    usual = [np.median(error[good]) if good.any() else np.inf for error, good in planes]
    everywhere = np.where(finite, errors, np.reshape(usual, (-1, 1, 1)))
    significance = known.fluxes / values_at(everywhere, x, y)
    shown = combined(point_flux(known.truth, np.ones_like(known.measured), matched) / everywhere)
    bright = np.flatnonzero(np.maximum(combined(significance), significance.max(axis=0)) >= BRIGHT)
    body = np.zeros(x.size)
    body[bright] = [_body(shown, *at) for at in zip(x[bright], y[bright], strict=True)]
    arcmin2 = float(np.count_nonzero(searched) * scale**2 / 3600)
    return SearchField(errors, searched, x, y, magnitude, significance, body, arcmin2)


def searched_pixels(errors: Array, matched: PointFilter) -> Mask:
    """Pixels (y, x) at which the filter lies inside the image and sees enough in every band: bool."""
    border = matched.psf.shape[1] // 2
    searched = np.isfinite(errors).all(axis=0)
    columns, rows = np.meshgrid(*(np.arange(edge) for edge in searched.shape[::-1]))
    return np.asarray(searched & inside_by(border, columns, rows, searched.shape))


def _halos(known: KnownBrick, magnitude: Array, scale: float) -> Mask:
    """Surroundings of saturated and very bright stars: (y, x) bool; scale : arcsec per pixel."""
    brightest = magnitude.min(axis=0, initial=np.inf)
    chosen = (brightest < HALO_MAGNITUDE) | np.asarray(known.sources["saturated"], dtype=bool)
    halo = np.zeros(known.brick.shape, dtype=bool)
    rows, columns = np.ogrid[: halo.shape[0], : halo.shape[1]]
    for x, y, mag in zip(*(at[chosen] for at in (*known.places, brightest)), strict=True):
        reach = HALO_ARCSEC * HALO_SLOPE**-mag / scale
        halo |= (columns - x) ** 2 + (rows - y) ** 2 < reach**2
    return halo


def _body(score: Array, x: float, y: float) -> float:
    """Pixels from a position to where the median of `score` (y, x) on circles around it falls below 1."""
    top, left = max(0, round(y) - BODY_LIMIT), max(0, round(x) - BODY_LIMIT)
    part = score[top : round(y) + BODY_LIMIT + 1, left : round(x) + BODY_LIMIT + 1]
    rows, columns = np.ogrid[: part.shape[0], : part.shape[1]]
    ring = np.rint(np.hypot(columns + left - x, rows + top - y))
    median = np.ma.masked_invalid(ndimage.median(part, ring, np.arange(BODY_LIMIT)))
    low = np.flatnonzero(median.filled(np.inf) < BODY_ABOVE)
    return float(low[0]) if low.size else float(BODY_LIMIT)
