"""The measurements that need no truth but run the denoiser again: denoised bricks in, tables out."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import combinations, count
from pathlib import Path

import numpy as np
from astropy.io import fits

from skydenoise.config import EvaluationSettings
from skydenoise.errors import BrickError
from skydenoise.evaluate.again.false_peaks import false_peaks, thresholds
from skydenoise.evaluate.again.injection import Recovered, inject, join, recover_sources, survey_ground
from skydenoise.evaluate.again.overlaps import Pair, overlap_pixels, overlap_sums, overlap_table
from skydenoise.evaluate.again.recovery import injected_colours_table, leak_table, recovery_table
from skydenoise.evaluate.again.risk import risk_sums, risk_table
from skydenoise.evaluate.again.seams import Sums, seam_sums, seam_table
from skydenoise.evaluate.pictures.draw import arcsec_per_pixel
from skydenoise.evaluate.psf import measure_fwhm
from skydenoise.evaluate.scene import Image, Method
from skydenoise.evaluate.tables import write_table
from skydenoise.io import Brick, read_brick, read_denoised, readable
from skydenoise.noise import NoiseModel
from skydenoise.predict.calibrate import random_cutouts
from skydenoise.predict.denoise import Denoiser, estimate_sky, noise_of
from skydenoise.predict.tiles import TileGrid

_log = logging.getLogger(__name__)

CUTOUTS = 8
"""Over all bricks."""
CUTOUT_SIZE = 384
"""Pixels along an edge; a tile's, if that is more."""
SOURCES_AT_ONCE = 32
"""In one cutout at most; places that are empty and far enough apart are often fewer."""
ONE_BAND_EVERY = 3
"""One in so many rounds of injections puts sources into single bands, to see what leaks."""
METHOD = "denoised"
"""Name in the tables."""


@dataclass(frozen=True, eq=False)
class Cutout:
    """A part of a brick.

    fwhm : of the point spread function in each band, pixels; empty if it is not known
    """

    brick: Brick
    fwhm: tuple[float, ...]


@dataclass
class _Read:
    """What is kept of the bricks."""

    cutouts: list[Cutout] = field(default_factory=list)
    seams: list[Sums] = field(default_factory=list)
    outlines: dict[str, tuple[fits.Header, tuple[int, int]]] = field(default_factory=dict)


def evaluate_denoiser(
    names: Sequence[str],
    cache: Path,
    root: Path,
    denoiser: Denoiser,
    settings: EvaluationSettings,
    folder: Path,
) -> None:
    """Injection and recovery, seams and the truth-free error of a denoiser, over all bricks.

    Writes injection.ecsv, injected_colours.ecsv, leak.ecsv, seams.ecsv, overlaps.ecsv and risk.ecsv into
    `folder`; each says in its header what its columns mean, and has no rows where nothing could be measured.
    A brick that cannot be read is left out, and the log says so.

    Parameters
    ----------
    names
        bricks that were finished
    cache
        folder of the observed bricks
    root
        folder of the run, with coadd/
    denoiser
        with the settings that the bricks were denoised with
    settings
        how many sources are put in, and how wide they are
    folder
        where the tables go
    """
    generator = np.random.default_rng(0)  # the same bricks give the same tables again
    noise, bands = denoiser.description.noise, denoiser.description.bands
    read = _read_bricks(names, cache, root, denoiser, settings, generator)
    write_table(folder / "seams.ecsv", seam_table({METHOD: read.seams}))
    pairs = _overlapping(read.outlines, cache, root, noise)
    write_table(folder / "overlaps.ecsv", overlap_table({METHOD: list(pairs)}))

    def method(brick: Brick) -> Image:
        return estimate_sky(brick, noise_of(brick, denoiser), denoiser)[0]

    before = [method(cutout.brick) for cutout in read.cutouts]
    risk = [
        risk_sums(cutout.brick, method, noise, generator, denoised=image)
        for cutout, image in zip(read.cutouts, before, strict=True)
    ]
    write_table(folder / "risk.ecsv", risk_table({METHOD: risk}, noise))
    recovered = inject_many(read.cutouts, before, method, noise, generator, settings.injections)
    samples = {METHOD: recovered} if recovered is not None else {}
    write_table(folder / "injection.ecsv", recovery_table(samples, bands, generator))
    write_table(folder / "injected_colours.ecsv", injected_colours_table(samples, bands, generator))
    write_table(folder / "leak.ecsv", leak_table(samples, bands, generator))


def _read_bricks(
    names: Sequence[str],
    cache: Path,
    root: Path,
    denoiser: Denoiser,
    settings: EvaluationSettings,
    generator: np.random.Generator,
) -> _Read:
    """Measure the seams of each brick's product and cut it for the rest."""
    result = _Read()
    description, predict = denoiser.description, denoiser.settings
    per_brick, size = -(-CUTOUTS // max(len(names), 1)), max(CUTOUT_SIZE, predict.tile)
    bricks = readable(names, partial(read_brick, cache, bands=description.bands), step="evaluation")
    for brick in bricks:
        try:
            image = read_denoised(root, brick.name, brick.bands).image
            parts = list(random_cutouts(brick, per_brick, size, generator))
        except BrickError as error:
            _log.warning("left out of evaluation: %s", error)
            continue
        grid = TileGrid(*brick.shape, predict.tile, predict.overlap)
        result.seams.append(seam_sums(brick, image, description.noise, grid))
        result.outlines[brick.name] = (brick.headers[0], brick.shape)
        fwhm = _fwhm(brick, description.noise, settings) if settings.injections else ()
        result.cutouts += [Cutout(part, fwhm) for part in parts[: CUTOUTS - len(result.cutouts)]]
        _log.info("brick %s: seams measured", brick.name)
    return result


def _fwhm(brick: Brick, noise: NoiseModel, settings: EvaluationSettings) -> tuple[float, ...]:
    """Of the settings or of the brick's stars, pixels; empty, with a word in the log, if there are none."""
    scale = arcsec_per_pixel(brick.headers[0])
    if settings.fwhm and scale:
        return tuple(width / scale for width in settings.fwhm)
    try:
        return measure_fwhm(brick, noise)
    except BrickError as error:
        _log.warning("nothing is injected; evaluate.fwhm can say how wide the seeing is: %s", error)
        return ()


def _overlapping(
    outlines: Mapping[str, tuple[fits.Header, tuple[int, int]]], cache: Path, root: Path, noise: NoiseModel
) -> Iterator[Mapping[str, np.ndarray]]:
    """Sums of each pair of bricks that overlap; two bricks are in memory at a time."""
    for names in combinations(outlines, 2):
        (header, shape), (other, other_shape) = (outlines[name] for name in names)
        if overlap_pixels(header, other, shape, other_shape) is None:
            continue
        pair = [
            Pair(read_brick(cache, name, noise.bands), read_denoised(root, name, noise.bands))
            for name in names
        ]
        sums = overlap_sums(pair[0], pair[1], noise)
        if sums is not None:
            yield sums


def inject_many(
    cutouts: Sequence[Cutout],
    before: Sequence[Image],
    method: Method,
    noise: NoiseModel,
    generator: np.random.Generator,
    wanted: int,
) -> Recovered | None:
    """Put `wanted` sources into cutouts, in turn and in as many rounds as that takes, and recover them.

    Parameters
    ----------
    cutouts
        where; those without a known width of the point spread function are left out
    before
        what the method makes of each
    method
        what is measured
    noise
        of the bands
    generator
        of all that is random
    wanted
        how many sources

    Returns
    -------
    the sources, fewer if there is no room; None if there are none
    """
    usable = [(cutout, image) for cutout, image in zip(cutouts, before, strict=True) if cutout.fwhm]
    if not usable or wanted == 0:
        return None
    limits = thresholds([false_peaks(cutout.brick, method, noise, generator) for cutout, _ in usable])
    grounds = [survey_ground(cutout.brick, noise, cutout.fwhm) for cutout, _ in usable]
    _log.info("a pixel is a detection above %s sigma", ", ".join(f"{limit:.3f}" for limit in limits))
    parts: list[Recovered] = []
    at_once = min(SOURCES_AT_ONCE, -(-wanted // ONE_BAND_EVERY))  # of few, too, some go into single bands
    left, fruitless = wanted, 0
    for turn in count():
        if left == 0 or fruitless == len(usable):
            break
        place = turn % len(usable)
        injection = inject(
            grounds[place],
            generator,
            count=min(left, at_once),
            one_band=(turn + turn // len(usable)) % ONE_BAND_EVERY == ONE_BAND_EVERY - 1,
        )
        left -= injection.x.size
        fruitless = 0 if injection.x.size else fruitless + 1
        if injection.x.size:
            parts.append(recover_sources(injection, method, usable[place][1], limits))
    _log.info("%d sources injected, %d runs of the method", wanted - left, len(parts))
    return join(parts) if parts else None
