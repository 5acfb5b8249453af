"""Bands on different grids brought onto one: fluxes per pixel are conserved, not only surface brightness."""

import logging
import re

import numpy as np
from astropy.io import fits
from reproject import reproject_interp

from skydenoise.image_table import ListedImage
from skydenoise.io.wcs import celestial_wcs, grid_distance
from skydenoise.resample import resampled, window_of
from skydenoise.survey.external.band import Band, blaming
from skydenoise.survey.external.plane import ImageError

log = logging.getLogger(__name__)

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


def aligned(source: ListedImage, band: Band, first: Band) -> Band:
    """`band`, read from `source`, on the grid of `first`; itself if it lies there already.

    Pixels outside the image, or within the spline's reach of one without data, have no data; a mask holds
    where it is set at a pixel's centre. This invvar does not know that interpolation averages and correlates
    noise, which is measured later. Raises BrickError if the bands do not overlap.
    """
    wcs, target = celestial_wcs(band.header), celestial_wcs(first.header)
    shape = (first.image.shape[0], first.image.shape[1])
    with blaming(source, source.image):
        distance = grid_distance(target, wcs, shape)
        if band.image.shape == shape and distance <= SAME_GRID:
            return band
        image, invvar = np.zeros((2, *shape), np.float32)
        if window := window_of(wcs, (band.image.shape[0], band.image.shape[1]), target, shape):
            for strip, pixels in resampled(band.image, band.invvar, wcs, target, window):
                good = (pixels.invvar > 0) & (pixels.trust > TRUSTED)
                image[strip], invvar[strip] = np.where(good, (pixels.image, pixels.invvar), 0)
        if not invvar.any():
            raise ImageError("does not overlap the first band")
    how = f"resampled onto the first band's grid (up to {distance:.2f} pixels off)"
    log.info("%s: %s, %.1f %% covered", source, how, 100 * np.mean(invvar > 0))
    masked = np.zeros(shape, np.float32)
    if band.masked.any():
        mask = (band.masked.astype(np.float32), wcs)
        masked, _ = reproject_interp(mask, target, shape, order="nearest-neighbor")
    header = with_wcs_of(band.header, first.header)
    header.append(("HISTORY", "skydenoise: resampled onto the grid of the first band"), bottom=True)
    return Band(image, invvar, np.nan_to_num(masked) > 0, header)
