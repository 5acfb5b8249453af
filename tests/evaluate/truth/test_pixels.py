"""Errors of pixels against a known truth: what is put in comes out."""

from dataclasses import replace

import numpy as np
import pytest

from skydenoise.evaluate.images import measured_pixels
from skydenoise.evaluate.truth.pixels import (
    coverage_sums,
    coverage_table,
    pixel_sums,
    quality_row,
    quality_table,
)
from skydenoise.io import flag_bit
from tests.builders import SIGMA, gaussians, make_known, make_noise, places, with_product

SIZE = 200
NOISE = make_noise("gr")


@pytest.fixture(scope="module")
def known():
    """Gaussian sources on a grid, fluxes 0.5 to 50 nMgy, in white noise."""
    generator = np.random.default_rng(0)
    x, y = places(SIZE, 20, 25)
    flux = 10 ** generator.uniform(-0.3, 1.7, x.size)
    return make_known([gaussians((SIZE, SIZE), x, y, flux)] * 2, NOISE, x, y, flux)


def quality(known, image):
    return quality_row(pixel_sums(known, image, NOISE)["g"])


def test_a_perfect_image_has_no_error(known):
    row = quality(known, known.truth)
    for measure in ("error", "sky_rms", "background"):
        assert row[measure] == pytest.approx(0, abs=1e-5)
    assert row["pixels"] == SIZE**2 > row["sky_pixels"]


def test_the_noisy_image_errs_by_one_sigma(known):
    row = quality(known, known.brick.image)
    assert abs(row["sky_rms"] - 1) < 4 * row["sky_rms_err"]
    assert row["sky_rms_err"] < 0.02
    assert 0.8 < row["error"] < 1  # the stretch makes little of errors in bright pixels


def test_a_pedestal_is_background(known):
    row = quality(known, 0.9 * known.truth + np.float32(0.002))
    assert row["background"] == pytest.approx(0.002, rel=0.1)


def test_bricks_are_pooled_and_pixels_that_are_not_measured_do_not_count(known):
    measured = known.measured.copy()
    measured[0, :4, :4] = False
    sums = {"denoised": pixel_sums(replace(known, measured=measured), known.truth, NOISE)}
    table = quality_table([sums, sums])
    assert table["pixels"].tolist() == [2 * (SIZE**2 - 16), 2 * SIZE**2]
    assert len(quality_table([])) == 0


def test_gaussian_errors_are_covered_as_often_as_they_claim(known):
    errors = 0.02 * SIGMA * np.random.default_rng(4).standard_normal(known.truth.shape)
    table = coverage_table([coverage_sums(with_product(known, known.truth + errors, 0.02 * SIGMA), NOISE)])
    assert set(table["zone"]) == {"blank", "dim", "distinct", "all"}
    for row in table:
        assert abs(row["within_1"] - 0.6827) < 4 * row["within_1_err"] + 0.005
        assert abs(row["within_2"] - 0.9545) < 4 * row["within_2_err"] + 0.005


def test_zones_of_coverage_are_those_a_user_sees(known):
    """What is invented is charged to the zone where it is seen, not hidden among the pixels of its truth."""
    image = np.zeros_like(known.truth)
    image[:, :10], image[:, 10:20] = 0.5 * SIGMA, 3 * SIGMA
    empty = with_product(replace(known, truth=np.zeros_like(known.truth)), image, 0.1 * SIGMA)
    table = coverage_table([coverage_sums(empty, NOISE)])
    rows = {row["zone"]: row for row in table[table["band"] == "g"]}
    pixels = {"blank": (SIZE - 20) * SIZE, "dim": 10 * SIZE, "distinct": 10 * SIZE, "all": SIZE**2}
    assert {zone: row["pixels"] for zone, row in rows.items()} == pixels
    assert [zone for zone, row in rows.items() if row["within_1"] == 1] == ["blank"]
    assert "denoised value" in table.meta["zones"]


def test_flagged_pixels_do_not_count(known):
    flags = np.zeros((SIZE, SIZE), np.int32)
    flags[5, 6] = 1 << flag_bit("INPAINTED", 1)
    flags[7, 8] = 1 << flag_bit("NODATA", 0)
    flags[9, 9] = 1 << flag_bit("RECOVERED", 0)
    measured = measured_pixels(known.brick, replace(known.denoised, flags=flags))
    assert np.argwhere(~measured).tolist() == [[0, 7, 8], [1, 5, 6]]
