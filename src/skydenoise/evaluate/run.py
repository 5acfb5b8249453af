"""The measurements of one run: bricks in, tables out."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from astropy.table import Table

from skydenoise.errors import BrickError, SettingsError
from skydenoise.evaluate.apertures import Apertures, combine, measure
from skydenoise.evaluate.photometry import (
    COLOUR_DEFINITIONS,
    COLOUR_FIELDS,
    PHOTOMETRY_DEFINITIONS,
    PHOTOMETRY_FIELDS,
    colour_table,
    photometry_table,
)
from skydenoise.evaluate.pixels import (
    QUALITY_DEFINITIONS,
    QUALITY_FIELDS,
    coverage_sums,
    coverage_table,
    pixel_sums,
    pool,
    quality_row,
)
from skydenoise.evaluate.residual import residual_sums, residual_table
from skydenoise.evaluate.scene import Scene, has_truth, read_scene
from skydenoise.evaluate.search.dual import DUAL, above, with_dual
from skydenoise.evaluate.search.searchrun import SearchRun, pure_threshold, write_search
from skydenoise.evaluate.smoothing import best_widths, smooth_bands
from skydenoise.evaluate.stars import Shapes, star_shapes, star_table
from skydenoise.evaluate.statistics import Array
from skydenoise.evaluate.tables import make_table, write_table
from skydenoise.io import read_brick, read_denoised
from skydenoise.noise import NoiseModel

_log = logging.getLogger(__name__)

GAUSSIAN, DENOISED = "gaussian", "denoised"
"""Names of the smoothed peer and of the product in the tables."""


def evaluate_truth(
    names: Sequence[str],
    cache: Path,
    root: Path,
    bands: Sequence[str],
    noise: NoiseModel,
    folder: Path,
    others: Mapping[str, Path] | None = None,
) -> None:
    """Compare noisy, smoothed and denoised bricks with the simulated truth; pool all bricks.

    Writes quality, photometry, colours, coverage, detection, completeness, purity and stars .ecsv into
    `folder`; each says in its header what its columns mean. A brick that has no truth or cannot be read is
    left out, and the log says so; if none remains, the tables have no rows.

    Parameters
    ----------
    names
        bricks that were finished
    cache
        folder of the observed bricks
    root
        folder of the run, with coadd/ and truth/
    bands
        filters, in the order of the noise model
    noise
        noise as measured on the training bricks
    folder
        where the tables go
    others
        folders of further runs over the same bricks, by the method's name in the tables

    Raises
    ------
    SettingsError : the noise model is for other bands
    """
    check_bands_of(noise, bands)
    known = [name for name in names if has_truth(root, name, bands)]
    for name in sorted(set(names) - set(known)):
        _log.warning("brick %s has no truth: not compared", name)

    def scenes() -> Iterator[Scene]:
        for name in known:
            try:
                yield read_scene(name, cache, root, bands, others)
            except BrickError as error:
                _log.warning("not compared: %s", error)

    widths = best_widths(scenes(), noise)
    pixels: list[dict[str, list[dict[str, Array]]]] = []
    apertures: list[Apertures] = []
    covered: list[dict[tuple[str, str], Array]] = []
    shapes: list[Shapes] = []
    search = SearchRun()
    for scene in scenes():
        methods = _in_order(scene, widths)
        pixels.append({method: pixel_sums(scene, image, noise) for method, image in methods.items()})
        found = search.add(scene, methods, noise)
        apertures.append(with_dual(measure(scene, methods, noise), scene, found, DENOISED))
        shapes.append(star_shapes(scene, methods, noise))
        covered.append(coverage_sums(scene, noise))
        _log.info("brick %s compared with its truth", scene.brick.name)
    write_table(folder / "quality.ecsv", _quality_table(pixels, bands, widths))
    write_table(folder / "coverage.ecsv", coverage_table(covered))
    generator = np.random.default_rng(0)  # the same bricks give the same tables again
    write_table(folder / "stars.ecsv", star_table(shapes, bands, generator))
    compared = search.pooled()
    write_search(compared, bands, folder, generator)
    seen = {DUAL: pure_threshold(compared, DENOISED)}
    together = above(combine(apertures), seen) if apertures else None
    _write_photometry(together, search.apertures(), bands, folder)


def _in_order(scene: Scene, widths: tuple[float, ...]) -> dict[str, np.ndarray]:
    """The scene's methods with the smoothed one after the noisy one."""
    first = {"noisy": scene.methods["noisy"], GAUSSIAN: smooth_bands(scene, widths)}
    return first | dict(scene.methods)


def _quality_table(
    pixels: Sequence[Mapping[str, Sequence[Mapping[str, Array]]]],
    bands: Sequence[str],
    widths: Sequence[float],
) -> Table:
    rows = []
    for number, band in enumerate(bands):
        for method in pixels[0] if pixels else ():
            smoothing = widths[number] if method == GAUSSIAN else np.nan
            sums = pool([brick[method][number] for brick in pixels])
            rows.append(quality_row(method, band, smoothing, sums))
    return make_table(QUALITY_FIELDS, rows, {**QUALITY_DEFINITIONS, "bricks": str(len(pixels))})


def _write_photometry(
    sources: Apertures | None, detected: Mapping[str, Apertures], bands: Sequence[str], folder: Path
) -> None:
    generator = np.random.default_rng(0)
    if sources is not None:
        fluxes = photometry_table(sources, bands, generator, detected)
        colours = colour_table(sources, bands, generator)
    else:
        fluxes = make_table(PHOTOMETRY_FIELDS, [], PHOTOMETRY_DEFINITIONS)
        colours = make_table(COLOUR_FIELDS, [], COLOUR_DEFINITIONS)
    write_table(folder / "photometry.ecsv", fluxes)
    write_table(folder / "colours.ecsv", colours)


def evaluate_residual(
    names: Sequence[str],
    cache: Path,
    root: Path,
    bands: Sequence[str],
    noise: NoiseModel,
    folder: Path,
) -> None:
    """Hold what was taken away against the measured noise, without any truth; pool all bricks.

    Writes residual.ecsv into `folder`. Parameters, unreadable bricks and errors as in `evaluate_truth`.
    """
    check_bands_of(noise, bands)
    parts = []
    for name in names:
        try:
            brick, denoised = read_brick(cache, name, bands), read_denoised(root, name, bands)
        except BrickError as error:
            _log.warning("residual not measured: %s", error)
            continue
        parts.append(residual_sums(brick, denoised, noise))
        _log.info("brick %s: residual measured", name)
    write_table(folder / "residual.ecsv", residual_table(parts, noise))


def check_bands_of(noise: NoiseModel, bands: Sequence[str]) -> None:
    """Refuse a noise model of other bands, or of the same in another order."""
    if tuple(bands) != tuple(noise.bands):
        raise SettingsError(
            f"survey.bands: {', '.join(bands)}, but the noise model is for {', '.join(noise.bands)}"
        )
