"""The error of a sum agrees with that against a truth that it never sees."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from skydenoise.evaluate.aperture import aperture_noise, aperture_sums
from skydenoise.evaluate.residual.apertures import EDGES, RADII, SPACING, aperture_table, circle_sums
from skydenoise.evaluate.residual.sure import probed
from tests.builders import SIGMA, gaussians, make_brick, make_noise

SIZE = 256
NOISE = make_noise(width=2.0)


def brick_of(truth, generator):
    """Its noise is correlated; it has a hole."""
    brick = make_brick(truth, SIGMA)
    image = truth + brick.invvar**-0.5 * NOISE.draw(truth.shape, generator)
    brick.invvar[:, 30:40, 30:40] = 0
    return replace(brick, image=image * (brick.invvar > 0))


def smoother(brick):
    return ndimage.gaussian_filter(brick.image, (0, 2.0, 2.0))


def rows_of(brick, method):
    part = probed(brick, method, method(brick), NOISE, np.random.default_rng(9))
    return {(row["radius"], row["low"]): row for row in aperture_table([circle_sums(part, NOISE)])}


def test_of_an_identity_the_noise_is_all_that_is_left():
    generator = np.random.default_rng(1)
    rows = rows_of(brick_of(np.zeros((1, SIZE, SIZE)), generator), lambda brick: brick.image)
    for radius in RADII:
        row = rows[radius, -np.inf]
        assert abs(row["error"] - 1) < 4 * row["error_err"] < 0.3
        assert abs(row["scatter"] - 1) < 4 * row["scatter_err"] < 0.3


def test_of_a_smoother_it_is_scatter_in_the_sky_and_bias_on_a_source():
    """The wings that it takes out of a circle are an error of the sum that does not scatter."""
    generator, centres = np.random.default_rng(2), np.arange(20, SIZE, 24.0)
    x, y = (each.ravel() for each in np.meshgrid(centres, centres))
    truth = gaussians((SIZE, SIZE), x, y, np.full(x.size, 40 * SIGMA * 20), 1.5)[None].astype(np.float32)
    brick = brick_of(truth, generator)
    rows, image = rows_of(brick, smoother), smoother(brick)
    x, y = (each.ravel() for each in np.meshgrid(*[np.arange(8.0, SIZE - 8, SPACING)] * 2))
    whole = aperture_sums(brick.usable, x, y)[0] > 25 * np.pi - 0.01
    x, y = x[whole], y[whole]
    noise = aperture_noise(brick, NOISE, x, y)[0]
    flux, error = (aperture_sums(each, x, y)[0] / noise for each in (image, image - truth))
    bright = rows[5.0, 20.0]
    true = np.sqrt(np.mean(error[(flux >= 20) & (flux < 50)] ** 2))
    assert bright["error"] == pytest.approx(true, rel=0.05)  # of this one draw of the noise
    assert bright["error"] > 3 * bright["scatter"]
    sky = rows[2.5, -np.inf]
    assert abs(sky["error"] - sky["scatter"]) < 4 * sky["error_err"]
    assert sky["error"] < 0.7


def test_the_error_of_an_own_aperture_follows_from_the_table():
    """As its note says: sqrt(correlated x sum of the variances) is the noise of the sum on the input."""
    brick = brick_of(np.zeros((1, SIZE, SIZE)), np.random.default_rng(3))
    row = rows_of(brick, smoother)[5.0, -np.inf]
    variances = aperture_sums(NOISE.sigma(brick.invvar) ** 2, np.array([128.0]), np.array([128.0]))
    expected = aperture_noise(brick, NOISE, np.array([128.0]), np.array([128.0]))
    np.testing.assert_allclose(np.sqrt(row["correlated"] * variances), expected, rtol=1e-4)


def test_circles_over_a_hole_do_not_count():
    brick = make_brick(np.zeros((1, 64, 64)))
    full = sum(row["circles"] for (radius, _), row in rows_of(brick, smoother).items() if radius == 5)
    brick.invvar[:, 32, 32] = 0
    less = sum(row["circles"] for (radius, _), row in rows_of(brick, smoother).items() if radius == 5)
    assert full == 13**2  # centres 8 to 56: no circle is cut by the border
    assert full - less == 5  # the hole's own centre and the next along each axis


def test_without_coverage_nothing_is_measured():
    brick = make_brick(np.zeros((1, 64, 64)))
    brick.invvar[:] = 0
    rows = rows_of(brick, smoother).values()
    assert len(rows) == len(RADII) * (len(EDGES) - 1)
    assert np.isnan([row["error"] for row in rows]).all()
    assert len(aperture_table([])) == 0
