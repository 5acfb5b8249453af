"""Bands on different grids brought onto one: fluxes per pixel are conserved, not only surface brightness."""

import re

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS
from reproject import reproject_interp

from skydenoise.resample import resampled, window_of

SAME_GRID = 0.01
"""Pixels; two grids are the same if no pixel is further off."""

TRUSTED = 0.5
"""Share of a target pixel that must keep clear of pixels without data."""

WCS_CARDS = re.compile(
    r"WCSAXES[A-Z]?|WCSNAME[A-Z]?|(CTYPE|CRVAL|CRPIX|CDELT|CUNIT|CROTA|CNAME|CRDER|CSYER)\d[A-Z]?"
    r"|(CD|PC|PV|PS)\d_\d+[A-Z]?|PC\d{6}|LONPOLE[A-Z]?|LATPOLE[A-Z]?|RADESYS[A-Z]?|RADECSYS|EQUINOX[A-Z]?"
    r"|[AB]P?_(ORDER|DMAX|\d_\d)|WAT\d_\d{3}|TR\d_\d+"
)
"""Cards of a celestial WCS (FITS 4.0, table 22; SIP; IRAF's TNX; PC001001, as Pan-STARRS still writes it)."""


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
    """Resample an image onto another grid, with its flux conserved (`skydenoise.resample`).

    Target pixels outside the image, or within the spline's reach of a pixel without data, have no data.

    image, invvar : (y, x) float32; invvar 0 where there is no data
    target, shape : WCS and (y, x) of the result

    Returns image and invvar, float32. This invvar does not know that interpolation averages and correlates
    noise, which is measured later.
    """
    aligned, weights = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    if window := window_of(wcs, (image.shape[0], image.shape[1]), target, shape):
        for strip, pixels in resampled(image, invvar, wcs, target, window):
            good = (pixels.invvar > 0) & (pixels.trust > TRUSTED)
            aligned[strip] = np.where(good, pixels.image, 0)
            weights[strip] = np.where(good, pixels.invvar, 0)
    return aligned, weights


def align_mask(mask: np.ndarray, wcs: WCS, target: WCS, shape: tuple[int, int]) -> np.ndarray:
    """Resample a mask (y, x) bool: a target pixel is set if the source pixel at its centre is."""
    if not mask.any():
        return np.zeros(shape, bool)
    resampled_mask, _ = reproject_interp(
        (mask.astype(np.float32), wcs), target, shape, order="nearest-neighbor"
    )
    return np.nan_to_num(resampled_mask) > 0
