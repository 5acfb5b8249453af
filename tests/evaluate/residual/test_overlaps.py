"""Neighbouring bricks differ by the noise that they do not share, and by seams."""

import numpy as np
import pytest

from skydenoise.evaluate.residual.overlaps import overlap_pixels, overlap_sums, overlap_table, shared_noise
from tests.builders import SIGMA, draw_noise, make_brick, make_denoised, make_header, make_noise

SIZE, APART = 400, 250
NOISE = make_noise(width=2.0)


def test_pixels_of_the_same_sky_are_paired():
    one, shape = (make_header(), (400, 400)), (400, 300)
    (y, x), (other_y, other_x) = overlap_pixels(one, (make_header(250.2), shape))
    np.testing.assert_array_equal(y, other_y)
    assert x.size == 400 * 150
    np.testing.assert_array_equal(x - 250, other_x)
    assert overlap_pixels(one, (make_header(450), shape)) is None
    assert overlap_pixels(one, (make_header(ra=180.15), shape)) is None


def row_of(shared, step=0.0, passed=0.1):
    """Two bricks of flat sky; the method leaves a share of the noise."""
    wide = draw_noise(NOISE, (SIZE, SIZE + APART), seed=6)
    other = wide[..., APART:] if shared else draw_noise(NOISE, (SIZE, SIZE), seed=7)
    sides = []
    for number, image in enumerate((wide[..., :SIZE], other)):
        product = make_denoised(passed * image + step * SIGMA * number, passed * SIGMA)
        sides.append((make_brick(image, x0=APART * number), product))
    (one, _), (neighbour, _) = sides
    places = overlap_pixels((one.headers[0], one.shape), (neighbour.headers[0], neighbour.shape))
    return overlap_table([overlap_sums(*sides, places, NOISE)])[0]


def test_bricks_that_share_their_noise_agree():
    row = row_of(shared=True)
    assert row["pixels"] == 400 * 150
    assert row["shared"] == pytest.approx(1)
    assert row["mean"] == pytest.approx(0, abs=1e-6)
    assert row["rms"] == pytest.approx(row["expected"], abs=1e-4)


def test_an_offset_between_bricks_is_a_seam():
    row = row_of(shared=True, step=0.05)
    assert row["mean"] == pytest.approx(-0.05, abs=1e-5)
    assert row["rms"] > row["expected"] + 0.04


def test_noise_that_is_not_shared_is_expected_to_differ():
    row = row_of(shared=False)
    assert abs(row["shared"]) < 4 * row["shared_err"] + 0.01
    assert row["expected"] == pytest.approx(0.1 * np.sqrt(2), rel=0.05)
    assert abs(row["rms"] - row["expected"]) < 4 * row["rms_err"]
    assert abs(row["mean"]) < 4 * row["mean_err"]


def test_what_is_shared_shows_in_the_difference_of_the_inputs():
    sums = np.ones((5, 4)) * [[1], [0], [0], [0], [0]]
    sums[3] = 0, 1, 2, 3
    np.testing.assert_allclose(shared_noise(sums), [1, 0.5, 0, 0])
    assert len(overlap_table([])) == 0
