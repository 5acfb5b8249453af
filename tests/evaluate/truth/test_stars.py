"""Shapes of stars: what is drawn is what is measured."""

from dataclasses import replace

import galsim
import numpy as np
import pytest

from skydenoise.evaluate.truth.stars import star_shapes, star_table
from tests.builders import make_known, make_noise, places

BANDS, SIZE = ("g", "r"), 240
NOISE = make_noise(BANDS)


def draw(x, y, flux, fwhm, e1=0.0):
    """Gaussian stars (y, x) of a width and a distortion along the axes."""
    image = galsim.ImageD(SIZE, SIZE, xmin=0, ymin=0, scale=1)
    star = galsim.Gaussian(fwhm=fwhm).shear(e1=e1, e2=0)
    for column, row, total in zip(x, y, flux, strict=True):
        how = {"method": "no_pixel", "center": galsim.PositionD(column, row), "add_to_image": True}
        (star * total).drawImage(image, **how)
    return image.array.astype(np.float32)


@pytest.fixture(scope="module")
def known():
    """Bright stars on a grid; one is faint, one a galaxy, one saturated, one near a bad pixel."""
    x, y = (at + np.random.default_rng(0).uniform(-0.5, 0.5, at.size) for at in places(SIZE, 25, 30))
    flux = np.full(x.size, 20.0)
    flux[0] = 2.0
    known = make_known([draw(x, y, flux, 4.8), draw(x, y, flux, 4.2)], NOISE, x, y, flux)
    known.sources["kind"] = np.where(np.arange(x.size) == 1, "galaxy", "star")
    known.sources["saturated"] = np.arange(x.size) == 2
    known.measured[0, round(y[3]) + 8, round(x[3])] = False
    return known


def rows_of(known, methods):
    shapes = star_shapes(known, {"noisy": known.brick.image, **methods}, NOISE)
    table = star_table([shapes], BANDS, np.random.default_rng(0))
    return {(row["method"], row["band"]): row for row in table}


def test_only_bright_stars_that_are_whole_count(known):
    rows = rows_of(known, {})
    stars = len(known.sources)
    assert (rows["truth", "g"]["stars"], rows["truth", "r"]["stars"]) == (stars - 4, stars - 3)
    assert rows["truth", "g"]["fwhm"] == pytest.approx(4.8, rel=2e-3)
    assert rows["truth", "r"]["fwhm"] == pytest.approx(4.2, rel=2e-3)
    assert rows["noisy", "g"]["fwhm_shift_percent"] == rows["noisy", "g"]["e1_shift"] == 0


def test_noise_scatters_but_does_not_widen(known):
    row = rows_of(known, {})["truth", "r"]
    assert abs(row["fwhm_shift_percent"]) < 4 * row["fwhm_shift_percent_err"] < 2
    assert abs(row["e1_shift"]) < 4 * row["e1_shift_err"] < 0.02


def test_a_change_of_three_per_cent_and_of_a_hundredth_is_seen(known):
    x, y, flux = (np.asarray(known.sources[key]) for key in ("x", "y", "flux_g"))
    wide = np.stack([draw(x, y, flux, 4.8 * 1.03, 0.01), draw(x, y, flux, 4.2)])
    rows = rows_of(known, {"noisy": known.truth, "wider": wide, "empty": np.zeros_like(wide)})
    assert rows["wider", "g"]["fwhm_shift_percent"] == pytest.approx(3, abs=0.05)
    assert rows["wider", "g"]["e1_shift"] == pytest.approx(0.01, abs=1e-3)
    assert rows["wider", "g"]["e2_shift"] == pytest.approx(0, abs=1e-3)
    assert rows["wider", "r"]["fwhm_shift_percent"] == pytest.approx(0, abs=0.01)
    assert rows["empty", "r"]["stars"] == 0
    assert rows["empty", "r"]["failed"] == rows["wider", "r"]["stars"]
    assert np.isnan(rows["empty", "r"]["fwhm"])


def test_without_stars_there_are_no_numbers(known):
    sources = known.sources.copy()
    sources["kind"] = "galaxy"
    row = rows_of(replace(known, sources=sources), {})["noisy", "g"]
    assert row["stars"] == 0
    assert np.isnan(row["fwhm"])
    assert np.isnan(row["fwhm_shift_percent_err"])
    assert len(star_table([], BANDS, np.random.default_rng(0))) == 0
