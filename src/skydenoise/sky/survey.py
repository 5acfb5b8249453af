"""The sky as a whole: what its surveys are, which part of the sky they cover, and the list of bricks."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from mocpy import MOC
from PIL import Image

from skydenoise import __version__
from skydenoise.errors import StepError
from skydenoise.io.atomic import atomic_path, write_text
from skydenoise.io.manifest import read_manifest
from skydenoise.sky.bricks import all_tiles, strike
from skydenoise.sky.chunk import sheets
from skydenoise.sky.pyramid import Pyramid
from skydenoise.sky.sheet import MARKS
from skydenoise.sky.tiles import WIDTH, tile_path

PAGE = ("index.html", "sky.js")

QUALITY = ("noise", "foreign", "unmasked", "unverified")
"""Columns of the manifests that the page lists."""

CUTS = {"input": (-2, 20), "denoised": (-2, 20), "sigma": (0, 2)}
"""Between which values a survey is shown, in units of the noise of a sky pixel of the input."""


def write_sky(
    pyramid: Pyramid,
    records: Sequence[Path],
    manifests: Sequence[Path],
    cache: Path,
    credit: str,
    least: Mapping[str, float],
) -> None:
    """Take out bricks that are gone, describe the surveys and write the page with its list of bricks.

    records : what `chunk.add_bricks` gave, in files
    manifests : of fetch, then of predict; what the later say of a brick counts
    credit : whose pixels these are
    least : score of the faintest source that is listed, by image searched

    Raises StepError if no brick can be shown.
    """
    bricks = [brick for path in records for brick in json.loads(path.read_text())]
    if not bricks:
        raise StepError("sky: there is no brick to show; the logs of sky_chunk say why")
    bricks.sort(key=lambda brick: brick["brick"])
    gone = strike(pyramid.root, {brick["brick"]: brick["digest"] for brick in bricks})
    pyramid.bring_up_to_date(gone, sheets(cache, pyramid))
    tiles = np.array(all_tiles(pyramid.root))
    _describe(pyramid, tiles, bricks[0], credit)
    quality: dict[str, dict[str, Any]] = {}
    for path in manifests:
        for entry in read_manifest(path):
            known = {key: value for key in QUALITY if (value := getattr(entry, key))}
            quality.setdefault(entry.brick, {}).update(known)
    content = {
        "run": pyramid.root.parent.name,
        "credit": credit,
        "least": dict(least),
        "order": pyramid.order,
        "tiles": _ranges(tiles),
        "values": list(pyramid.settings.values),
        "marks": {kind: f"rgb{colour}" for kind, colour in MARKS.items()},
        "bricks": [brick | quality.get(brick["brick"], {}) for brick in bricks],
    }
    write_text(pyramid.root / "sky.json", json.dumps(content))
    for name in PAGE:
        with atomic_path(pyramid.root / name) as partial:
            partial.write_bytes((files("skydenoise.sky") / "page" / name).read_bytes())


def _ranges(numbers: np.ndarray) -> list[list[int]]:
    """First and last of each row of numbers, which rise."""
    rows = np.split(numbers, np.flatnonzero(np.diff(numbers) > 1) + 1)
    return [[int(row[0]), int(row[-1])] for row in rows]


def _describe(pyramid: Pyramid, tiles: np.ndarray, first: Mapping[str, Any], credit: str) -> None:
    """Write `properties`, `Moc.fits` and, of PNG, Allsky of each survey; `first` is where a viewer starts."""
    order, run = pyramid.order, pyramid.root.parent.name
    moc = MOC.from_healpix_cells(tiles.astype(np.uint64), np.full(len(tiles), order, np.uint8), order)
    common = {
        "obs_copyright": credit or "see the input",
        "prov_progenitor": credit or f"the input of the run {run}",
        "obs_regime": "Optical",
        "dataproduct_type": "image",
        "hips_version": "1.4",
        "hips_builder": f"skydenoise {__version__}",
        "hips_release_date": datetime.now(UTC).strftime("%Y-%m-%dT%H:%MZ"),
        "hips_status": "public master clonableOnce",
        "hips_frame": "equatorial",
        "hips_order": order,
        "hips_order_min": 0,
        "hips_tile_width": WIDTH,
        "hips_initial_ra": first["ra"],
        "hips_initial_dec": first["dec"],
        "hips_initial_fov": 0.5,
        "moc_sky_fraction": f"{moc.sky_fraction:.3g}",
    }
    sigma = dict(zip(pyramid.noise.bands, pyramid.noise.sigma_sky, strict=True))
    for name, end in pyramid.surveys.items():
        kind, _, band = name.partition("-")
        own = {"creator_did": f"ivo://skydenoise/P/{run}/{name}", "obs_title": f"{run} {name}"}
        own["obs_description"] = f"{kind} of the bricks of a run, {f'band {band}' if band else 'in colour'}"
        own["hips_tile_format"] = end
        if band:
            low, high = CUTS[kind]
            own["hips_pixel_cut"] = f"{low * sigma[band]:.4g} {high * sigma[band]:.4g}"
            own["hips_pixel_bitpix"] = "-32"
        else:
            own["dataproduct_subtype"] = "color"
        lines = [f"{key:20} = {value}\n" for key, value in (own | common).items()]
        write_text(pyramid.root / name / "properties", "".join(lines))
        with atomic_path(pyramid.root / name / "Moc.fits") as partial:
            moc.save(partial, format="fits")
        if end == "png":
            _write_allsky(pyramid.root / name, np.unique(tiles // 4 ** (order - 3)))


def _write_allsky(survey: Path, tiles: np.ndarray) -> None:
    """One picture of all tiles of order 3, 64 x 64 pixels of each, 27 side by side (HiPS 1.0, 4.3.2)."""
    allsky = Image.new("RGBA", (27 * 64, 29 * 64))
    for tile in tiles.tolist():
        with Image.open(tile_path(survey, 3, tile, "png")) as image:
            allsky.paste(image.reduce(WIDTH // 64), (64 * (tile % 27), 64 * (tile // 27)))
    with atomic_path(survey / "Norder3/Allsky.png") as partial:
        allsky.save(partial)
