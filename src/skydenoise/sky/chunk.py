"""The bricks of one chunk brought into the sky."""

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from skydenoise.evaluate.images import pixel_scale
from skydenoise.io import Brick, Denoised, read_brick, read_denoised, readable
from skydenoise.io.atomic import write_text
from skydenoise.io.manifest import Entry
from skydenoise.io.wcs import celestial_wcs
from skydenoise.paths import sky_folder
from skydenoise.sky.bricks import enlist
from skydenoise.sky.found import found_in
from skydenoise.sky.pyramid import Pyramid
from skydenoise.sky.sheet import Sheet, sheet_of
from skydenoise.sky.tiles import tiles_of_image

log = logging.getLogger(__name__)

Record = dict[str, Any]

AT_HAND = 4
"""Bricks in memory: as many as meet in a tile."""


def add_bricks(
    entries: Sequence[Entry], cache: Path, pyramid: Pyramid, fwhm: Sequence[float], least: Mapping[str, float]
) -> list[Record]:
    """Bring the bricks of a manifest into the sky; those that are there as they are cost next to nothing.

    Beside its tiles, each brick has a file `found/<AAA>/<brick>.json` with its place, its tiles and what is
    found in it by `found_in`. A brick that cannot be read is left out, and the log says so.

    Returns the contents of these files, of tiles and sources their numbers.
    """
    done = [entry for entry in entries if entry.state != "skipped"]
    keys = {e.brick: {"digest": f"{e.sha256} {pyramid.order}", "least": dict(least)} for e in done}
    records, affected = [], set[int]()
    for record in readable(sorted(keys), partial(_record, keys, cache, pyramid, fwhm), step="sky"):
        affected |= enlist(pyramid.root, record["brick"], record["digest"], np.array(record["tiles"]))
        records.append(record | {name: len(record[name]) for name in ("tiles", "input", "denoised")})
    made = pyramid.bring_up_to_date(affected, sheets(cache, pyramid))
    log.info("%d bricks in %d tiles, %d of them made anew", len(records), len(affected), made)
    return records


def sheets(cache: Path, pyramid: Pyramid) -> Callable[[str], Sheet]:
    """What reads the sheet of a brick, and keeps the last few."""
    return lru_cache(AT_HAND)(lambda name: sheet_of(*_product(cache, pyramid, name)))


def _product(cache: Path, pyramid: Pyramid, name: str) -> tuple[Brick, Denoised]:
    bands = pyramid.noise.bands
    return read_brick(cache, name, bands), read_denoised(pyramid.root.parent, name, bands)


def _record(
    keys: Mapping[str, Record], cache: Path, pyramid: Pyramid, fwhm: Sequence[float], name: str
) -> Record:
    """Place, tiles and sources of a brick: as they are noted, if that was of the same key."""
    path, key = pyramid.root / "found" / sky_folder(name) / f"{name}.json", keys[name]
    if path.exists():
        noted: Record = json.loads(path.read_text())
        if key.items() <= noted.items():
            return noted
    brick, denoised = _product(cache, pyramid, name)
    wcs, (height, width) = celestial_wcs(brick.headers[0]), brick.shape
    right, top = width - 0.5, height - 0.5
    corners = wcs.pixel_to_world([-0.5, right, right, -0.5], [-0.5, -0.5, top, top]).icrs
    middle = wcs.pixel_to_world((width - 1) / 2, (height - 1) / 2).icrs
    record = {
        "brick": name,
        **key,
        "ra": round(float(middle.ra.deg), 6),
        "dec": round(float(middle.dec.deg), 6),
        "size": round(max(brick.shape) * pixel_scale(brick.headers[0]) / 3600, 6),
        "corners": np.stack([corners.ra.deg, corners.dec.deg], axis=1).round(6).tolist(),
        "tiles": tiles_of_image(pyramid.order, wcs, brick.shape).tolist(),
        **found_in(brick, denoised, pyramid.noise, fwhm, key["least"]),
    }
    write_text(path, json.dumps(record))
    return record
