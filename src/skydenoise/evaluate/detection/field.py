"""Where a brick is searched for sources, how deep, and what is truly there."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from skydenoise.evaluate.aperture import ZERO_POINT
from skydenoise.evaluate.detection.matched import Depth, PointFilter, combined, depth, point_flux
from skydenoise.evaluate.images import Mask, pixel_scale
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


@dataclass(frozen=True, eq=False)
class SearchField:
    """Where a brick is searched, and what is there; n sources of its catalogue.

    depth : of the input
    searched : (y, x) bool, positions that count in every search
    x, y : (n,) float64, 0-based pixels
    magnitude : (band, n) float64, true total AB magnitude; inf without flux
    significance : (band, n) float64, total flux over the error of a point source there; outside of what the
        filter sees, over the median error
    body : (n,) float64, radius of the body of a bright source, pixels; 0 of others
    arcmin2 : area searched
    """

    depth: Depth
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


def search_field(known: KnownBrick, noise: NoiseModel, matched: PointFilter) -> SearchField:
    """The part of a brick in which every band can be searched: away from borders, gaps, masks and halos.

    Uses the catalogue's columns x, y, flux_<band> and, if it is there, saturated.

    matched : the matched filter
    """
    shape, area = known.brick.shape, pixel_scale(known.brick.headers[0]) ** 2
    limits = depth(noise.sigma(known.brick.invvar), known.measured, matched)
    x, y = known.places
    with np.errstate(divide="ignore"):
        magnitude = ZERO_POINT - 2.5 * np.log10(np.maximum(known.fluxes, 0))
    searched = limits.searched.all(axis=0) & away_from_borders(shape, matched)
    searched &= ~_halos(known, magnitude, np.sqrt(area))
    error = _known_errors(limits)
    rows, columns = (np.clip(pixel(at), 0, edge - 1) for at, edge in zip((y, x), shape, strict=True))
    significance = known.fluxes / error[:, rows, columns]
    shown = combined(point_flux(known.truth, np.ones_like(known.measured), matched) / error)
    bright = np.flatnonzero(np.maximum(combined(significance), significance.max(axis=0)) >= BRIGHT)
    body = np.zeros(x.size)
    body[bright] = [_body(shown, *at) for at in zip(x[bright], y[bright], strict=True)]
    arcmin2 = float(np.count_nonzero(searched) * area / 3600)
    return SearchField(limits, searched, x, y, magnitude, significance, body, arcmin2)


def away_from_borders(shape: tuple[int, int], matched: PointFilter) -> Mask:
    """Pixels (y, x) at which the whole filter lies inside the image: bool."""
    border = matched.psf.shape[1] // 2
    inside = np.zeros(shape, dtype=bool)
    inside[border : shape[0] - border, border : shape[1] - border] = True
    return inside


def pixel(position: Array) -> NDArray[np.intp]:
    """Number of the pixel that holds a 0-based position."""
    return np.rint(position).astype(np.intp)


def _known_errors(limits: Depth) -> Array:
    """Error of the flux at every pixel (band, y, x): the band's median where the filter does not see."""
    known = np.isfinite(limits.flux_error)
    planes = zip(limits.flux_error, known, strict=True)
    usual = [np.median(error[good]) if good.any() else np.inf for error, good in planes]
    return np.where(known, limits.flux_error, np.reshape(usual, (-1, 1, 1)))


def _halos(known: KnownBrick, magnitude: Array, pixel_scale: float) -> Mask:
    """Surroundings of saturated and very bright stars: (y, x) bool; pixel_scale in arcsec."""
    brightest = magnitude.min(axis=0, initial=np.inf)
    chosen = brightest < HALO_MAGNITUDE
    if "saturated" in known.sources.colnames:
        chosen |= np.asarray(known.sources["saturated"], dtype=bool)
    halo = np.zeros(known.brick.shape, dtype=bool)
    rows, columns = np.ogrid[: halo.shape[0], : halo.shape[1]]
    for x, y, mag in zip(*(at[chosen] for at in (*known.places, brightest)), strict=True):
        reach = HALO_ARCSEC * HALO_SLOPE**-mag / pixel_scale
        halo |= (columns - x) ** 2 + (rows - y) ** 2 < reach**2
    return halo


def _body(score: Array, x: float, y: float) -> float:
    """Pixels from a position to where the median of `score` (y, x) on circles around it falls below 1."""
    top, left = max(0, round(y) - BODY_LIMIT), max(0, round(x) - BODY_LIMIT)
    part = score[top : round(y) + BODY_LIMIT + 1, left : round(x) + BODY_LIMIT + 1]
    rows, columns = np.ogrid[: part.shape[0], : part.shape[1]]
    ring = np.rint(np.hypot(columns + left - x, rows + top - y)).astype(np.intp)
    order = np.argsort(ring, axis=None)
    edges = np.searchsorted(ring.ravel()[order], np.arange(1, BODY_LIMIT))
    for radius, values in enumerate(np.split(part.ravel()[order], edges)[:BODY_LIMIT]):
        if values.size and np.median(values) < BODY_ABOVE:
            return float(radius)
    return float(BODY_LIMIT)
