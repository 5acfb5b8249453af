"""The measurements of one run: bricks in, tables out.

Each of the three writes tables that say in their headers what their columns mean, and have no rows where
nothing could be measured. A brick that cannot be read is left out, and the log says so.
"""

import logging
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Table

from skydenoise.config import EvaluationSettings
from skydenoise.evaluate.detection import dual, tables
from skydenoise.evaluate.detection.detect import detect
from skydenoise.evaluate.detection.matched import moffats
from skydenoise.evaluate.detection.matches import compare, pool
from skydenoise.evaluate.images import Image
from skydenoise.evaluate.injection.rounds import ONE_BAND_EVERY, inject_many, known_fwhm
from skydenoise.evaluate.injection.tables import injection_table, leak_table
from skydenoise.evaluate.residual import overlaps, seams, sure, whiteness
from skydenoise.evaluate.tables import write_table
from skydenoise.evaluate.truth import photometry, pixels, stars
from skydenoise.evaluate.truth.known import KnownBrick, has_truth, read_known
from skydenoise.io import Brick, read_brick, read_denoised, readable
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
NOISY, GAUSSIAN, DENOISED = "noisy", "gaussian", "denoised"
"""Names of the input, of the smoothed peer and of the product in the tables."""


def evaluate_truth(names: Sequence[str], cache: Path, root: Path, noise: NoiseModel, folder: Path) -> None:
    """Compare noisy, smoothed and denoised bricks with the simulated truth; pool all bricks.

    Writes quality, photometry, colours, coverage, detection, completeness, purity and stars .ecsv into
    `folder`. A brick that has no truth is left out, and the log says so.

    names : bricks that were finished
    cache : folder of the observed bricks
    root : folder of the run, with coadd/ and truth/
    noise : as measured on the training bricks; each brick is measured against its own (`measure_brick_noise`)
    """
    bands = noise.bands
    known_names = [name for name in names if has_truth(root, name, bands)]
    for name in sorted(set(names) - set(known_names)):
        _log.warning("brick %s has no truth: not compared", name)
    read = partial(read_known, cache, root, bands=bands)
    bricks = partial(readable, known_names, read, step="comparison with the truth")
    widths = pixels.best_widths(bricks(), noise)
    parts = [_compare(known, widths, measure_brick_noise(known.brick, noise)) for known in bricks()]
    found: dict[str, list[Any]] = {key: [part[key] for part in parts] for key in (parts[0] if parts else ())}
    generator = np.random.default_rng(0)  # the same bricks give the same tables again
    matches = pool([each for each in found.get("compared", []) if each])
    _write(
        folder,
        quality=pixels.quality_table(found.get("errors", [])),
        coverage=pixels.coverage_table(found.get("coverage", [])),
        stars=stars.star_table(found.get("shapes", []), bands, generator),
        detection=tables.detection_table(matches, bands, generator),
        completeness=tables.completeness_table(matches, bands),
        purity=tables.purity_table(matches),
    )
    pure = tables.threshold_at_purity(matches[DENOISED, "+".join(bands)]) if matches else np.nan
    sources = dual.above(photometry.combine(found["apertures"]), {dual.DUAL: pure}) if parts else None
    detected = [each for each in found.get("detected", []) if each]
    shown = {
        method: photometry.combine([brick[method] for brick in detected], dual.SAME_DETECTION)
        for method in (detected[0] if detected else ())
    }
    generator = np.random.default_rng(0)
    _write(
        folder,
        photometry=photometry.photometry_table(sources, bands, generator, shown),
        colours=photometry.colour_table(sources, bands, generator),
    )


def _compare(known: KnownBrick, widths: Sequence[float], noise: NoiseModel) -> Mapping[str, Any]:
    """What the tables need of one brick; nothing of detections if it is not searched. noise : its own."""
    smoothed = pixels.smooth_bands(known.brick, widths)
    methods = {NOISY: known.brick.image, GAUSSIAN: smoothed, DENOISED: known.denoised.image}
    found = detect(known, methods, noise, moffats(known.psf_fwhm)) if known.psf_fwhm else None
    if found is None:
        _log.warning("brick %s: its truth has no card PSFFWHM, so it is not searched", known.brick.name)
    measured = photometry.measure(known, methods, noise)
    _log.info("brick %s compared with its truth", known.brick.name)
    return {
        "errors": {method: pixels.pixel_sums(known, image, noise) for method, image in methods.items()},
        "coverage": pixels.coverage_sums(known, noise),
        "shapes": stars.star_shapes(known, methods, noise),
        "apertures": dual.with_dual(measured, known, found, DENOISED),
        "compared": compare(found) if found else {},
        "detected": dual.measure_detected(known, methods, noise, found) if found else {},
    }


def evaluate_residual(names: Sequence[str], cache: Path, root: Path, noise: NoiseModel, folder: Path) -> None:
    """Hold what was taken away against the measured noise, without any truth; pool all bricks.

    Writes residual.ecsv into `folder`. Parameters as in `evaluate_truth`.
    """
    parts = []
    read = partial(_read_product, cache, root, noise.bands)
    for brick, denoised in readable(names, read, step="residuals"):
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
    """Injected sources, seams and the truth-free error of a denoiser, over all bricks.

    Writes injection, leak, seams, overlaps and risk .ecsv into `folder`. Parameters as in `evaluate_truth`.

    denoiser : with the settings that the bricks were denoised with
    settings : how many sources are put in, and how wide they are
    """
    generator = np.random.default_rng(0)  # the same bricks give the same tables again
    noise, bands, predict = denoiser.description.noise, denoiser.description.bands, denoiser.settings
    per_brick, size = -(-CUTOUTS // max(len(names), 1)), max(CUTOUT_SIZE, predict.tile)
    read = partial(_read_product, cache, root, bands)

    def read_and_cut(name: str) -> tuple[overlaps.Product, list[Brick]]:
        product = read(name)
        return product, list(random_cutouts(product[0], per_brick, size, generator))

    own: dict[str, NoiseModel] = {}

    def method(brick: Brick, denoiser: Denoiser = denoiser) -> Image:
        return estimate_sky(brick, own[brick.name], denoiser)[0]

    steps, outlines, parts = [], {}, []
    for (brick, denoised), cutouts in readable(names, read_and_cut, step="evaluation"):
        grid = TileGrid(*brick.shape, predict.tile, predict.overlap)
        own[brick.name] = noise_of(brick, denoiser)
        steps.append(seams.seam_sums(brick, denoised.image, own[brick.name], grid))
        outlines[brick.name] = brick.headers[0], brick.shape
        fwhm = known_fwhm(brick, own[brick.name], settings)
        parts += [(cutout, fwhm) for cutout in cutouts]
        _log.info("brick %s: seams measured", brick.name)
    differences = [
        overlaps.overlap_sums(read(one), read(other), places, noise)
        for one, other in combinations(outlines, 2)
        if (places := overlaps.overlap_pixels(outlines[one], outlines[other]))
    ]
    denoised_parts = [(cutout, method(cutout), fwhm) for cutout, fwhm in parts[:CUTOUTS]]
    risk = [
        sure.sure_sums(cutout, method, image, own[cutout.name], generator)
        for cutout, image, _ in denoised_parts
    ]
    measured = inject_many(denoised_parts, method, noise, generator, settings.injections)
    samples = {} if measured is None else {DENOISED: measured}
    other = "separate" if predict.bands == "joint" else "joint"
    otherwise = partial(method, denoiser=with_bands(denoiser, other))
    again = [(cutout, otherwise(cutout), fwhm) for cutout, _, fwhm in denoised_parts if fwhm]
    number = -(-settings.injections // ONE_BAND_EVERY**2)  # few, for `separate` takes three times as long
    leaks = {
        predict.bands: measured,
        other: inject_many(again, otherwise, noise, generator, number, one_band_every=1),
    }
    _write(
        folder,
        seams=seams.seam_table(steps),
        overlaps=overlaps.overlap_table(differences),
        risk=sure.sure_table(risk, noise),
        injection=injection_table(samples, bands, generator),
        leak=leak_table({way: each for way, each in leaks.items() if each}, bands, generator),
    )


def _read_product(cache: Path, root: Path, bands: Sequence[str], name: str) -> overlaps.Product:
    return read_brick(cache, name, bands), read_denoised(root, name, bands)


def _write(folder: Path, **contents: Table) -> None:
    for name, table in contents.items():
        write_table(folder / f"{name}.ecsv", table)
