"""From images to figures: pixels, fluxes, colours, seams and the uncertainty, against the truth."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
from astropy.table import Row, Table

from benchmarks.quality.figures import Figure
from benchmarks.quality.sky import Sky
from skydenoise.brick import Denoised
from skydenoise.evaluate.apertures import Apertures, combine, measure
from skydenoise.evaluate.photometry import colour_table, photometry_table
from skydenoise.evaluate.pixels import coverage_sums, coverage_table, pixel_sums, pool, quality_row
from skydenoise.evaluate.scene import Image

Images = Mapping[str, Sequence[Image]]
"""Images by method, one per scene of the sky."""

FLUX_BINS = {("snr_above", 20.0): "> 20", ("snr", 10.0): "10-20", ("snr", 5.0): "5-10"}
"""Names of the bins of photometry tables that the bar asks for."""
COLOUR_BINS = {("snr_above", 10.0): "> 10"}
ZONES = {"blank": "faint sky", "dim": "dim", "distinct": "on sources"}
"""Zones of coverage.ecsv: by the denoised value over the noise of the input, below 0.3, up to 2, above."""


def pixel_figures(sky: Sky, images: Images) -> Iterator[Figure]:
    """Errors of pixels and the background, by method and band."""
    for method, restored in images.items():
        parts = [
            pixel_sums(scene, image, sky.noise) for scene, image in zip(sky.scenes, restored, strict=True)
        ]
        for number, band in enumerate(sky.noise.bands):
            row = quality_row(method, band, np.nan, pool([part[number] for part in parts]))
            for name in ("error", "sky_rms", "background"):
                yield Figure(method, name, band, "", float(row[name]), float(row[f"{name}_err"]))  # type: ignore[arg-type]


def all_apertures(sky: Sky, images: Images) -> Apertures:
    """Aperture fluxes of every true source, by method."""
    return combine(
        [
            measure(scene, {method: restored[number] for method, restored in images.items()}, sky.noise)
            for number, scene in enumerate(sky.scenes)
        ]
    )


def flux_figures(sky: Sky, apertures: Apertures, generator: np.random.Generator) -> Iterator[Figure]:
    """Bias of fluxes by true signal-to-noise ratio, and of colours."""
    bands = sky.noise.bands
    for row in photometry_table(apertures, bands, generator):
        yield from _binned(row, FLUX_BINS, "flux_bias", row["band"], "bias_mag")
    for row in colour_table(apertures, bands, generator):
        yield from _binned(row, COLOUR_BINS, "colour_bias", row["colour"], "bias_mag")


def _binned(
    row: Row, bins: Mapping[tuple[str, float], str], measure_name: str, band: str, column: str
) -> Iterator[Figure]:
    """The figure of a row of a table, if its bin is wanted."""
    name = bins.get((str(row["binned_by"]), float(row["low"])))
    if name is not None:
        value, error = float(row[column]), float(row[f"{column}_err"])
        yield Figure(str(row["method"]), measure_name, str(band), name, value, error)


def coverage_figures(sky: Sky, method: str, products: Sequence[Denoised]) -> Iterator[Figure]:
    """How often the 1-sigma and 2-sigma intervals of a product hold the truth, by what is seen."""
    table: Table = coverage_table(
        coverage_sums(replace(scene, denoised=product), sky.noise)
        for scene, product in zip(sky.scenes, products, strict=True)
    )
    for row in table:
        if row["zone"] in ZONES:
            for reach in (1, 2):
                share, error = (100 * float(row[f"within_{reach}{end}"]) for end in ("", "_err"))
                yield Figure(
                    method, f"coverage_{reach}", str(row["band"]), ZONES[row["zone"]], share, error
                )
