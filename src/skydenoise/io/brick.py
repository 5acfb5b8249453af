"""Bricks of several bands, read from the survey's files."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
from astropy.io import fits

from skydenoise import paths
from skydenoise.config import OutputSettings
from skydenoise.errors import BrickError
from skydenoise.io.fitsfile import image_pixels, read_survey_image, write_survey_image
from skydenoise.io.maskbits import SURVEY_BITS, band_values, named_values
from skydenoise.io.memory import too_large
from skydenoise.io.verified import read_record, verified_digest
from skydenoise.io.wcs import celestial_wcs, grid_distance

log = logging.getLogger(__name__)

T = TypeVar("T")

SAME_SKY = 1.0
"""Pixels that the bands of a brick may lie apart: no more than their headers' digits."""

_Band = tuple[np.ndarray, np.ndarray, fits.Header]

FETCH_AGAIN = "snakemake retry_skipped, then the same command fetches it again"


@dataclass(frozen=True, eq=False)
class Brick:
    """One cell of the sky in several bands, valid where invvar > 0.

    name : of the brick
    bands : in the order of the band axis
    image : (band, y, x) float32, nanomaggies; finite, 0 where there is no data
    invvar : (band, y, x) float32, nanomaggies^-2; finite, 0 where there is no data
    masked : (band, y, x) bool; maskbits say saturated or bad in that band
    headers : of the image in each band: NAXIS, NAXIS1, NAXIS2, then every card but the structural ones; of a
        band that was not observed, that of one that was
    unmasked : names of the bits, such as SATUR_I, that maskbits lack though the band was observed
    """

    name: str
    bands: tuple[str, ...]
    image: np.ndarray
    invvar: np.ndarray
    masked: np.ndarray
    headers: tuple[fits.Header, ...]
    unmasked: tuple[str, ...] = ()

    @property
    def present(self) -> tuple[str, ...]:
        """Bands with a measured pixel; the brick lacks the others, and image and invvar are 0 there."""
        return tuple(band for band, invvar in zip(self.bands, self.invvar, strict=True) if invvar.any())

    @property
    def usable(self) -> np.ndarray:
        """(band, y, x) bool: measured, and neither saturated nor bad."""
        return (self.invvar > 0) & ~self.masked

    @property
    def shape(self) -> tuple[int, int]:
        """(y, x)."""
        return self.image.shape[1], self.image.shape[2]

    def in_bands(self, numbers: Sequence[int]) -> "Brick":
        """The brick in some of its bands alone, by their place on the band axis."""
        names, headers = (tuple(each[number] for number in numbers) for each in (self.bands, self.headers))
        places = list(numbers)
        planes = (self.image[places], self.invvar[places], self.masked[places])
        return Brick(self.name, names, *planes, headers, self.unmasked)


def observed_bands(cache: Path, name: str, bands: Sequence[str]) -> list[str]:
    """Those of `bands` in which a brick has files: fetched, or there; raises BrickError if there is none."""
    recorded = read_record(paths.raw_file(cache, name, "maskbits").parent)
    there = []
    for band in bands:
        files = [paths.raw_file(cache, name, kind, band) for kind in ("image", "invvar")]
        known = [recorded[path.name] for path in files if path.name in recorded]
        if any(path.exists() for path in files) or any(file.sha256 for file in known):
            there.append(band)
    if not there:
        file = paths.raw_file(cache, name, "image", bands[0])
        raise BrickError("no file, nor of another band", brick=name, band=bands[0], file=file)
    return there


def raw_digests(cache: Path, name: str, bands: Sequence[str]) -> dict[str, str]:
    """SHA-256 of each raw file of a brick that is there, by file name, found to be what was fetched.

    Raises BrickError if a byte has changed since, an image or invvar of a band is missing, or both of all.
    """
    recorded = read_record(paths.raw_file(cache, name, "maskbits").parent)
    digests = {}
    for kind, band in paths.raw_kinds(observed_bands(cache, name, bands)):
        path = paths.raw_file(cache, name, kind, band)
        if band or path.exists() or (path.name in recorded and recorded[path.name].sha256):
            digests[path.name] = checked(verified_digest, path, name, band, FETCH_AGAIN)
    return digests


def read_brick(cache: Path, name: str, bands: Sequence[str], *, verify: bool = True) -> Brick:
    """Read a brick from the survey's layout under `cache`.

    Pixels that are NaN or infinite, and those whose invvar is NaN, infinite or negative, count as no data;
    the log says how many. A band without files, or whose invvar is 0 everywhere, was not observed: the brick
    lacks it (`Brick.present`). Without a maskbits file no pixel is masked, and without a band's bit in the
    header of maskbits none for that reason (`Brick.unmasked`). The log says so.

    verify : whether the bytes are first held against what was fetched; False if `raw_digests` just did so

    Raises BrickError if a file is missing, empty, truncated or damaged, or has changed since it was fetched;
    if all together do not fit into the job's memory; if a band has no finite pixel, no usable WCS, another
    shape than the first, or lies on another piece of sky; or if no band has a valid pixel.
    """
    if verify:
        raw_digests(cache, name, bands)
    _check_size(cache, name, bands)
    found: dict[str, _Band] = {}
    for band in observed_bands(cache, name, bands):
        found[band] = _read_band(cache, name, band)
        if cause := _misplaced(band, found):
            file = paths.raw_file(cache, name, "image", band)
            raise BrickError(cause, brick=name, band=band, file=file)
    observed = [band for band in bands if band in found and found[band][1].any()]
    if lacking := [band for band in bands if band not in observed]:
        log.info("brick %s was not observed in %s", name, ", ".join(lacking))
    if not observed:
        raise BrickError("invvar is 0 everywhere in every band", brick=name)
    image, invvar, header = next(iter(found.values()))
    nothing = np.zeros_like(image), np.zeros_like(invvar), header
    images, invvars, headers = zip(*(found.get(band, nothing) for band in bands), strict=True)
    masked, bits = _read_masked(cache, name, bands, image.shape)
    unmasked = tuple(bit for band in observed for bit in bits.get(band, ()))
    if unmasked:
        log.warning("brick %s: maskbits have no %s to mask by", name, ", ".join(unmasked))
    return Brick(name, tuple(bands), np.stack(images), np.stack(invvars), masked, headers, unmasked)


def _misplaced(band: str, found: Mapping[str, _Band]) -> str:
    """Why a band has not the shape and place of the first of those found; empty if it has."""
    (first, (image, _, header)), (own_image, _, own_header) = next(iter(found.items())), found[band]
    try:
        own_wcs = celestial_wcs(own_header)
    except ValueError as error:
        return f"no usable WCS: {error}"
    if own_image.shape != image.shape:
        return f"shape {own_image.shape} (y, x) differs from {image.shape} of band {first}"
    distance = grid_distance(celestial_wcs(header), own_wcs, image.shape)
    return f"lies {distance:.3g} pixels off band {first} on the sky" if distance > SAME_SKY else ""


def _check_size(cache: Path, name: str, bands: Sequence[str]) -> None:
    """Raise BrickError if a brick, by its headers, does not fit into the job's memory."""
    for kind, band in paths.raw_kinds(bands):
        path = paths.raw_file(cache, name, kind, band)
        if path.exists():
            pixels = checked(image_pixels, path, name, band, FETCH_AGAIN)
            if cause := too_large(len(bands) * pixels):
                raise BrickError(
                    cause, brick=name, band=band, file=path, remedy="more memory, or smaller images"
                )


def checked(read: Callable[[Path], T], path: Path, name: str, band: str | None, remedy: str) -> T:
    """What `read` makes of a file of a brick; raises BrickError for its OSError."""
    try:
        return read(path)
    except FileNotFoundError:
        raise BrickError("no file", brick=name, band=band, file=path) from None
    except OSError as error:
        raise BrickError(str(error), brick=name, band=band, file=path, remedy=remedy) from error


def _read_band(cache: Path, name: str, band: str) -> _Band:
    path = paths.raw_file(cache, name, "image", band)
    read = partial(read_survey_image, name=paths.hdu_name("image", band), blank_as_nan=True)
    image, header = checked(read, path, name, band, FETCH_AGAIN)
    read = partial(read_survey_image, name=paths.hdu_name("invvar", band), rounded_to_zero=True)
    invvar, _ = checked(read, paths.raw_file(cache, name, "invvar", band), name, band, FETCH_AGAIN)
    if image.shape != invvar.shape:
        cause = f"image {image.shape} and invvar {invvar.shape} have different shapes (y, x)"
        raise BrickError(cause, brick=name, band=band, file=path)
    image, invvar = image.astype(np.float32, copy=False), invvar.astype(np.float32, copy=False)
    broken = ~np.isfinite(image) | ~np.isfinite(invvar) | (invvar < 0)
    if count := np.count_nonzero(broken):
        log.warning(
            "brick %s, band %s: %d pixels count as no data (NaN, infinite, or negative invvar)",
            name,
            band,
            count,
        )
        invvar[broken] = 0
        if not invvar.any():
            cause = "no valid pixel (nowhere a finite value with invvar above 0)"
            raise BrickError(cause, brick=name, band=band, file=path)
    image[invvar == 0] = 0
    return image, invvar, header


def _read_masked(
    cache: Path, name: str, bands: Sequence[str], shape: tuple[int, ...]
) -> tuple[np.ndarray, dict[str, tuple[str, ...]]]:
    """(band, y, x) bool: saturated or bad according to maskbits; and by band, the bits that they lack."""
    masked = np.zeros((len(bands), *shape), bool)
    lacking: dict[str, tuple[str, ...]] = {}
    path = paths.raw_file(cache, name, "maskbits")
    if not path.exists():
        log.info("brick %s: no maskbits file, so no pixel counts as saturated or bad", name)
        return masked, lacking
    read = partial(read_survey_image, name=paths.hdu_name("maskbits"))
    maskbits, header = checked(read, path, name, None, FETCH_AGAIN)
    maskbits = maskbits.astype(f"u{maskbits.itemsize}", copy=False)  # bit 15 of int16 is its sign
    if maskbits.shape != shape:
        cause = f"maskbits {maskbits.shape} and images {shape} have different shapes (y, x)"
        raise BrickError(cause, brick=name, file=path)
    values = named_values(header)
    if not values:
        log.warning("brick %s: the header of maskbits names no bit; those of DR8 to DR11 are taken", name)
        values = {bit: 1 << number for bit, number in SURVEY_BITS.items()}
    for index, band in enumerate(bands):
        mask, lacking[band] = band_values(values, band)
        np.not_equal(maskbits & (mask & np.iinfo(maskbits.dtype).max), 0, out=masked[index])
    return masked, lacking


BrickFile = tuple[Path, np.ndarray, fits.Header, OutputSettings]
"""What `write_survey_image` takes."""


def write_files(name: str, files: Sequence[BrickFile]) -> list[Path]:
    """Write them in order; raises BrickError that names the file if one cannot be written."""
    for path, data, header, output in files:
        try:
            write_survey_image(path, data, header, output=output)
        except OSError as error:
            cause = f"cannot be written: {error}"
            raise BrickError(cause, brick=name, file=path, remedy="is the disk full?") from error
    return [path for path, *_ in files]
