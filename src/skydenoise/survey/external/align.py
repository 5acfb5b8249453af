"""Bands on different grids brought onto one: fluxes per pixel are conserved, not only surface brightness."""

import re
import warnings

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS, FITSFixedWarning
from astropy.wcs.utils import proj_plane_pixel_area
from reproject import reproject_adaptive, reproject_interp
from scipy.ndimage import binary_dilation

from skydenoise.fill import fill

SAME_GRID = 0.01
"""Pixels; two grids are the same if no pixel is further off."""

COARSER = 2.0
"""Where target pixels have more than this many times the area, interpolation would skip source pixels."""

KERNEL_REACH = 2
"""Pixels; half the width of the bicubic kernel."""

WCS_CARDS = re.compile(
    r"WCSAXES[A-Z]?|WCSNAME[A-Z]?|(CTYPE|CRVAL|CRPIX|CDELT|CUNIT|CROTA|CNAME|CRDER|CSYER)\d[A-Z]?"
    r"|(CD|PC|PV|PS)\d_\d+[A-Z]?|LONPOLE[A-Z]?|LATPOLE[A-Z]?|RADESYS[A-Z]?|RADECSYS|EQUINOX[A-Z]?"
    r"|[AB]P?_(ORDER|DMAX|\d_\d)|WAT\d_\d{3}|TR\d_\d+"
)
"""Cards of a celestial WCS (FITS 4.0, table 22; SIP; IRAF's TNX)."""


def celestial_wcs(header: fits.Header) -> WCS:
    """The two celestial axes of an image's WCS, SIP and other distortions included.

    Raises
    ------
    ValueError : there is none
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FITSFixedWarning)  # old spellings of dates and frames
        wcs = WCS(header).celestial
    if not wcs.has_celestial:
        raise ValueError("no celestial axes")
    return wcs


def grid_distance(first: WCS, other: WCS, shape: tuple[int, int]) -> float:
    """Largest distance between the pixels of one place in two grids, over 5x5 places of the first grid.

    In pixels of `other`; infinite if a place has no pixel there. `shape` of the first grid is (y, x).
    """
    y, x = np.meshgrid(*(np.linspace(0, length - 1, 5) for length in shape), indexing="ij")
    x_other, y_other = other.all_world2pix(*first.all_pix2world(x, y, 0), 0, quiet=True)
    distance = np.hypot(x_other - x, y_other - y)
    return float(distance.max()) if np.isfinite(distance).all() else float("inf")


def with_wcs_of(header: fits.Header, first: fits.Header) -> fits.Header:
    """Cards of `header`, its WCS replaced by that of `first`, letter by letter, at the end."""
    moved = fits.Header()
    for source, of_wcs in ((header, False), (first, True)):
        for card in source.cards:
            if bool(WCS_CARDS.fullmatch(card.keyword)) == of_wcs:
                moved.append(card, bottom=True)
    return moved


def align(
    image: np.ndarray, invvar: np.ndarray, wcs: WCS, target: WCS, shape: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Resample an image onto another grid.

    Bicubic interpolation, or an adaptive (anti-aliased) one onto much coarser pixels; both keep surface
    brightness, so the result is scaled by the ratio of the pixels' areas to keep fluxes. Target pixels
    outside the image, or within the kernel's reach of a pixel without data, have no data.

    Parameters
    ----------
    image, invvar
        (y, x) float32; invvar 0 where there is no data
    wcs
        of `image`
    target, shape
        WCS and (y, x) of the result

    Returns
    -------
    image, invvar : `shape`, float32. This invvar does not know that interpolation averages and correlates
        noise, which is measured later.
    """
    valid = invvar > 0
    near_hole = binary_dilation(~valid, iterations=KERNEL_REACH) if not valid.all() else ~valid
    ratio = proj_plane_pixel_area(target) / proj_plane_pixel_area(wcs)
    filled = fill(image[np.newaxis], valid[np.newaxis])[0]
    if ratio > COARSER:
        resampled, footprint = reproject_adaptive((filled, wcs), target, shape, conserve_flux=False)
    else:
        resampled, footprint = reproject_interp((filled, wcs), target, shape, order="bicubic")
    both = np.stack([invvar, near_hole.astype(np.float32)])
    (weights, holes), _ = reproject_interp((both, wcs), target, shape, order="nearest-neighbor")
    good = (footprint > 0) & np.isfinite(resampled) & np.isfinite(weights) & (holes == 0)
    resampled = np.where(good, ratio * resampled, 0).astype(np.float32)
    return resampled, np.where(good, weights / ratio**2, 0).astype(np.float32)


def align_mask(mask: np.ndarray, wcs: WCS, target: WCS, shape: tuple[int, int]) -> np.ndarray:
    """Resample a mask (y, x) bool: a target pixel is set if the source pixel at its centre is."""
    if not mask.any():
        return np.zeros(shape, bool)
    resampled, _ = reproject_interp((mask.astype(np.float32), wcs), target, shape, order="nearest-neighbor")
    return np.nan_to_num(resampled) > 0
