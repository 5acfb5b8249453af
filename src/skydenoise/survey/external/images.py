"""Images of other surveys, of a table's rows, in the Legacy Survey's raw layout (`source: files`)."""

import fcntl
import hashlib
import logging
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.io import fits

from skydenoise import paths
from skydenoise.config import OutputSettings
from skydenoise.errors import BrickError, StepError, disk_full
from skydenoise.io import Brick
from skydenoise.io.digest import file_digest, joint_digest
from skydenoise.io.fitsfile import intact_header, wcs_fault
from skydenoise.io.manifest import Entry
from skydenoise.io.rawbrick import write_raw
from skydenoise.survey.external.align import (
    SAME_GRID,
    align,
    align_mask,
    celestial_wcs,
    grid_distance,
    with_wcs_of,
)
from skydenoise.survey.external.rows import ForeignImage
from skydenoise.survey.external.source_image import SourceError, constant_invvar, read_plane, to_nanomaggies

log = logging.getLogger(__name__)


def import_bricks(
    images: Sequence[ForeignImage], names: Sequence[str], bands: Sequence[str], cache: Path
) -> list[Entry]:
    """Import the bricks `names`; those that fail are listed as skipped, with the reason.

    Raises
    ------
    StepError : the disk is full
    """
    entries = []
    for name in names:
        try:
            entries.append(
                import_brick([image for image in images if image.brick == name], name, bands, cache)
            )
        except BrickError as error:
            if disk_full(error):
                raise StepError(
                    f"no space left for {cache}; free some and run again, finished bricks are kept"
                ) from error
            log.warning("skipped: %s", error)
            entries.append(Entry(name, "skipped", reason=str(error)))
    return entries


def import_brick(images: Sequence[ForeignImage], name: str, bands: Sequence[str], cache: Path) -> Entry:
    """Bring one brick into the raw layout under `cache`: lossless, nanomaggies, on the first band's grid.

    What is there already, unharmed and made from the same files, is kept. The log says what was assumed:
    units, constant noise, resampling.

    Raises
    ------
    BrickError : a band is not in the table; a file is unreadable, has unknown units or no WCS; no noise can
        be measured; bands do not overlap
    """
    start = time.perf_counter()
    by_band = {image.band: image for image in images}
    for band in bands:
        if band not in by_band:
            raise BrickError("not in the table", brick=name, band=band)
    chosen = [by_band[band] for band in bands]
    with _alone(paths.raw_file(cache, name, "maskbits").parent):
        state = _import(chosen, name, bands, cache)
    files = sorted(paths.raw_file(cache, name, "maskbits").parent.glob("legacysurvey-*.fits.fz"))
    digest = joint_digest(file_digest(file) for file in files)
    return Entry(name, state, len(files), digest, time.perf_counter() - start)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold `folder` against other processes: two jobs import a brick that is trained on and denoised."""
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # a file system without locks: the work is done twice, to the same result
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        with suppress(OSError):  # there is something in it
            folder.rmdir()
        os.close(handle)


def _import(images: Sequence[ForeignImage], name: str, bands: Sequence[str], cache: Path) -> str:
    """Write the brick unless it is there already; "done" or "kept"."""
    key = _key(images)
    headers = [intact_header(paths.raw_file(cache, name, "image", band)) for band in bands]
    headers += [intact_header(paths.raw_file(cache, name, "invvar", band)) for band in bands]
    if all(header is not None and header.get("SDIMPORT") == key for header in headers):
        return "kept"
    write_raw(cache, _brick(images, key), OutputSettings("lossless"))
    return "done"


def _key(images: Sequence[ForeignImage]) -> str:
    digest = hashlib.sha256()
    for image in images:
        hdus = (image.hdu, image.plane, image.invvar_hdu, image.mask_hdu)
        digest.update(repr((image.band, image.units, hdus)).encode())
        for path in (image.image, image.invvar, image.mask):
            digest.update(file_digest(path).encode() if path is not None and path.is_file() else b"none")
    return digest.hexdigest()[:32]


@dataclass(frozen=True, eq=False)
class _Band:
    """One band in nanomaggies: image and invvar (y, x) float32, masked (y, x) bool."""

    image: np.ndarray
    invvar: np.ndarray
    masked: np.ndarray
    header: fits.Header


def _brick(images: Sequence[ForeignImage], key: str) -> Brick:
    bands = [_read_band(image) for image in images]
    bands = [bands[0], *(_aligned(*pair, bands[0]) for pair in zip(images[1:], bands[1:], strict=True))]
    for band in bands:
        band.header.append(("SDIMPORT", key, "digest of the imported files"), bottom=True)
    return Brick(
        images[0].brick,
        tuple(image.band for image in images),
        np.stack([band.image for band in bands]),
        np.stack([band.invvar for band in bands]),
        np.stack([band.masked for band in bands]),
        tuple(band.header for band in bands),
    )


def _read_band(source: ForeignImage) -> _Band:
    file = source.image
    try:
        plane = read_plane(file, source.hdu, source.plane)
        if fault := wcs_fault(plane.header):
            raise SourceError(f"no usable WCS: {fault}")
        plane, factor = to_nanomaggies(plane, source.units)
        if factor != 1:
            log.info("brick %s, band %s: one unit is %g nanomaggies", source.brick, source.band, factor)
        if source.invvar is None:
            invvar = constant_invvar(plane.pixels)
            log.info(
                "brick %s, band %s: no invvar given: constant noise of %.4g per pixel, measured in the image",
                *(source.brick, source.band, invvar.max() ** -0.5),
            )
        else:
            file = source.invvar
            invvar = read_plane(file, source.invvar_hdu, source.plane).pixels / factor**2
        masked = np.zeros(plane.pixels.shape, bool)
        if source.mask is not None:
            file = source.mask
            masked = read_plane(file, source.mask_hdu, None).pixels != 0
        for pixels in (invvar, masked):
            if pixels.shape != plane.pixels.shape:
                raise SourceError(f"shape {pixels.shape} (y, x) is not the image's, {plane.pixels.shape}")
        valid = np.isfinite(plane.pixels) & np.isfinite(invvar) & (invvar > 0)
        if not valid.any():
            raise SourceError("no valid pixel (nowhere a finite value with invvar above 0)")
    except (SourceError, OSError) as error:
        remedy = getattr(error, "remedy", None)
        raise BrickError(
            str(error), brick=source.brick, band=source.band, file=file, remedy=remedy
        ) from error
    return _Band(
        np.where(valid, plane.pixels, 0).astype(np.float32),
        np.where(valid, invvar, 0).astype(np.float32),
        masked,
        plane.header,
    )


def _aligned(source: ForeignImage, band: _Band, first: _Band) -> _Band:
    """`band` on the grid of `first`; itself if it lies there already."""
    wcs, target = celestial_wcs(band.header), celestial_wcs(first.header)
    shape = (first.image.shape[0], first.image.shape[1])
    distance = grid_distance(target, wcs, shape)
    if band.image.shape == shape and distance <= SAME_GRID:
        return band
    image, invvar = align(band.image, band.invvar, wcs, target, shape)
    if not invvar.any():
        cause = "does not overlap the first band"
        raise BrickError(cause, brick=source.brick, band=source.band, file=source.image)
    log.info(
        "brick %s, band %s: resampled onto the first band's grid (up to %.2f pixels off), %.1f %% covered",
        *(source.brick, source.band, distance, 100 * np.mean(invvar > 0)),
    )
    masked = align_mask(band.masked, wcs, target, shape)
    header = with_wcs_of(band.header, first.header)
    header.append(("HISTORY", "skydenoise: resampled onto the grid of the first band"), bottom=True)
    return _Band(image, invvar, masked, header)
