"""The point spread function: its model, the shape of a star, its width on the bright stars of a brick."""

import logging
from functools import cache

import numpy as np
import sep
from numpy.typing import NDArray
from scipy.ndimage import minimum_filter
from scipy.spatial import cKDTree

from skydenoise.errors import BrickError
from skydenoise.evaluate.images import Mask, values_at
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
STEPS, TOLERANCE = 200, 1e-6
"""Steps in which moments must converge, and the change, pixels^2, below which they have."""


def moffat(fwhm: float, radius: int, y: float = 0.0, x: float = 0.0) -> NDArray[np.float64]:
    """A point source of unit flux on (2 radius + 1, 2 radius + 1) pixels, its values at their centres.

    fwhm : pixels, the pixel response included
    y, x : from the middle pixel
    """
    offset = np.arange(-radius, radius + 1.0)
    scale = fwhm / 2 / np.sqrt(2 ** (1 / BETA) - 1)
    square = np.add.outer((offset - y) ** 2, (offset - x) ** 2) / scale**2
    return np.asarray((BETA - 1) / (np.pi * scale**2) * (1 + square) ** -BETA)


def whole_stamps(x: NDArray, y: NDArray, good: Mask) -> NDArray[np.bool_]:
    """Positions (n,) around which a whole stamp lies inside the image (y, x) and is good: bool."""
    return values_at(minimum_filter(good, 2 * STAMP + 1, mode="constant"), x, y)


def star_shape(image: NDArray, x: float, y: float) -> tuple[float, float, float]:
    """Full width at half maximum (pixels), e1 and e2 of the star at a 0-based position of `image` (y, x).

    By adaptive moments (Hirata & Seljak 2003, MNRAS 343, 459): those under the elliptical Gaussian weight
    that has the star's own centre and twice its weighted moments. inf, all three, if they do not converge.
    """
    top, left = round(y) - STAMP, round(x) - STAMP
    stamp = image[top : top + 2 * STAMP + 1, left : left + 2 * STAMP + 1].astype(np.float64)
    rows, columns = np.indices(stamp.shape) - STAMP
    centre, moments = np.array([x - round(x), y - round(y)]), np.diag([4.0, 4.0])
    for _ in range(STEPS):
        if not (stamp.any() and np.isfinite(moments).all() and np.linalg.eigvalsh(moments)[0] > 0):
            break
        offset = np.stack([columns - centre[0], rows - centre[1]])
        square = np.einsum("iyx,ij,jyx->yx", offset, np.linalg.inv(moments), offset)
        weighted = stamp * np.exp(-square / 2)
        last, total = moments, weighted.sum()
        moments = 2 * np.einsum("yx,iyx,jyx->ij", weighted, offset, offset) / total
        centre = centre + 2 * (weighted * offset).sum(axis=(1, 2)) / total
        if np.abs(moments - last).max() < TOLERANCE:
            (xx, xy), (_, yy) = moments
            width = GAUSSIAN_FWHM * np.linalg.det(moments) ** 0.25
            return float(width), float((xx - yy) / (xx + yy)), float(2 * xy / (xx + yy))
    return np.inf, np.inf, np.inf


@cache
def _fwhm_over_gaussian() -> float:
    """Full width at half maximum of `moffat` over that of the Gaussian of its adaptive moments."""
    return 6.0 / star_shape(moffat(6.0, STAMP), STAMP, STAMP)[0]


def measure_fwhm(brick: Brick, noise: NoiseModel) -> tuple[float, ...]:
    """Full width at half maximum of stars in each band, pixels: the median over stars, pixels included.

    Where the seeing differs within a brick it is that of its sharpest part. A band without a star gets the
    median of the others.

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
            _log.info("%s, %s: FWHM %.3f px, stars: %d", brick.name, band, width, found.size)
        else:
            _log.warning("%s, %s: no star, its FWHM is taken from the other bands", brick.name, band)
    return tuple(np.where(np.isnan(fwhm), np.nanmedian(fwhm), fwhm).tolist())


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
    alone = whole_stamps(x, y, usable)
    pairs = cKDTree(np.column_stack([x, y])).query_pairs(STAMP * 2**0.5, output_type="ndarray")
    alone[pairs.ravel()] = False
    return alone
