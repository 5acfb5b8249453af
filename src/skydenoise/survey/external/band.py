"""One band of a brick, from the files of its row in the table, and on the grid of another band."""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from astropy.io import fits
from reproject import reproject_interp

from skydenoise.errors import BrickError
from skydenoise.image_table import ListedImage
from skydenoise.io.wcs import celestial_wcs, grid_distance
from skydenoise.resample import resampled, window_of
from skydenoise.survey.external.noise import measure_noise, without_outliers
from skydenoise.survey.external.plane import ImageError, Plane, read_plane, to_nanomaggies

log = logging.getLogger(__name__)

LITTLE_SKY = 0.1
"""Share of an image that looks like sky, below which its noise is doubtful."""

NOISE = (1e-15, 1e15)
"""Per pixel: the square of its inverse, and sums of it, stay within single precision."""

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


@dataclass(frozen=True, eq=False)
class Band:
    """One band in nanomaggies: image and invvar (y, x) float32, 0 without data; masked (y, x) bool."""

    image: np.ndarray
    invvar: np.ndarray
    masked: np.ndarray
    header: fits.Header


def read_band(source: ListedImage) -> Band:
    """Read one band; the log says what was assumed: units, constant noise, pixels that cannot be light.

    Raises BrickError if a file cannot be read, has unknown units or no WCS, or if no noise can be measured.
    """
    with blaming(source, source.image):
        plane = _readable_plane(source)
        plane, factor = to_nanomaggies(plane, source.units)
        if factor != 1:
            log.info("%s: one unit is %g nanomaggies", source, factor)
        if source.invvar is None:
            invvar = _constant_invvar(source, plane)
    shape = plane.pixels.shape
    if source.invvar is not None:
        with blaming(source, source.invvar):
            weights = read_plane(source.invvar, source.invvar_hdu, source.plane)
            invvar = _same_shape(weights.pixels, shape) / factor**2
    masked = np.zeros(shape, bool)
    if source.mask is not None:
        with blaming(source, source.mask):
            masked = _same_shape(read_plane(source.mask, source.mask_hdu, None).pixels, shape) != 0
    with blaming(source, source.invvar or source.image):
        valid = _valid(plane.pixels, invvar)
    image, invvar = (np.where(valid, pixels, 0).astype(np.float32) for pixels in (plane.pixels, invvar))
    return Band(image, invvar, masked, plane.header)


def _valid(pixels: np.ndarray, invvar: np.ndarray) -> np.ndarray:
    """(y, x) bool: measured pixels, if there are any and their noise is a number for single precision."""
    valid = np.isfinite(pixels) & np.isfinite(invvar) & (invvar > 0)
    if not valid.any():
        raise ImageError("no valid pixel (nowhere a finite value with invvar above 0)")
    noise = float(np.median(invvar[valid])) ** -0.5
    if not NOISE[0] < noise < NOISE[1]:
        cause = f"a noise of {noise:.2g} per pixel is outside of what single precision holds"
        raise ImageError(cause, "give the column units: a number that multiplies the pixels")
    largest = np.finfo(np.float32).max
    return valid & (np.abs(pixels) < largest) & (invvar < largest)


@contextmanager
def blaming(source: ListedImage, file: Path) -> Iterator[None]:
    """Turn whatever a reader meets in `file` into a BrickError."""
    try:
        yield
    except Exception as error:  # of many kinds, by what is damaged
        known = isinstance(error, ImageError | OSError)
        cause = str(error) if known else f"cannot be read, damaged? ({type(error).__name__}: {error})"
        remedy = getattr(error, "remedy", None)
        raise BrickError(cause, brick=source.brick, band=source.band, file=file, remedy=remedy) from error


def _readable_plane(source: ListedImage) -> Plane:
    """The image of a row, once its place on the sky is known; pixels that cannot be light are NaN."""
    plane = read_plane(source.image, source.hdu, source.plane)
    try:
        celestial_wcs(plane.header)
    except ValueError as error:
        raise ImageError(f"no usable WCS: {error}") from error
    pixels, outliers = without_outliers(plane.pixels)
    if outliers:
        log.warning("%s: far outside the noise, so no data: %s", source, outliers)
    return replace(plane, pixels=pixels)


def _constant_invvar(source: ListedImage, plane: Plane) -> np.ndarray:
    """Invvar (y, x) of the noise in the image; 0 where a pixel is NaN or, if nothing else marks those without
    data, exactly 0.
    """
    valid = np.isfinite(plane.pixels)
    if not plane.blank:
        valid &= plane.pixels != 0
    noise, sky = measure_noise(np.where(valid, plane.pixels, np.nan))
    log.info("%s: no invvar given: constant noise of %.4g per pixel, measured in the image", source, noise)
    if sky < LITTLE_SKY:
        little = f"hardly any empty sky ({100 * sky:.0f} %) to measure the noise on"
        log.warning("%s: %s, %.4g per pixel; the column invvar would be better", source, little, noise)
    return np.where(valid, noise**-2.0, 0)


def _same_shape(pixels: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    if pixels.shape != shape:
        raise ImageError(f"shape {pixels.shape} (y, x) is not the image's, {shape}")
    return pixels


def with_wcs_of(header: fits.Header, first: fits.Header) -> fits.Header:
    """Cards of `header`, its WCS replaced by that of `first`, letter by letter, at the end."""
    kept = [card for card in header.cards if not WCS_CARDS.fullmatch(card.keyword)]
    return fits.Header([*kept, *(card for card in first.cards if WCS_CARDS.fullmatch(card.keyword))])


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
