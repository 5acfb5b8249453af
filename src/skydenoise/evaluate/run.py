"""The measurements of one run: bricks in, tables out.

Each of the three writes tables that say in their headers what their columns mean, and have no rows where
nothing could be measured. A brick that cannot be read is left out, and the log says so.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from astropy.table import Table

from skydenoise.config import EvaluationSettings
from skydenoise.evaluate.detection import dual, tables
from skydenoise.evaluate.detection.detect import detect
from skydenoise.evaluate.detection.matched import moffats
from skydenoise.evaluate.detection.matches import Compared, compare, pool
from skydenoise.evaluate.images import Image
from skydenoise.evaluate.injection.rounds import ONE_BAND_EVERY, inject_many, known_fwhm
from skydenoise.evaluate.injection.tables import injection_table, leak_table
from skydenoise.evaluate.residual import apertures, seams, sure, whiteness
from skydenoise.evaluate.tables import declared_table, write_table
from skydenoise.evaluate.truth import photometry, pixels, stars
from skydenoise.evaluate.truth.known import KnownBrick, read_known
from skydenoise.io import Brick, Denoised, read_brick, read_denoised, readable
from skydenoise.noise import NoiseModel, measure_brick_noise
from skydenoise.predict.calibrate import random_cutouts
from skydenoise.predict.denoise import estimate_sky, noise_of, with_bands
from skydenoise.predict.denoiser import Denoiser
from skydenoise.predict.tiles import TileGrid

_log = logging.getLogger(__name__)

CUTOUTS = 8
"""On which the denoiser runs again, over all bricks."""
CUTOUT_SIZE = 384
"""Pixels along an edge; a tile's, if that is more."""
NOISY, DENOISED = "noisy", "denoised"
"""Names of the input and of the product in the tables."""
AGAINST_TRUTH = (
    "quality",
    "coverage",
    "photometry",
    "colours",
    "stars",
    "detection",
    "completeness",
    "purity",
)


def evaluate_truth(names: Sequence[str], cache: Path, root: Path, noise: NoiseModel, folder: Path) -> None:
    """Compare noisy and denoised bricks with the simulated truth; pool all bricks.

    Writes `AGAINST_TRUTH` as .ecsv into `folder`. A brick that has no truth is left out, and the log says so.

    names : bricks that were finished
    cache : folder of the observed bricks
    root : folder of the run, with coadd/ and truth/
    noise : as measured on the training bricks; each brick is measured against its own (`measure_brick_noise`)
    """
    bands = noise.bands
    read = partial(read_known, cache, root, bands=bands)
    bricks = readable(names, read, step="comparison with the truth")
    parts = [_compare(known, measure_brick_noise(known.brick, noise)) for known in bricks]
    if not parts:
        _write(folder, **{name: declared_table(name, []) for name in AGAINST_TRUTH})
        return
    generator = np.random.default_rng(0)  # the same bricks give the same tables again
    matches = pool([part.compared for part in parts])
    _write(
        folder,
        quality=pixels.quality_table([part.errors for part in parts]),
        coverage=pixels.coverage_table([part.coverage for part in parts]),
        stars=stars.star_table([part.shapes for part in parts], bands, generator),
        detection=tables.detection_table(matches, bands, generator),
        completeness=tables.completeness_table(matches, bands),
        purity=tables.purity_table(matches),
    )
    pure = tables.threshold_at_purity(matches[DENOISED, "+".join(bands)])
    sources = dual.above(photometry.combine([part.apertures for part in parts]), {dual.DUAL: pure})
    detected = {
        method: photometry.combine([part.detected[method] for part in parts], dual.SAME_DETECTION)
        for method in (NOISY, DENOISED)
    }
    generator = np.random.default_rng(0)
    _write(
        folder,
        photometry=photometry.photometry_table(sources, bands, generator, detected),
        colours=photometry.colour_table(sources, bands, generator),
    )


@dataclass(frozen=True, eq=False)
class _Comparison:
    """What the tables need of one brick."""

    errors: Mapping[str, pixels.Sums]
    coverage: pixels.ZoneSums
    shapes: stars.Shapes
    apertures: photometry.Apertures
    compared: Compared
    detected: Mapping[str, photometry.Apertures]


def _compare(known: KnownBrick, noise: NoiseModel) -> _Comparison:
    """Measure a brick against its truth. noise : its own."""
    methods = {NOISY: known.brick.image, DENOISED: known.denoised.image}
    found = detect(known, methods, noise, moffats(known.psf_fwhm))
    apertures = photometry.measure(known, methods, noise)
    _log.info("brick %s compared with its truth", known.brick.name)
    return _Comparison(
        errors={method: pixels.pixel_sums(known, image, noise) for method, image in methods.items()},
        coverage=pixels.coverage_sums(known, noise),
        shapes=stars.star_shapes(known, methods, noise),
        apertures=dual.with_dual(apertures, known, found, DENOISED),
        compared=compare(found),
        detected=dual.measure_detected(known, methods, noise, found),
    )


def evaluate_residual(names: Sequence[str], cache: Path, root: Path, noise: NoiseModel, folder: Path) -> None:
    """Hold what was taken away against the measured noise, without any truth; pool all bricks.

    Writes residual.ecsv into `folder`. Parameters as in `evaluate_truth`.
    """
    parts = []
    for brick, denoised in _products(names, cache, root, noise.bands, "residuals"):
        parts.append(whiteness.residual_sums(brick, denoised, measure_brick_noise(brick, noise)))
        _log.info("brick %s: residual measured", brick.name)
    _write(folder, residual=whiteness.residual_table(parts, noise))


def evaluate_denoiser(
    names: Sequence[str],
    cache: Path,
    root: Path,
    denoiser: Denoiser,
    settings: EvaluationSettings,
    folder: Path,
) -> None:
    """Injected sources, seams and the truth-free errors of a denoiser, of pixels and sums, over all bricks.

    Writes injection, leak, seams, risk and aperture .ecsv into `folder`. Parameters as in `evaluate_truth`.

    denoiser : with the settings that the bricks were denoised with
    settings : how many sources are put in, and how wide they are
    """
    generator = np.random.default_rng(0)  # the same bricks give the same tables again
    noise, bands, predict = denoiser.description.noise, denoiser.description.bands, denoiser.settings
    per_brick, size = -(-CUTOUTS // max(len(names), 1)), max(CUTOUT_SIZE, predict.tile)
    own: dict[str, NoiseModel] = {}

    def method(brick: Brick, denoiser: Denoiser = denoiser) -> Image:
        return estimate_sky(brick, own[brick.name], denoiser)[0]

    steps, parts = [], []
    for brick, denoised in _products(names, cache, root, bands, "evaluation"):
        if not brick.usable.any():
            _log.warning("brick %s: not one usable pixel: left out", brick.name)
            continue
        own[brick.name] = noise_of(brick, denoiser)
        fwhm = known_fwhm(brick, own[brick.name], settings)
        parts += [(cutout, fwhm) for cutout in random_cutouts(brick, per_brick, size, generator)]
        grid = TileGrid(*brick.shape, predict.tile, predict.overlap)
        steps.append(seams.seam_sums(brick, denoised.image, own[brick.name], grid))
        _log.info("brick %s: seams measured", brick.name)
    cutouts = [(cutout, method(cutout), fwhm) for cutout, fwhm in parts[:CUTOUTS]]
    risk, circles = [], []
    for cutout, image, _ in cutouts:
        part = sure.probed(cutout, method, image, own[cutout.name], generator)
        risk.append(sure.sure_sums(part, bands))
        circles.append(apertures.circle_sums(part, own[cutout.name]))
    injected = inject_many(cutouts, method, noise, generator, settings.injections)
    other = "separate" if predict.bands == "joint" else "joint"
    otherwise = partial(method, denoiser=with_bands(denoiser, other))
    again = [(cutout, otherwise(cutout), fwhm) for cutout, _, fwhm in cutouts if fwhm]
    number = -(-settings.injections // ONE_BAND_EVERY**2)  # few, for `separate` takes three times as long
    leaks = {
        predict.bands: injected,
        other: inject_many(again, otherwise, noise, generator, number, one_band_every=1),
    }
    _write(
        folder,
        seams=seams.seam_table(steps),
        risk=sure.sure_table(risk, noise),
        aperture=apertures.aperture_table(circles),
        injection=injection_table({DENOISED: injected} if injected else {}, bands, generator),
        leak=leak_table({way: each for way, each in leaks.items() if each}, bands, generator),
    )


def _products(
    names: Sequence[str], cache: Path, root: Path, bands: Sequence[str], step: str
) -> Iterator[tuple[Brick, Denoised]]:
    """Those bricks that can be read, with what was made of them."""
    return readable(
        names,
        lambda name: (read_brick(cache, name, bands), read_denoised(root, name, bands)),
        step=step,
    )


def _write(folder: Path, **contents: Table) -> None:
    for name, table in contents.items():
        write_table(folder / f"{name}.ecsv", table)
