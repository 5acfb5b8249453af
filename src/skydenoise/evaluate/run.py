"""The measurements of one run: bricks in, tables out.

Each of the three writes tables that say in their headers what their columns mean, and have no rows where
nothing could be measured. A brick that cannot be read is left out, and the log says so.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.table import Table

from skydenoise.config import EvaluationSettings
from skydenoise.evaluate.detection.completeness import threshold_at_purity
from skydenoise.evaluate.detection.detect import detect
from skydenoise.evaluate.detection.dual import DUAL, SAME_DETECTION, above, measure_detected, with_dual
from skydenoise.evaluate.detection.matched import moffats
from skydenoise.evaluate.detection.matches import Compared, compare, pool
from skydenoise.evaluate.detection.tables import completeness_table, detection_table, purity_table
from skydenoise.evaluate.images import Image
from skydenoise.evaluate.injection.rounds import inject_many, known_fwhm
from skydenoise.evaluate.injection.tables import injected_colours_table, injection_table, leak_table
from skydenoise.evaluate.residual.overlaps import Product, overlap_pixels, overlap_sums, overlap_table
from skydenoise.evaluate.residual.seams import seam_sums, seam_table
from skydenoise.evaluate.residual.sure import sure_sums, sure_table
from skydenoise.evaluate.residual.whiteness import residual_sums, residual_table
from skydenoise.evaluate.statistics import Array
from skydenoise.evaluate.tables import write_table
from skydenoise.evaluate.truth.catalogue import Apertures, combine, measure
from skydenoise.evaluate.truth.known import KnownBrick, has_truth, read_known
from skydenoise.evaluate.truth.photometry import colour_table, photometry_table
from skydenoise.evaluate.truth.pixels import Sums, coverage_sums, coverage_table, pixel_sums, quality_table
from skydenoise.evaluate.truth.smoothing import best_widths, smooth_bands
from skydenoise.evaluate.truth.stars import Shapes, star_shapes, star_table
from skydenoise.io import Brick, Denoised, read_brick, read_denoised, readable
from skydenoise.noise import NoiseModel
from skydenoise.predict.calibrate import random_cutouts
from skydenoise.predict.denoise import Denoiser, estimate_sky, noise_of
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
    noise : as measured on the training bricks
    """
    bands = noise.bands
    known_names = [name for name in names if has_truth(root, name, bands)]
    for name in sorted(set(names) - set(known_names)):
        _log.warning("brick %s has no truth: not compared", name)

    def bricks() -> Iterator[KnownBrick]:
        read = partial(read_known, cache, root, bands=bands)
        return readable(known_names, read, step="comparison with the truth")

    widths = best_widths(bricks(), noise)
    parts = []
    for known in bricks():
        smoothed = smooth_bands(known.brick, widths)
        methods = {NOISY: known.brick.image, GAUSSIAN: smoothed, DENOISED: known.denoised.image}
        parts.append(_compare(known, methods, noise))
        _log.info("brick %s compared with its truth", known.brick.name)
    smoothing = {(GAUSSIAN, band): width for band, width in zip(bands, widths, strict=True)}
    _write(folder, quality=quality_table([part.pixels for part in parts], smoothing))
    _write(folder, coverage=coverage_table([part.coverage for part in parts]))
    _write_sources(parts, bands, folder)


@dataclass(frozen=True, eq=False)
class _Comparison:
    """What is kept of a brick; `compared` and `detected` are empty if it could not be searched."""

    pixels: dict[str, Sums]
    coverage: Mapping[tuple[str, str], Array]
    shapes: Shapes
    apertures: Apertures
    compared: Compared
    detected: Mapping[str, Apertures]


def _compare(known: KnownBrick, methods: Mapping[str, Image], noise: NoiseModel) -> _Comparison:
    found = detect(known, methods, noise, moffats(known.psf_fwhm)) if known.psf_fwhm else None
    if found is None:
        _log.warning("brick %s: its truth has no card PSFFWHM, so it is not searched", known.brick.name)
    return _Comparison(
        pixels={method: pixel_sums(known, image, noise) for method, image in methods.items()},
        coverage=coverage_sums(known, noise),
        shapes=star_shapes(known, methods, noise),
        apertures=with_dual(measure(known, methods, noise), known, found, DENOISED),
        compared=compare(found) if found else {},
        detected=measure_detected(known, methods, noise, found) if found else {},
    )


def _write_sources(parts: Sequence[_Comparison], bands: Sequence[str], folder: Path) -> None:
    generator = np.random.default_rng(0)  # the same bricks give the same tables again
    _write(folder, stars=star_table([part.shapes for part in parts], bands, generator))
    searched = [part for part in parts if part.compared]
    compared = pool([part.compared for part in searched])
    _write(
        folder,
        detection=detection_table(compared, bands, generator),
        completeness=completeness_table(compared, bands),
        purity=purity_table(compared),
    )
    pure = threshold_at_purity(compared[DENOISED, "+".join(bands)]) if compared else np.nan
    sources = above(combine([part.apertures for part in parts]), {DUAL: pure}) if parts else None
    detected = {
        method: combine([part.detected[method] for part in searched], SAME_DETECTION)
        for method in (searched[0].detected if searched else ())
    }
    generator = np.random.default_rng(0)
    _write(
        folder,
        photometry=photometry_table(sources, bands, generator, detected),
        colours=colour_table(sources, bands, generator),
    )


def evaluate_residual(names: Sequence[str], cache: Path, root: Path, noise: NoiseModel, folder: Path) -> None:
    """Hold what was taken away against the measured noise, without any truth; pool all bricks.

    Writes residual.ecsv into `folder`. Parameters as in `evaluate_truth`.
    """
    parts = []
    read = partial(_read_product, cache, root, noise.bands)
    for brick, denoised in readable(names, read, step="residuals"):
        parts.append(residual_sums(brick, denoised, noise))
        _log.info("brick %s: residual measured", brick.name)
    _write(folder, residual=residual_table(parts, noise))


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

    def method(brick: Brick) -> Image:
        return estimate_sky(brick, noise_of(brick, denoiser), denoiser)[0]

    seams, outlines, cutouts = [], {}, []
    for brick, denoised, parts in readable(names, read, step="evaluation"):
        grid = TileGrid(*brick.shape, predict.tile, predict.overlap)
        seams.append(seam_sums(brick, denoised.image, noise, grid))
        outlines[brick.name] = brick.headers[0], brick.shape
        fwhm = known_fwhm(brick, noise, settings)
        cutouts += [(part, fwhm) for part in parts]
        _log.info("brick %s: seams measured", brick.name)
    _write(folder, seams=seam_table({DENOISED: seams}))
    pairs = _overlapping(outlines, partial(_read_product, cache, root, bands), noise)
    _write(folder, overlaps=overlap_table({DENOISED: list(pairs)}))
    denoised_cutouts = [(part, method(part), fwhm) for part, fwhm in cutouts[:CUTOUTS]]
    risk = [sure_sums(part, method, image, noise, generator) for part, image, _ in denoised_cutouts]
    _write(folder, risk=sure_table({DENOISED: risk}, noise))
    measured = inject_many(denoised_cutouts, method, noise, generator, settings.injections)
    samples = {} if measured is None else {DENOISED: measured}
    _write(
        folder,
        injection=injection_table(samples, bands, generator),
        injected_colours=injected_colours_table(samples, bands, generator),
        leak=leak_table(samples, bands, generator),
    )


def _read_product(cache: Path, root: Path, bands: Sequence[str], name: str) -> Product:
    return read_brick(cache, name, bands), read_denoised(root, name, bands)


def _overlapping(
    outlines: Mapping[str, tuple[fits.Header, tuple[int, int]]],
    read: Callable[[str], Product],
    noise: NoiseModel,
) -> Iterator[Mapping[str, Array]]:
    """Sums of each pair of bricks that overlap; two bricks are in memory at a time."""
    for one, other in combinations(outlines, 2):
        (header, shape), (other_header, other_shape) = outlines[one], outlines[other]
        if places := overlap_pixels(header, other_header, shape, other_shape):
            yield overlap_sums(read(one), read(other), places, noise)


def _write(folder: Path, **tables: Table) -> None:
    for name, table in tables.items():
        write_table(folder / f"{name}.ecsv", table)
