"""The point spread function: of the width asked for, and measured on stars alone."""

from dataclasses import replace

import galsim
import numpy as np
import pytest

from skydenoise.errors import BrickError
from skydenoise.evaluate.injection.inject import draw_sources
from skydenoise.evaluate.psf import measure_fwhm, moffat, star_shape, star_widths
from tests.builders import SIGMA, make_brick, make_noise


def test_profiles_are_as_wide_as_asked_for():
    profile = moffat(6.0, 30)
    assert profile.sum() == pytest.approx(1, rel=1e-3)
    assert profile[30, 33] == pytest.approx(profile[30, 30] / 2)


def test_width_and_ellipticity_are_those_drawn():
    image = galsim.ImageD(200, 200, xmin=0, ymin=0, scale=1)
    star = 50 * galsim.Gaussian(fwhm=5.0).shear(e1=0.1, e2=0)
    star.drawImage(image, method="no_pixel", center=galsim.PositionD(100.3, 90.8))
    fwhm, e1, e2 = star_shape(image.array, 100.3, 90.8)
    a, b = (5 * ((1 + 0.1) / (1 - 0.1)) ** (sign / 4) for sign in (1, -1))
    assert fwhm == pytest.approx(np.sqrt(a * b), rel=1e-3)
    assert (e1, e2) == pytest.approx((0.1, 0), abs=1e-3)
    assert star_shape(np.zeros_like(image.array), 100.3, 90.8) == (np.inf,) * 3


def field_of_stars(extended=True):
    """Stars and, half as many, galaxies, far apart; FWHM 5 pixels; (y, x)."""
    y, x = (axis.ravel() + 0.3 for axis in np.mgrid[40:400:90, 40:400:90].astype(float))
    radius = np.where((np.arange(x.size) % 3 == 0) & extended, 4.0, 0.0)
    image = draw_sources((420, 420), x, y, np.full(x.size, 3000 * SIGMA), 5.0, radius)
    return image + SIGMA * np.random.default_rng(7).standard_normal(image.shape).astype(np.float32)


def test_the_seeing_is_measured_on_stars_not_on_galaxies():
    image = field_of_stars()
    usable, sigma = np.ones(image.shape, bool), np.full(image.shape, SIGMA, np.float32)
    widths = star_widths(image, usable, sigma)
    assert 6 <= widths.size <= 11
    np.testing.assert_allclose(widths, 5, rtol=0.05)
    assert np.median(widths) == pytest.approx(5, rel=0.01)
    assert star_widths(np.zeros_like(image), usable, sigma).size == 0


def test_a_band_without_stars_takes_the_seeing_of_the_others(caplog):
    noise = make_noise("gr")
    brick = make_brick(np.stack([np.zeros((420, 420)), field_of_stars(extended=False)]))
    assert measure_fwhm(brick, noise) == pytest.approx((5, 5), rel=0.01)
    assert "no star" in caplog.text
    with pytest.raises(BrickError, match="no isolated bright star"):
        measure_fwhm(replace(brick, image=np.zeros_like(brick.image)), noise)
