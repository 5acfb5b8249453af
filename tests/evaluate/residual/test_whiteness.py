"""The residual against the measured noise."""

import numpy as np
import pytest

from skydenoise.evaluate.residual.whiteness import residual_sums, residual_table
from tests.builders import SIGMA, draw_noise, make_brick, make_denoised, make_noise

SIZE = 256
NOISE = make_noise("z", width=1.5, scale=(1.25,))


@pytest.fixture(scope="module")
def brick():
    """Correlated noise alone; invvar claims less than there is, as the model's scale says; a hole."""
    brick = make_brick(draw_noise(NOISE, (SIZE, SIZE), seed=1), SIGMA / 1.25, "z")
    brick.invvar[0, 100:110, 50:60] = brick.image[0, 100:110, 50:60] = 0
    return brick


def row_of(brick, image, zone="all"):
    table = residual_table([residual_sums(brick, make_denoised(image), NOISE)], NOISE)
    return table[table["zone"] == zone][0]


def test_taken_noise_is_like_noise(brick):
    row = row_of(brick, np.zeros_like(brick.image))
    assert row["pixels"] == SIZE**2 - 100
    for name in ("rms", "starlet_1", "starlet_2", "starlet_3"):
        assert abs(row[name] - 1) < 4 * row[f"{name}_err"] < 0.2
    for lag in (1, 2):
        expected = row[f"expected_{lag}"]
        assert expected == pytest.approx(np.exp(-(lag**2) / 1.5))
        assert abs(row[f"correlation_{lag}"] - expected) < 4 * row[f"correlation_{lag}_err"] < 0.1
    assert abs(row["mean"]) < 4 * row["mean_err"]


def test_an_identity_takes_nothing(brick):
    row = row_of(brick, brick.image)
    assert row["mean"] == row["rms"] == row["starlet_1"] == 0
    assert np.isnan(row["correlation_1"])


def test_a_lost_background_shows_as_mean(brick):
    row = row_of(brick, brick.image - np.float32(0.003))
    assert row["mean"] == pytest.approx(0.003, rel=1e-3)


def test_structure_left_at_one_scale_shows_there(brick):
    y, x = np.mgrid[:SIZE, :SIZE]
    row = row_of(brick, [2 * SIGMA * np.sin(2 * np.pi * x / 24) * np.sin(2 * np.pi * y / 24)])
    assert row["starlet_3"] > 1.5
    assert row["starlet_1"] < 1.05


def test_sources_are_told_from_the_sky(brick):
    image = np.zeros_like(brick.image)
    image[:, :64] = 5 * SIGMA
    assert row_of(brick, image, "source")["mean"] == pytest.approx(-5 * SIGMA, rel=0.05)
    assert row_of(brick, image, "sky")["pixels"] == SIZE**2 - 100 - 64 * SIZE
