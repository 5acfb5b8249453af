"""Images of other surveys, of a table's rows, in the Legacy Survey's raw layout (`source: files`)."""

import hashlib
import logging
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from skydenoise import paths
from skydenoise.config import OutputSettings
from skydenoise.errors import BrickError, StepError, disk_full
from skydenoise.image_table import ListedImage
from skydenoise.io import Brick
from skydenoise.io.digest import file_digest, joint_digest
from skydenoise.io.lock import alone
from skydenoise.io.manifest import Entry
from skydenoise.io.rawbrick import write_raw
from skydenoise.io.verified import intact_header
from skydenoise.survey.external.band import aligned, read_band

log = logging.getLogger(__name__)

VERSION = 2
"""Of the import: what an older one made is imported again."""


def import_bricks(
    images: Sequence[ListedImage], names: Sequence[str], bands: Sequence[str], cache: Path
) -> list[Entry]:
    """Import the bricks `names`; those that fail are listed as skipped, with the reason.

    Raises StepError if the disk is full, or the cache not writable.
    """
    entries = []
    for name in names:
        listed = [image for image in images if image.brick == name]
        try:
            entries.append(import_brick(listed, name, bands, cache))
        except (BrickError, OSError) as error:
            if disk_full(error):
                raise StepError(
                    f"no space left for {cache}; free some and run again, finished bricks are kept"
                ) from error
            if isinstance(error, OSError):
                where = f"{error.filename or cache}: cannot be written: {error.strerror}"
                raise StepError(f"{where} (survey.cache must be writable)") from error
            log.warning("skipped: %s", error)
            with suppress(OSError):  # there is something in it
                paths.raw_file(cache, name, "maskbits").parent.rmdir()
            entries.append(Entry(name, "skipped", reason=str(error)))
    return entries


def import_brick(images: Sequence[ListedImage], name: str, bands: Sequence[str], cache: Path) -> Entry:
    """Bring one brick into the raw layout under `cache`: lossless, nanomaggies, on the first band's grid.

    It lacks the bands that are not in the table. What is there already, unharmed and made from the same
    files, is kept. The log says what was assumed: units, constant noise, resampling.

    Raises BrickError if no band is in the table, a file is unreadable, has unknown units or no WCS, no noise
    can be measured, or bands do not overlap.
    """
    start = time.perf_counter()
    by_band = {image.band: image for image in images}
    chosen = [by_band[band] for band in bands if band in by_band]
    if not chosen:
        raise BrickError("not in the table", brick=name, band=bands[0])
    listed = [image.band for image in chosen]
    if lacking := [band for band in bands if band not in listed]:
        log.warning("brick %s: not in the table in %s", name, ", ".join(lacking))
    with alone(paths.raw_file(cache, name, "maskbits").parent):
        for kind, band in paths.raw_kinds(lacking)[:-1]:
            paths.raw_file(cache, name, kind, band).unlink(missing_ok=True)  # of an earlier table
        state = _import(chosen, name, listed, cache)
    files = sorted(paths.raw_file(cache, name, "maskbits").parent.glob("legacysurvey-*.fits.fz"))
    digest = joint_digest(file_digest(file) for file in files)
    return Entry(name, state, len(files), digest, time.perf_counter() - start, bands=" ".join(listed))


def _import(images: Sequence[ListedImage], name: str, bands: Sequence[str], cache: Path) -> str:
    """Write the brick unless it is there already; "done" or "kept"."""
    key = _key(images)
    kinds = paths.raw_kinds(bands)[:-1]
    headers = [intact_header(paths.raw_file(cache, name, kind, band)) for kind, band in kinds]
    if all(header is not None and header.get("SDIMPORT") == key for header in headers):
        return "kept"
    write_raw(cache, _brick(images, key), OutputSettings("lossless"))
    return "done"


def _key(images: Sequence[ListedImage]) -> str:
    digest = hashlib.sha256(str(VERSION).encode())
    for image in images:
        hdus = (image.hdu, image.plane, image.invvar_hdu, image.mask_hdu)
        digest.update(repr((image.band, image.units, hdus)).encode())
        for path in (image.image, image.invvar, image.mask):
            with suppress(OSError):  # reading it will say why
                digest.update(file_digest(path).encode() if path is not None else b"none")
    return digest.hexdigest()[:32]


def _brick(images: Sequence[ListedImage], key: str) -> Brick:
    bands = [read_band(image) for image in images]
    bands = [bands[0], *(aligned(*pair, bands[0]) for pair in zip(images[1:], bands[1:], strict=True))]
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
