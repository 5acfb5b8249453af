"""Unusable pixels are filled smoothly, and nothing else changes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skydenoise.fill import fill


def discs(shape, count, radius, seed=0):
    """Usable everywhere but in random discs: (1, y, x) bool."""
    rng, (y, x) = np.random.default_rng(seed), np.mgrid[: shape[0], : shape[1]]
    usable = np.ones(shape, bool)
    for _ in range(count):
        row, column = (
            rng.uniform(radius + 5, shape[0] - radius - 5),
            rng.uniform(radius + 5, shape[1] - radius - 5),
        )
        usable &= np.hypot(y - row, x - column) > radius
    return usable[None]


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 33), st.integers(1, 33), st.floats(0, 1), st.integers(0, 999))
def test_usable_pixels_are_bit_identical_and_the_others_stay_between_them(height, width, fraction, seed):
    rng = np.random.default_rng(seed)
    image = rng.normal(size=(2, height, width)).astype(np.float32)
    usable = rng.random(image.shape) < fraction
    dirty = np.where(usable, image, rng.choice([np.nan, np.inf, -np.inf, 1e30], image.shape)).astype(
        np.float32
    )
    filled = fill(dirty, usable)
    assert filled.dtype == np.float32
    np.testing.assert_array_equal(filled[usable], image[usable])
    for band, good, values in zip(filled, usable, image, strict=True):
        low, high = (values[good].min(), values[good].max()) if good.any() else (0, 0)
        assert band.min() >= low - 1e-5
        assert band.max() <= high + 1e-5


@pytest.mark.parametrize("radius", [1, 4, 15])
def test_a_constant_stays_constant(radius):
    usable = discs((90, 100), 5, radius)
    np.testing.assert_allclose(
        fill(np.where(usable, np.float32(7.25), np.float32(np.nan)), usable), 7.25, rtol=1e-6
    )


@pytest.mark.parametrize("radius", [1, 4, 15])
def test_a_gradient_goes_on_across_a_hole(radius):
    y, x = np.mgrid[:120, :110].astype(np.float32)
    gradient, usable = (0.6 * x - 0.8 * y)[None], discs((120, 110), 3, radius)
    error = np.abs(fill(np.where(usable, gradient, np.float32(np.nan)), usable) - gradient)[~usable]
    assert error.max() < 0.2 * radius  # the step across the hole is 2 * radius
    assert np.median(error) < 0.06 * radius


def test_a_large_gap_at_the_border_is_filled_from_inside():
    image = np.full((1, 64, 64), 3, np.float32)
    usable = np.ones(image.shape, bool)
    usable[:, :, :40] = False
    image[~usable] = -1e9
    np.testing.assert_allclose(fill(image, usable), 3, rtol=1e-6)


def test_a_band_without_usable_pixels_becomes_zero_and_input_is_kept():
    image = np.full((2, 9, 7), np.nan, np.float32)
    image[1] = 5
    usable, before = np.isfinite(image), image.copy()
    filled = fill(image, usable)
    assert np.all(filled[0] == 0)
    assert np.all(filled[1] == 5)
    np.testing.assert_array_equal(image, before)


def test_shapes_must_agree():
    with pytest.raises(ValueError, match="one shape"):
        fill(np.zeros((1, 4, 4), np.float32), np.ones((4, 4), bool))
