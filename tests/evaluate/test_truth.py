"""Errors against a known truth: what is put in comes out."""

import logging
from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS

from skydenoise import paths
from skydenoise.config import OutputSettings
from skydenoise.errors import SettingsError
from skydenoise.evaluate import evaluate_truth, summary
from skydenoise.evaluate.apertures import (
    Apertures,
    aperture_sums,
    combine,
    correlated_area,
    isolated_sources,
    measure,
)
from skydenoise.evaluate.photometry import colour_table, photometry_table
from skydenoise.evaluate.pixels import coverage_sums, coverage_table, pixel_sums, quality_row
from skydenoise.evaluate.scene import Scene, measured_pixels
from skydenoise.evaluate.smoothing import WIDTHS, best_widths, smooth
from skydenoise.io import Brick, Denoised, flag_bit, write_brick, write_survey_image
from skydenoise.io.rawbrick import write_raw
from skydenoise.noise import NoiseModel
from skydenoise.noise.levels import noise_levels

BANDS = ("g", "r")
SIZE = 200
SIGMA = 0.01
FWHM = 4.71  # of the sources, pixels
LOSSLESS = OutputSettings("lossless")


def white_noise_model():
    correlation = np.zeros((2, 5, 5))
    correlation[:, 2, 2] = 1
    levels = np.stack([noise_levels(function, 3) for function in correlation])
    return NoiseModel(BANDS, (SIGMA, SIGMA), (1.0, 1.0), correlation, levels)


def header(ra):
    cards = {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": ra, "CRVAL2": 60.0}
    cards |= {"CRPIX1": 100.5, "CRPIX2": 100.5, "CD1_1": -7.3e-5, "CD1_2": 0.0, "CD2_1": 0.0, "CD2_2": 7.3e-5}
    return fits.Header(cards)


def make_scene(name="0001p600", ra=0.15, seed=0):
    """Gaussian sources on a grid 25 pixels wide, fluxes 0.5 to 50 nMgy, in white noise."""
    generator = np.random.default_rng(seed)
    grid = np.arange(20, SIZE - 10, 25)
    x, y = (at.ravel() + generator.uniform(-1, 1, grid.size**2) for at in np.meshgrid(grid, grid))
    flux = 10 ** generator.uniform(-0.3, 1.7, x.size)
    rows = np.arange(SIZE)
    truth = np.zeros((2, SIZE, SIZE), np.float32)
    for px, py, total in zip(x, y, flux, strict=True):
        along = [np.exp(-((rows - at) ** 2) / 8) / np.sqrt(8 * np.pi) for at in (py, px)]
        truth += (total * np.outer(*along)).astype(np.float32)
    sources = Table({"id": np.arange(x.size), "x": x, "y": y, "flux_g": flux, "flux_r": flux})
    sources["ra"], sources["dec"] = WCS(header(ra)).pixel_to_world_values(x, y)
    sources["saturated"] = False
    noisy = truth + (SIGMA * generator.standard_normal(truth.shape)).astype(np.float32)
    invvar = np.full(truth.shape, SIGMA**-2, np.float32)
    brick = Brick(name, BANDS, noisy, invvar, np.zeros(truth.shape, bool), (header(ra),) * 2)
    return with_denoised(Scene(brick, {}, invvar > 0, invvar == 0, None, truth, sources), truth)


def with_denoised(scene, image, sigma=SIGMA):
    denoised = Denoised(image, np.full_like(image, sigma), np.zeros(image.shape[1:], np.int32))
    return replace(scene, denoised=denoised, methods={"noisy": scene.brick.image, "denoised": image})


@pytest.fixture(scope="module")
def scene():
    return make_scene()


@pytest.fixture(scope="module")
def noise():
    return white_noise_model()


def quality(scene, image, noise):
    return quality_row("denoised", "g", np.nan, pixel_sums(scene, image, noise)[0])


def photometry(scene, noise, generator=None):
    apertures = combine([measure(scene, scene.methods, noise)])
    table = photometry_table(apertures, BANDS, generator or np.random.default_rng(0))
    return table[(table["band"] == "r") & (table["method"] == "denoised")]


def row_of(table, binned_by, low):
    return table[(table["binned_by"] == binned_by) & (table["low"] == low)][0]


def test_a_perfect_image_has_no_error(scene, noise):
    row = quality(scene, scene.truth, noise)
    for measure_name in ("error", "sky_rms", "background", "background_sigma", "bright_bias_percent"):
        assert row[measure_name] == pytest.approx(0, abs=1e-5)
    assert row["pixels"] == SIZE**2
    assert row["inpainted_pixels"] == 0
    assert np.isnan(row["inpainted_error"])
    bias = row_of(photometry(scene, noise), "snr_above", 20)
    assert bias["bias_percent"] == pytest.approx(0, abs=1e-3)


def test_the_noisy_image_errs_by_one_sigma(scene, noise):
    row = quality(scene, scene.brick.image, noise)
    assert abs(row["sky_rms"] - 1) < 4 * row["sky_rms_err"]
    assert row["sky_rms_err"] < 0.02
    assert 0.8 < row["error"] < 1  # the stretch makes little of errors in bright pixels


def test_a_pedestal_is_background(scene, noise):
    row = quality(scene, scene.truth + np.float32(0.002), noise)
    assert row["background"] == pytest.approx(0.002, rel=1e-4)
    assert row["background_sigma"] == pytest.approx(0.2, rel=1e-4)


def test_two_per_cent_of_lost_flux_are_found(scene, noise):
    generator = np.random.default_rng(1)
    dimmed = 0.98 * scene.truth + 0.1 * SIGMA * generator.standard_normal(scene.truth.shape)
    table = photometry(with_denoised(scene, dimmed.astype(np.float32)), noise)
    row = row_of(table, "snr_above", 20)
    assert row["sources"] > 20
    assert abs(row["bias_percent"] + 2) < 4 * row["bias_percent_err"] < 1
    assert abs(row["bias_mag"] - 0.0219) < 4 * row["bias_mag_err"]
    assert abs(row["shift_percent"] + 2) < 4 * row["shift_percent_err"]
    for low in table[table["binned_by"] == "magnitude"]["low"]:
        bin_ = row_of(table, "magnitude", low)
        if bin_["sources"] > 2:
            assert abs(bin_["bias_percent"] + 2) < 5 * bin_["bias_percent_err"] + 0.05


def test_scatter_is_that_of_the_aperture(scene, noise):
    apertures = measure(scene, scene.methods, noise)
    pull = ((apertures.fluxes["noisy"] - apertures.truth) / apertures.noise)[apertures.good]
    assert pull.std() == pytest.approx(1, rel=0.25)
    # the area, less what pixels at the rim that are cut lose: sum of squared weights
    assert 0.9 * 25 * np.pi < correlated_area(noise.correlation[0]) < 25 * np.pi


def test_correlated_noise_adds_up_in_an_aperture(noise):
    correlation = np.exp(-np.add.outer(np.arange(-4, 5) ** 2, np.arange(-4, 5) ** 2) / 2.0)
    model = NoiseModel(("g",), (1.0,), (1.0,), correlation[None], np.array([noise_levels(correlation, 2)]))
    field = model.draw((1, 400, 400), np.random.default_rng(3))[0]
    y, x = (at.ravel() for at in np.mgrid[10:390:12, 10:390:12].astype(float))
    assert aperture_sums(field, x, y).std() == pytest.approx(np.sqrt(correlated_area(correlation)), rel=0.06)


def test_colours_see_one_band_alone(scene, noise):
    redder = scene.truth.copy()
    redder[1] *= 1.05
    table = colour_table(
        combine([measure(with_denoised(scene, redder), scene.methods | {"denoised": redder}, noise)]),
        BANDS,
        np.random.default_rng(0),
    )
    row = row_of(table[table["method"] == "denoised"], "snr_above", 20)
    assert row["colour"] == "g-r"
    assert row["bias_mag"] == pytest.approx(2.5 * np.log10(1.05), abs=1e-4)


def test_crowded_saturated_and_masked_sources_are_left_out(scene, noise):
    x, y = scene.sources["x"], scene.sources["y"]
    np.testing.assert_array_equal(
        isolated_sources(np.array([0.0, 8, 40]), np.zeros(3), np.array([[100.0, 5, 1]])),
        [[True, False, True]],
    )
    sources = scene.sources.copy()
    sources["saturated"][3] = True
    measured = scene.measured.copy()
    measured[0, round(y[5]), round(x[5])] = False
    good = measure(replace(scene, sources=sources, measured=measured), scene.methods, noise).good
    assert not good[:, 3].any()
    assert good[:, 5].tolist() == [False, True]
    assert good.sum() == good.size - 3


def test_a_source_in_two_bricks_counts_once(scene, noise):
    part = measure(scene, scene.methods, noise)
    both = combine([part, part])
    assert both.truth.shape == part.truth.shape
    np.testing.assert_array_equal(both.fluxes["noisy"], part.fluxes["noisy"])


def test_gaussian_errors_are_covered_as_often_as_they_claim(scene, noise):
    generator = np.random.default_rng(4)
    blurred = scene.truth + (0.02 * SIGMA * generator.standard_normal(scene.truth.shape)).astype(np.float32)
    table = coverage_table([coverage_sums(with_denoised(scene, blurred, 0.02 * SIGMA), noise)])
    assert set(table["zone"]) == {"blank", "dim", "distinct", "all"}
    for row in table:
        assert abs(row["within_1"] - 0.6827) < 4 * row["within_1_err"] + 0.005
        assert abs(row["within_2"] - 0.9545) < 4 * row["within_2_err"] + 0.005


def test_zones_of_coverage_are_those_a_user_sees(scene, noise):
    """What is invented is charged to the zone where it is seen, not hidden among the pixels of its truth."""
    image = np.zeros_like(scene.truth)
    image[:, :10], image[:, 10:20] = 0.5 * SIGMA, 3 * SIGMA
    empty = with_denoised(replace(scene, truth=np.zeros_like(scene.truth)), image, 0.1 * SIGMA)
    table = coverage_table([coverage_sums(empty, noise)])
    one = table[table["band"] == BANDS[0]]
    pixels = {row["zone"]: int(row["pixels"]) for row in one}
    assert pixels == {"blank": (SIZE - 20) * SIZE, "dim": 10 * SIZE, "distinct": 10 * SIZE, "all": SIZE**2}
    assert {row["zone"]: row["within_1"] == 1 for row in one} == {
        "blank": True,
        "dim": False,
        "distinct": False,
        "all": False,
    }
    assert "denoised value" in table.meta["zones"]


def test_smoothing_neither_gains_nor_loses_flux_at_a_hole():
    usable = np.ones((60, 60), bool)
    usable[20:30, :] = False
    image = np.where(usable, np.float32(3), np.float32(1e6))
    np.testing.assert_allclose(smooth(image, usable, 1.5)[usable], 3, rtol=1e-5)
    assert smooth(image, np.zeros_like(usable), 1.5).max() == 0


def test_the_best_width_lies_inside_the_list(scene, noise):
    assert set(best_widths([scene], noise)) <= set(WIDTHS[1:-1])


def test_flagged_pixels_do_not_count(scene):
    flags = np.zeros((SIZE, SIZE), np.int32)
    flags[5, 6] = 1 << flag_bit("INPAINTED", 1)
    flags[7, 8] = 1 << flag_bit("NODATA", 0)
    flags[9, 9] = 1 << flag_bit("RECOVERED", 0)
    measured = measured_pixels(scene.brick, replace(scene.denoised, flags=flags))
    assert np.argwhere(~measured).tolist() == [[0, 7, 8], [1, 5, 6]]


def write_scene(folder, scene, denoised, truth=True):
    write_raw(folder / "raw", scene.brick, LOSSLESS)
    write_brick(folder / "run", scene.brick, denoised, LOSSLESS, {"key": "k"})
    if truth:
        for band, image in zip(BANDS, scene.truth, strict=True):
            path = paths.truth_file(folder / "run", scene.brick.name, band)
            head = scene.brick.headers[0].copy()
            head["PSFFWHM"] = FWHM * 3600 * 7.3e-5
            write_survey_image(path, image, head, output=LOSSLESS)
        scene.sources.write(paths.truth_catalogue(folder / "run", scene.brick.name))


def test_a_run_is_measured_over_all_its_bricks(tmp_path, caplog, scene, noise):
    names = ["0001p600", "0002p600", "0003p600"]
    for number, name in enumerate(names):
        one = replace(scene, brick=replace(scene.brick, name=name))
        flags = np.zeros((SIZE, SIZE), np.int32)
        flags[:4, :4] = 1 << flag_bit("INPAINTED", 0)
        dimmed = replace(scene.denoised, image=np.float32(0.97) * scene.truth, flags=flags)
        write_scene(tmp_path, one, dimmed, truth=number < 2)
    with caplog.at_level(logging.WARNING):
        evaluate_truth(names, tmp_path / "raw", tmp_path / "run", BANDS, noise, tmp_path / "evaluation")
    assert "0003p600 has no truth" in caplog.text
    tables = {file.stem: Table.read(file) for file in (tmp_path / "evaluation").iterdir()}
    assert set(tables) == {
        *("quality", "photometry", "colours", "coverage"),
        *("detection", "completeness", "purity", "stars"),
    }
    assert set(tables["detection"]["method"]) == {"noisy", "gaussian", "denoised"}
    assert np.all(tables["detection"]["area"] > 0)
    assert set(tables["photometry"]["method"]) == {"noisy", "gaussian", "denoised", "dual"}
    assert {"snr_measured", "snr_detected"} < set(tables["photometry"]["binned_by"])
    assert not tables["stars"]["stars"].any()
    assert list(tables["quality"]["method"]) == ["noisy", "gaussian", "denoised"] * 2
    assert tables["quality"]["pixels"][0] == 2 * (SIZE**2 - 16)
    assert tables["quality"]["inpainted_pixels"].tolist() == [32, 32, 32, 0, 0, 0]
    text = summary(tables["quality"], tables["photometry"])
    assert "-3.00 +- 0.00" in text
    assert len(text.splitlines()) == 8


def test_without_any_truth_the_tables_are_empty(tmp_path, noise):
    evaluate_truth([], tmp_path, tmp_path, BANDS, noise, tmp_path / "evaluation")
    tables = {file.stem: Table.read(file) for file in (tmp_path / "evaluation").iterdir()}
    assert len(tables) == 8
    assert not any(len(table) for table in tables.values())
    assert "No brick" in summary(tables["quality"], tables["photometry"])


def test_a_brick_of_unknown_seeing_is_not_searched(tmp_path, caplog, scene, noise):
    write_scene(tmp_path, scene, scene.denoised)
    for band, image in zip(BANDS, scene.truth, strict=True):
        path = paths.truth_file(tmp_path / "run", scene.brick.name, band)
        write_survey_image(path, image, scene.brick.headers[0], output=LOSSLESS)
    with caplog.at_level(logging.WARNING):
        evaluate_truth(
            [scene.brick.name], tmp_path / "raw", tmp_path / "run", BANDS, noise, tmp_path / "evaluation"
        )
    assert "no card PSFFWHM" in caplog.text
    assert len(Table.read(tmp_path / "evaluation" / "detection.ecsv")) == 0
    assert "dual" not in Table.read(tmp_path / "evaluation" / "photometry.ecsv")["method"]


def test_fluxes_are_calibrated_given_what_is_measured(noise):
    """Shrunk towards the mean of all sources: biased given the true flux, calibrated given its own."""
    generator = np.random.default_rng(3)
    aperture = SIGMA * np.sqrt(correlated_area(noise.correlation[0]))
    truth = np.tile(aperture * generator.normal(20, 3, 1000), (2, 1))
    noisy = truth + aperture * generator.standard_normal(truth.shape)
    shrunk = 20 * aperture + 0.9 * (noisy - 20 * aperture)  # what Bayes makes of it: 9 / (9 + 1)
    shape = {"magnitude": np.full(truth.shape, 20.0), "good": np.ones(truth.shape, bool)}
    sample = Apertures(
        truth, np.full(truth.shape, aperture), **shape, fluxes={}, direction=np.zeros((1000, 3))
    )
    sample = replace(sample, fluxes={"noisy": noisy, "denoised": shrunk})
    table = photometry_table(sample, BANDS[:1], np.random.default_rng(0), {"denoised": sample})

    def bias(method, binned_by):
        chosen = (table["method"] == method) & (table["band"] == "g") & (table["binned_by"] == binned_by)
        return row_of(table[chosen], binned_by, 20)

    for key in ("snr_measured", "snr_detected"):
        assert abs(bias("denoised", key)["bias_percent"]) < 4 * bias("denoised", key)["bias_percent_err"] < 1
    assert bias("noisy", "snr_measured")["bias_percent"] > 0.5  # noise made many of them bright
    assert bias("denoised", "snr")["bias_percent"] < -0.5
    assert "snr_detected" not in table[table["method"] == "noisy"]["binned_by"]


def test_a_noise_model_of_other_bands_is_refused(tmp_path, noise):
    with pytest.raises(SettingsError, match=r"survey\.bands: r, g"):
        evaluate_truth([], tmp_path, tmp_path, ("r", "g"), noise, tmp_path)
