"""The measurements of one run: bricks in, tables out.

Each of the three writes tables that say in their headers what their columns mean, and have no rows where
nothing could be measured. A brick that cannot be read is left out, and the log says so.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import combinations
from pathlib import Path

import numpy as np
from astropy.table import Table

from skydenoise.config import EvaluationSettings
from skydenoise.evaluate.detection import dual, tables
from skydenoise.evaluate.detection.completeness import threshold_at_purity
from skydenoise.evaluate.detection.detect import detect
from skydenoise.evaluate.detection.matched import moffats
from skydenoise.evaluate.detection.matches import Compared, compare, pool
from skydenoise.evaluate.images import Image
from skydenoise.evaluate.injection.rounds import ONE_BAND_EVERY, inject_many, known_fwhm
from skydenoise.evaluate.injection.tables import injected_colours_table, injection_table, leak_table
from skydenoise.evaluate.residual import overlaps, seams, sure, whiteness
from skydenoise.evaluate.statistics import Array
from skydenoise.evaluate.tables import write_table
from skydenoise.evaluate.truth import photometry, pixels, smoothing, stars
from skydenoise.evaluate.truth.catalogue import Apertures, combine, measure
from skydenoise.evaluate.truth.known import KnownBrick, has_truth, read_known
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

    def bricks() -> Iterator[KnownBrick]:
        read = partial(read_known, cache, root, bands=bands)
        return readable(known_names, read, step="comparison with the truth")

    widths = smoothing.best_widths(bricks(), noise)
    errors, coverage, shapes, apertures, compared, detected = ([] for _ in range(6))
    for known in bricks():
        own = measure_brick_noise(known.brick, noise)
        smoothed = smoothing.smooth_bands(known.brick, widths)
        methods = {NOISY: known.brick.image, GAUSSIAN: smoothed, DENOISED: known.denoised.image}
        errors.append({method: pixels.pixel_sums(known, image, own) for method, image in methods.items()})
        coverage.append(pixels.coverage_sums(known, own))
        shapes.append(stars.star_shapes(known, methods, own))
        found = detect(known, methods, own, moffats(known.psf_fwhm)) if known.psf_fwhm else None
        apertures.append(dual.with_dual(measure(known, methods, own), known, found, DENOISED))
        if found:
            compared.append(compare(found))
            detected.append(dual.measure_detected(known, methods, own, found))
        else:
            _log.warning("brick %s: its truth has no card PSFFWHM, so it is not searched", known.brick.name)
        _log.info("brick %s compared with its truth", known.brick.name)
    widths_of = {(GAUSSIAN, band): width for band, width in zip(bands, widths, strict=True)}
    _write(folder, quality=pixels.quality_table(errors, widths_of), coverage=pixels.coverage_table(coverage))
    _write_sources(shapes, apertures, compared, detected, bands, folder)


def _write_sources(
    shapes: Sequence[stars.Shapes],
    apertures: Sequence[Apertures],
    compared: Sequence[Compared],
    detected: Sequence[Mapping[str, Apertures]],
    bands: Sequence[str],
    folder: Path,
) -> None:
    generator = np.random.default_rng(0)  # the same bricks give the same tables again
    _write(folder, stars=stars.star_table(shapes, bands, generator))
    matches = pool(compared)
    _write(
        folder,
        detection=tables.detection_table(matches, bands, generator),
        completeness=tables.completeness_table(matches, bands),
        purity=tables.purity_table(matches),
    )
    pure = threshold_at_purity(matches[DENOISED, "+".join(bands)]) if matches else np.nan
    sources = dual.above(combine(apertures), {dual.DUAL: pure}) if apertures else None
    methods = detected[0] if detected else ()
    shown = {
        method: combine([brick[method] for brick in detected], dual.SAME_DETECTION) for method in methods
    }
    generator = np.random.default_rng(0)
    _write(
        folder,
        photometry=photometry.photometry_table(sources, bands, generator, shown),
        colours=photometry.colour_table(sources, bands, generator),
    )


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

    Writes injection, injected_colours, leak, seams, overlaps and risk .ecsv into `folder`. Parameters as in
    `evaluate_truth`.

    denoiser : with the settings that the bricks were denoised with
    settings : how many sources are put in, and how wide they are
    """
    generator = np.random.default_rng(0)  # the same bricks give the same tables again
    noise, bands, predict = denoiser.description.noise, denoiser.description.bands, denoiser.settings
    per_brick, size = -(-CUTOUTS // max(len(names), 1)), max(CUTOUT_SIZE, predict.tile)

    def read(name: str) -> tuple[Brick, Denoised, list[Brick]]:
        brick, denoised = _read_product(cache, root, bands, name)
        return brick, denoised, list(random_cutouts(brick, per_brick, size, generator))

    own: dict[str, NoiseModel] = {}

    def method(brick: Brick, denoiser: Denoiser = denoiser) -> Image:
        return estimate_sky(brick, own[brick.name], denoiser)[0]

    steps, outlines, parts = [], {}, []
    for brick, denoised, cutouts in readable(names, read, step="evaluation"):
        grid = TileGrid(*brick.shape, predict.tile, predict.overlap)
        own[brick.name] = noise_of(brick, denoiser)
        steps.append(seams.seam_sums(brick, denoised.image, own[brick.name], grid))
        outlines[brick.name] = brick.headers[0], brick.shape
        fwhm = known_fwhm(brick, own[brick.name], settings)
        parts += [(cutout, fwhm) for cutout in cutouts]
        _log.info("brick %s: seams measured", brick.name)
    differences = list(_differences(outlines, partial(_read_product, cache, root, bands), noise))
    _write(folder, seams=seams.seam_table({DENOISED: steps}))
    _write(folder, overlaps=overlaps.overlap_table({DENOISED: differences}))
    denoised_parts = [(cutout, method(cutout), fwhm) for cutout, fwhm in parts[:CUTOUTS]]
    risk = [
        sure.sure_sums(cutout, method, image, own[cutout.name], generator)
        for cutout, image, _ in denoised_parts
    ]
    _write(folder, risk=sure.sure_table({DENOISED: risk}, noise))
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
        injection=injection_table(samples, bands, generator),
        injected_colours=injected_colours_table(samples, bands, generator),
        leak=leak_table({way: each for way, each in leaks.items() if each}, bands, generator),
    )


def _read_product(cache: Path, root: Path, bands: Sequence[str], name: str) -> overlaps.Product:
    return read_brick(cache, name, bands), read_denoised(root, name, bands)


def _differences(
    outlines: Mapping[str, overlaps.Outline], read: Callable[[str], overlaps.Product], noise: NoiseModel
) -> Iterator[Mapping[str, Array]]:
    """Sums of each pair of bricks that overlap; two bricks are in memory at a time."""
    for one, other in combinations(outlines, 2):
        if places := overlaps.overlap_pixels(outlines[one], outlines[other]):
            yield overlaps.overlap_sums(read(one), read(other), places, noise)


def _write(folder: Path, **contents: Table) -> None:
    for name, table in contents.items():
        write_table(folder / f"{name}.ecsv", table)
