"""From images to measurements: pixels, fluxes, colours, seams and the uncertainty, against the truth."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from astropy.table import Row, Table

from benchmarks.quality.measurements import Measurement
from benchmarks.quality.sky import Sky
from skydenoise.config import PredictSettings
from skydenoise.evaluate.detection.detect import detect
from skydenoise.evaluate.detection.dual import above, measure_detected, with_dual
from skydenoise.evaluate.detection.matched import moffats
from skydenoise.evaluate.detection.matches import Compared, compare, pool
from skydenoise.evaluate.detection.tables import detection_table, threshold_at_purity
from skydenoise.evaluate.images import Image
from skydenoise.evaluate.residual.seams import seam_sums, seam_table
from skydenoise.evaluate.statistics import Array, bootstrap_error, joined, robust_scatter
from skydenoise.evaluate.truth.photometry import Apertures, colour_table, combine, measure, photometry_table
from skydenoise.evaluate.truth.pixels import coverage_sums, coverage_table, pixel_sums, quality_row
from skydenoise.evaluate.truth.stars import star_shapes, star_table
from skydenoise.io import Denoised
from skydenoise.predict.tiles import TileGrid

Images = Mapping[str, Sequence[Image]]
"""Images by method, one per scene of the sky."""

FLUX_BINS = {("snr_above", 20.0): "> 20", ("snr", 10.0): "10-20", ("snr", 5.0): "5-10"}
"""Names of the bins of photometry tables that the bar asks for: by true flux,"""
MEASURED_BINS = {
    ("snr_detected_above", 10.0): "> 10",
    ("snr_detected", 5.0): "5-10",
    ("snr_measured_above", 10.0): "known > 10",
    ("snr_measured", 5.0): "known 5-10",
}
"""and by the flux on the image: of all that it shows, and of the catalogue's isolated sources alone."""
LEAST_SOURCES = 20
"""In a bin of magnitudes."""
ZONES = {"blank": "faint sky", "dim": "dim", "distinct": "on sources"}
"""Zones of coverage.ecsv: by the denoised value over the noise of the input, below 0.3, up to 2, above."""


def pixels(sky: Sky, images: Images) -> Iterator[Measurement]:
    """Errors of pixels and the background, by method and band."""
    for method, restored in images.items():
        parts = [
            pixel_sums(scene, image, sky.noise) for scene, image in zip(sky.scenes, restored, strict=True)
        ]
        for band, sums in joined(parts).items():
            row = quality_row(sums)
            for name in ("error", "sky_rms", "background"):
                yield Measurement(method, name, band, "", row[name], row[f"{name}_err"])


@dataclass(frozen=True, eq=False)
class Catalogues:
    """What was found in the images, over all scenes.

    apertures : of the true sources, by method; under "dual METHOD" the input's where the method shows them
    detected : around what each method shows
    compared : detections against the truth, by method and search
    """

    apertures: Apertures
    detected: Mapping[str, Apertures]
    compared: Compared


def make_catalogues(sky: Sky, images: Images) -> Catalogues:
    """Detect in all images, measure at the true places and at the detected ones."""
    psf = moffats(sky.fwhm)
    apertures, detected, matches = [], [], []
    for number, scene in enumerate(sky.scenes):
        methods = {method: restored[number] for method, restored in images.items()}
        found = detect(scene, methods, sky.noise, psf)
        fluxes_here = measure(scene, methods, sky.noise)
        for method in methods:
            fluxes_here = with_dual(fluxes_here, scene, found, method, _dual(method))
        apertures.append(fluxes_here)
        detected.append(measure_detected(scene, methods, sky.noise, found))
        matches.append(compare(found))
    compared, together = pool(matches), "+".join(sky.noise.bands)
    thresholds = {_dual(method): threshold_at_purity(compared[method, together]) for method in images}
    return Catalogues(
        apertures=above(combine(apertures), thresholds),
        detected={method: combine([part[method] for part in detected]) for method in images},
        compared=compared,
    )


def _dual(method: str) -> str:
    return f"dual {method}"


def fluxes(
    bands: Sequence[str],
    apertures: Apertures,
    generator: np.random.Generator,
    detected: Mapping[str, Apertures] | None = None,
) -> Iterator[Measurement]:
    """Bias of fluxes by true and by measured signal-to-noise ratio, of dual-image photometry, of colours.

    apertures, detected : as those of Catalogues
    """
    for row in photometry_table(apertures, bands, generator, detected or {}):
        key = (str(row["binned_by"]), float(row["low"]))
        if str(row["method"]).startswith(_dual("")):
            if key[0] == "magnitude" and row["sources"] >= LEAST_SOURCES:
                name = f"{row['low']:g}-{row['high']:g} mag"
                yield _of_row(row, "dual_bias", row["band"], name, "bias_mag")
                yield _of_row(row, "dual_shift", row["band"], name, "shift_percent")
        elif key in FLUX_BINS:
            yield _of_row(row, "flux_bias", row["band"], FLUX_BINS[key], "bias_mag")
        elif key in MEASURED_BINS:
            yield _of_row(row, "measured_bias", row["band"], MEASURED_BINS[key], "bias_mag")
    for row in colour_table(apertures, bands, generator):
        key = (str(row["binned_by"]), float(row["low"]))
        if key == ("snr_above", 10.0) and not str(row["method"]).startswith(_dual("")):
            yield _of_row(row, "colour_bias", row["colour"], "", "bias_mag")


def _of_row(row: Row, measure_name: str, band: str, bin: str, column: str) -> Measurement:
    """What a row of a table says."""
    method = str(row["method"]).removeprefix(_dual(""))
    return Measurement(method, measure_name, str(band), bin, float(row[column]), float(row[f"{column}_err"]))


def scatter(bands: Sequence[str], found: Catalogues, generator: np.random.Generator) -> Iterator[Measurement]:
    """Scatter of the input's fluxes where an image shows the sources, over that at their true places."""

    def ratio(sample: Array) -> Array:
        there, at_truth = robust_scatter(sample)
        return np.divide(there, at_truth, out=np.full_like(there, np.nan), where=at_truth > 0)[None]

    apertures = found.apertures
    for method in found.detected:
        for number, band in enumerate(bands):
            flux, truth = apertures.fluxes[_dual(method)][number], apertures.truth[number]
            chosen = apertures.good[number] & np.isfinite(flux) & (truth > 5 * apertures.noise[number])
            sample = np.stack([flux, apertures.fluxes["noisy"][number]])[:, chosen] / truth[chosen]
            if chosen.any():
                error = float(bootstrap_error(ratio, sample, generator)[0])
                yield Measurement(method, "dual_scatter", band, "", float(ratio(sample)[0]), error)


def depth(bands: Sequence[str], found: Catalogues, generator: np.random.Generator) -> Iterator[Measurement]:
    """Depth at 90 % purity and completeness against the matched filter, searched as the image was.

    depth_gain_single compares searches in one band, depth_gain_combined searches in all bands together.
    """
    for row in detection_table(found.compared, bands, generator):
        single = row["search"] == row["band"]
        column = "gain_single" if single else "gain_combined"
        yield _of_row(row, f"depth_{column}", row["band"], "", column)


def stars(sky: Sky, images: Images, generator: np.random.Generator) -> Iterator[Measurement]:
    """Width and ellipticity of stars against the same stars in the input."""
    parts = [
        star_shapes(scene, {method: restored[number] for method, restored in images.items()}, sky.noise)
        for number, scene in enumerate(sky.scenes)
    ]
    for row in star_table(parts, sky.noise.bands, generator):
        if row["method"] in images:
            yield _of_row(row, "fwhm_change", row["band"], "", "fwhm_shift_percent")
            for part in ("e1", "e2"):
                yield _of_row(row, "ellipticity_change", row["band"], part, f"{part}_shift")


def seams(
    sky: Sky, method: str, restored: Sequence[Image], settings: PredictSettings
) -> Iterator[Measurement]:
    """Steps at the borders of a method's tiles."""
    sums = [
        seam_sums(
            scene.brick, image, sky.noise, TileGrid(*scene.brick.shape, settings.tile, settings.overlap)
        )
        for scene, image in zip(sky.scenes, restored, strict=True)
    ]
    for row in seam_table(sums):
        amplitude, error = float(row["amplitude"]), float(row["amplitude_err"])
        yield Measurement(method, "seam", str(row["band"]), str(row["kind"]), amplitude, error)


def coverage(sky: Sky, method: str, products: Sequence[Denoised]) -> Iterator[Measurement]:
    """How often the 1-sigma and 2-sigma intervals of a product hold the truth, by what is seen."""
    table: Table = coverage_table(
        [
            coverage_sums(replace(scene, denoised=product), sky.noise)
            for scene, product in zip(sky.scenes, products, strict=True)
        ]
    )
    for row in table:
        if row["zone"] in ZONES:
            for reach in (1, 2):
                share, error = (100 * float(row[f"within_{reach}{end}"]) for end in ("", "_err"))
                yield Measurement(
                    method, f"coverage_{reach}", str(row["band"]), ZONES[row["zone"]], share, error
                )
