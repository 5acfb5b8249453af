"""The noise of the brick at hand: its own, where its sky is enough; the survey's, where it is not."""

from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits
from scipy import ndimage

from skydenoise.io import Brick
from skydenoise.noise import NoiseModel, NoiseRange, measure_brick_noise, without_background_level
from skydenoise.noise.levels import noise_levels
from skydenoise.noise.range import neighbour_correlation

BANDS = ("g", "z")
SIGMA = (0.002, 0.01)
KERNEL = np.outer((1, 2, 1), (1, 2, 1)) / 16


def white_survey() -> NoiseModel:
    correlation = np.zeros((2, 9, 9))
    correlation[:, 4, 4] = 1
    return NoiseModel(BANDS, SIGMA, (1.0, 1.0), correlation, np.stack([noise_levels(correlation[0], 5)] * 2))


def brick_of(strength: float = 1.0, *, smooth: bool = False, size: int = 400, level: float = 0.0) -> Brick:
    """Noise `strength` times what invvar says, in its left half twice as deep, on a level in sigma."""
    generator = np.random.default_rng(5)
    noise = generator.standard_normal((2, size, size)).astype(np.float32)
    if smooth:
        noise = np.stack([ndimage.convolve(band, KERNEL, mode="wrap") for band in noise])
        noise /= noise.std()
    sigma = np.ones_like(noise) * np.array(SIGMA, np.float32)[:, None, None]
    sigma[:, :, : size // 2] /= 2
    level_of_band = np.array(SIGMA, np.float32)[:, None, None] * level
    image = strength * noise * sigma + level_of_band
    empty = np.zeros(noise.shape, bool)
    return Brick("1410m032", BANDS, image, sigma**-2, empty, (fits.Header(),) * 2)


def test_strength_and_correlation_are_the_bricks_own() -> None:
    noise = measure_brick_noise(brick_of(1.3, smooth=True), white_survey())
    np.testing.assert_allclose(noise.scale, 1.3, rtol=0.03)
    np.testing.assert_allclose(neighbour_correlation(noise), 4 / 6, atol=0.05)
    assert (noise.levels[:, 1] > 1.3 * white_survey().levels[:, 1]).all()
    assert noise.level == (0.0, 0.0)


def test_where_a_brick_has_no_sky_the_survey_stands_for_it() -> None:
    brick = brick_of(3.0)
    nothing = replace(brick, invvar=np.zeros_like(brick.invvar))
    noise, survey = measure_brick_noise(nothing, white_survey()), white_survey()
    assert noise.scale == survey.scale
    assert noise.sigma_sky == survey.sigma_sky
    np.testing.assert_array_equal(noise.correlation, survey.correlation)


def test_a_small_brick_is_drawn_towards_the_survey() -> None:
    small, large = (
        measure_brick_noise(brick_of(1.5, size=size), white_survey()).scale[0] for size in (60, 600)
    )
    assert 1.0 < small < 1.3 < large < 1.55


def test_a_crowded_part_does_not_pass_for_noise() -> None:
    brick = brick_of(size=1024)
    brick.image[:, :256, :256] *= 3
    np.testing.assert_allclose(measure_brick_noise(brick, white_survey()).scale, 1, rtol=0.03)


@pytest.mark.parametrize("level", [-20.0, -1.0, -0.25, 0.0, 3.0, 2000.0])
def test_a_level_that_is_not_near_zero_is_found_and_taken_off(level: float) -> None:
    brick = brick_of(level=level)
    found = measure_brick_noise(brick, white_survey()).level
    np.testing.assert_allclose(found, level * np.array(SIGMA), atol=0.02 * SIGMA[0] + 2e-3 * SIGMA[1])
    flat = without_background_level(brick)
    assert np.abs(np.median(flat.image, axis=(1, 2)) / SIGMA).max() < 0.02
    assert (flat is brick) == (level == 0)


def test_a_range_names_band_and_value_outside_of_it() -> None:
    known = NoiseRange.around(white_survey())
    assert known.foreign(BANDS, SIGMA, (0.0, 0.05)) == ""
    text = known.foreign(BANDS, (0.002, 0.1), (0.6, 0.0))
    assert text == "g: correlation 0.60 not in -0.10 to 0.10, z: noise 0.1 not in 0.00333 to 0.03"
    assert NoiseRange.from_json(known.to_json()) == known
