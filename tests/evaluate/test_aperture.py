"""Apertures: their noise is that of their sums, correlated pixels included."""

import numpy as np
import pytest

from skydenoise.evaluate.aperture import aperture_noise, aperture_sums, inside_by
from tests.builders import make_brick, make_noise


@pytest.mark.parametrize("width", [0.0, 2.0])
def test_noise_of_apertures_is_that_of_their_sums(width):
    noise = make_noise(sigma=0.5, width=width)
    field = 0.5 * noise.draw((1, 400, 400), np.random.default_rng(3))
    y, x = (at.ravel() for at in np.mgrid[10:390:12, 10:390:12].astype(float))
    expected = aperture_noise(make_brick(field, 0.5), noise, x, y)
    assert aperture_sums(field, x, y).std() == pytest.approx(expected.mean(), rel=0.06)


def test_white_noise_adds_up_over_the_area():
    brick, at = make_brick(np.zeros((1, 20, 20)), 1.0), np.array([10.0])
    # less what pixels at the rim that are cut lose: sum of squared weights
    assert 0.9 * 25 * np.pi < aperture_noise(brick, make_noise(sigma=1.0), at, at)[0, 0] ** 2 < 25 * np.pi


def test_circles_are_cut_exactly_and_lie_inside():
    x, y = np.array([4.9, 5.0, 20.3, 94.1]), np.array([50.0, 50, 7, 50])
    assert inside_by(5.0, x, y, (100, 100)).tolist() == [False, True, True, False]
    np.testing.assert_allclose(aperture_sums(np.ones((1, 100, 100)), x[1:3], y[1:3]), 25 * np.pi, rtol=1e-6)
