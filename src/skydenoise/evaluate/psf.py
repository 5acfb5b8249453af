"""The point spread function: its model, the shape of a star, its width on the bright stars of a brick."""

import logging
from functools import cache

import galsim
import numpy as np
import sep
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from skydenoise.errors import BrickError
from skydenoise.evaluate.images import Mask
from skydenoise.io import Brick
from skydenoise.noise import NoiseModel

_log = logging.getLogger(__name__)

BETA = 3.5
"""Exponent of the Moffat profile that stands for the point spread function: that of DECam's cores."""
THRESHOLD = 10.0
"""Significance of a pixel in which stars are looked for."""
BRIGHT = 50.0
"""Least signal-to-noise ratio of a star in the circle of its stamp."""
STAMP = 15
"""Pixels from a star's centre to the edge of its stamp; every one of them must be measured."""
GAUSSIAN_FWHM = 2.3548
"""Full width at half maximum of a Gaussian over its standard deviation."""
LOCUS = 1.08
"""Stars' half-light radii are within this factor of the smallest (10th percentile) of bright sources."""


def moffat(fwhm: float) -> galsim.Moffat:
    """The point spread function, of unit flux; lengths in pixels."""
    return galsim.Moffat(beta=BETA, fwhm=fwhm)


def moffat_image(fwhm: float, radius: int) -> NDArray[np.float64]:
    """`moffat` on pixels, brought to sum 1: (2 radius + 1, 2 radius + 1); fwhm with the pixel response."""
    size = 2 * radius + 1
    drawn = moffat(fwhm).drawImage(nx=size, ny=size, scale=1, method="no_pixel", dtype=float).array
    return np.asarray(drawn / drawn.sum())


def stamp_around(x: float, y: float) -> tuple[slice, slice]:
    """Rows and columns around a position."""
    row, column = round(y), round(x)
    return slice(row - STAMP, row + STAMP + 1), slice(column - STAMP, column + STAMP + 1)


def whole_stamps(x: NDArray, y: NDArray, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Positions (n,) whose stamp lies inside an image of this shape (y, x): bool."""
    height, width = shape
    return (np.minimum(x, y) >= STAMP) & (x <= width - 1 - STAMP) & (y <= height - 1 - STAMP)


def star_shape(image: NDArray, x: float, y: float) -> tuple[float, float, float]:
    """Full width at half maximum (pixels), e1 and e2 of the star at a 0-based position of `image` (y, x).

    inf, all three, if the moments do not converge.
    """
    pixels = np.ascontiguousarray(image[stamp_around(x, y)], dtype=np.float64)
    stamp = galsim.Image(pixels, xmin=round(x) - STAMP, ymin=round(y) - STAMP, scale=1)
    start = {"guess_sig": 2.0, "guess_centroid": galsim.PositionD(x, y)}
    found = galsim.hsm.FindAdaptiveMom(stamp, strict=False, **start)
    if found.moments_status != 0:
        return np.inf, np.inf, np.inf
    return GAUSSIAN_FWHM * found.moments_sigma, found.observed_shape.e1, found.observed_shape.e2


@cache
def _fwhm_over_gaussian() -> float:
    """Full width at half maximum of `moffat` over that of the Gaussian of its adaptive moments."""
    size = 4 * STAMP + 1
    image = moffat(6.0).drawImage(nx=size, ny=size, scale=1, method="no_pixel")
    return float(6.0 / (GAUSSIAN_FWHM * galsim.hsm.FindAdaptiveMom(image).moments_sigma))


def measure_fwhm(brick: Brick, noise: NoiseModel) -> tuple[float, ...]:
    """Full width at half maximum of stars in each band, pixels: median over stars of their adaptive moments.

    (Hirata & Seljak 2003, MNRAS 343, 459, as GalSim implements it.) It is the width of the image as it is,
    pixels included; where the seeing differs within a brick, that of its sharpest part. A band without a star
    gets the median of the others.

    Raises
    ------
    BrickError : no band has a star
    """
    sigma = noise.sigma(brick.invvar)
    widths = [star_widths(*planes) for planes in zip(brick.image, brick.usable, sigma, strict=True)]
    fwhm = np.array([np.median(found) if found.size else np.nan for found in widths])
    if np.isnan(fwhm).all():
        raise BrickError("no isolated bright star to measure the width of the seeing on", brick=brick.name)
    for band, found, width in zip(brick.bands, widths, fwhm, strict=True):
        if found.size:
            error = 1.2533 * 1.4826 * np.median(np.abs(found - width)) / np.sqrt(found.size)
            _log.info("%s, %s: FWHM %.3f +- %.3f px, stars: %d", brick.name, band, width, error, found.size)
        else:
            _log.warning("%s, %s: no star, its FWHM is taken from the other bands", brick.name, band)
    return tuple(float(width) for width in np.where(np.isnan(fwhm), np.nanmedian(fwhm), fwhm))


def star_widths(image: NDArray, usable: Mask, sigma: NDArray) -> NDArray[np.float64]:
    """Full widths at half maximum, pixels, of the stars of one band: (stars,), may be empty.

    image, sigma : (y, x) float32, nanomaggies
    usable : (y, x) bool
    """
    pixels = np.ascontiguousarray(np.where(usable, image, 0), dtype=np.float32)
    error = np.ascontiguousarray(np.where(usable, sigma, 1), dtype=np.float32)
    found = sep.extract(pixels, THRESHOLD, err=error, mask=~usable, minarea=9, deblend_cont=0.005)
    found = found[_alone(found["x"], found["y"], usable)]
    flux, doubt, _ = sep.sum_circle(pixels, found["x"], found["y"], STAMP / 2.0, err=error)
    bright = flux > BRIGHT * doubt
    if not bright.any():
        return np.empty(0)
    x, y, edge = found["x"][bright], found["y"][bright], np.full(bright.sum(), float(STAMP))
    radius, _ = sep.flux_radius(pixels, x, y, edge, 0.5, normflux=flux[bright], subpix=5)
    stars = np.abs(np.log(radius / np.quantile(radius, 0.1))) < np.log(LOCUS)
    fwhm = np.array([star_shape(pixels, *at)[0] for at in zip(x[stars], y[stars], strict=True)])
    return fwhm[np.isfinite(fwhm)] * _fwhm_over_gaussian()


def _alone(x: NDArray, y: NDArray, usable: Mask) -> NDArray[np.bool_]:
    """Sources whose stamp lies inside the image, is usable all over and holds no other source."""
    alone = whole_stamps(x, y, usable.shape)
    for one in np.flatnonzero(alone):
        alone[one] = usable[stamp_around(x[one], y[one])].all()
    pairs = cKDTree(np.column_stack([x, y])).query_pairs(STAMP * 2**0.5, output_type="ndarray")
    alone[pairs.ravel()] = False
    return alone
