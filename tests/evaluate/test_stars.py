"""Shapes of stars: what is drawn is what is measured."""

from dataclasses import replace

import galsim
import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from skydenoise.evaluate.psf import star_shape
from skydenoise.evaluate.scene import Scene
from skydenoise.evaluate.stars import star_shapes, star_table
from skydenoise.io import Brick
from skydenoise.noise import NoiseModel
from skydenoise.noise.levels import noise_levels

BANDS = ("g", "r")
SIZE = 240
SIGMA = 0.01


@pytest.fixture(scope="module")
def noise():
    correlation = np.zeros((2, 5, 5))
    correlation[:, 2, 2] = 1
    levels = np.stack([noise_levels(function, 3) for function in correlation])
    return NoiseModel(BANDS, (SIGMA,) * 2, (1.0,) * 2, correlation, levels)


def draw(x, y, flux, fwhm, e1=0.0):
    """Gaussian stars (y, x) of a width and a distortion along the axes."""
    image = galsim.ImageD(SIZE, SIZE, xmin=0, ymin=0, scale=1)
    star = galsim.Gaussian(fwhm=fwhm).shear(e1=e1, e2=0)
    for column, row, total in zip(x, y, flux, strict=True):
        (star * total).drawImage(
            image, method="no_pixel", center=galsim.PositionD(column, row), add_to_image=True
        )
    return image.array.astype(np.float32)


@pytest.fixture(scope="module")
def scene():
    """Bright stars on a grid; one is faint, one a galaxy, one saturated, one near a bad pixel."""
    generator = np.random.default_rng(0)
    at = np.arange(30, SIZE - 20, 30)
    x, y = (places.ravel() + generator.uniform(-0.5, 0.5, at.size**2) for places in np.meshgrid(at, at))
    flux = np.full(x.size, 20.0)
    flux[0] = 2.0
    truth = np.stack([draw(x, y, flux, 4.8), draw(x, y, flux, 4.2)])
    noisy = truth + (SIGMA * generator.standard_normal(truth.shape)).astype(np.float32)
    cards = {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 0.15, "CRVAL2": 60.0, "CRPIX1": 100.5}
    cards |= {"CRPIX2": 100.5, "CD1_1": -7.3e-5, "CD1_2": 0.0, "CD2_1": 0.0, "CD2_2": 7.3e-5}
    invvar = np.full(truth.shape, SIGMA**-2, np.float32)
    brick = Brick("0001p600", BANDS, noisy, invvar, np.zeros(truth.shape, bool), (fits.Header(cards),) * 2)
    sources = Table({"x": x, "y": y, "flux_g": flux, "flux_r": flux, "ra": x, "dec": y})
    sources["kind"] = np.where(np.arange(x.size) == 1, "galaxy", "star")
    sources["saturated"] = np.arange(x.size) == 2
    measured = np.ones(truth.shape, bool)
    measured[0, round(y[3]) + 8, round(x[3])] = False
    return Scene(brick, {"noisy": noisy}, measured, ~measured, None, truth, sources)


def table_of(scene, methods, noise):
    shapes = star_shapes(scene, {"noisy": scene.brick.image, **methods}, noise)
    table = star_table([shapes], BANDS, np.random.default_rng(0))
    return {(row["method"], row["band"]): row for row in table}


def test_width_and_ellipticity_are_those_drawn():
    image = draw([100.3], [90.8], [50.0], 5.0, 0.1)
    fwhm, e1, e2 = star_shape(image, 100.3, 90.8)
    a, b = (5 * ((1 + 0.1) / (1 - 0.1)) ** (sign / 4) for sign in (1, -1))
    assert fwhm == pytest.approx(np.sqrt(a * b), rel=1e-3)
    assert (e1, e2) == pytest.approx((0.1, 0), abs=1e-3)
    assert star_shape(np.zeros_like(image), 100.3, 90.8) == (np.inf,) * 3


def test_only_bright_stars_that_are_whole_count(scene, noise):
    rows = table_of(scene, {}, noise)
    stars = len(scene.sources)
    assert rows["truth", "g"]["stars"] == stars - 4
    assert rows["truth", "r"]["stars"] == stars - 3
    assert rows["truth", "g"]["fwhm"] == pytest.approx(4.8, rel=2e-3)
    assert rows["truth", "r"]["fwhm"] == pytest.approx(4.2, rel=2e-3)
    assert rows["truth", "g"]["fwhm_change_percent"] == rows["noisy", "g"]["e1_shift"] == 0


def test_noise_scatters_but_does_not_widen(scene, noise):
    row = table_of(scene, {}, noise)["noisy", "r"]
    assert abs(row["fwhm_change_percent"]) < 4 * row["fwhm_change_percent_err"] < 2
    assert abs(row["e1_change"]) < 4 * row["e1_change_err"] < 0.02


def test_a_change_of_three_per_cent_and_of_a_hundredth_is_seen(scene, noise):
    x, y, flux = (np.asarray(scene.sources[key]) for key in ("x", "y", "flux_g"))
    other = np.stack([draw(x, y, flux, 4.8 * 1.03, 0.01), draw(x, y, flux, 4.2)])
    rows = table_of(scene, {"wider": other, "empty": np.zeros_like(other)}, noise)
    assert rows["wider", "g"]["fwhm_change_percent"] == pytest.approx(3, abs=0.05)
    assert rows["wider", "g"]["e1_change"] == pytest.approx(0.01, abs=1e-3)
    assert rows["wider", "g"]["e2_change"] == pytest.approx(0, abs=1e-3)
    assert rows["wider", "r"]["fwhm_change_percent"] == pytest.approx(0, abs=0.01)
    assert rows["empty", "r"]["stars"] == 0
    assert rows["empty", "r"]["failed"] == rows["wider", "r"]["stars"]
    assert np.isnan(rows["empty", "r"]["fwhm"])


def test_without_stars_there_are_no_numbers(scene, noise):
    sources = scene.sources.copy()
    sources.remove_column("kind")
    row = table_of(replace(scene, sources=sources), {}, noise)["noisy", "g"]
    assert row["stars"] == 0
    assert np.isnan(row["fwhm"])
    assert np.isnan(row["fwhm_change_percent_err"])
    assert len(star_table([], BANDS, np.random.default_rng(0))) == 0
