"""Photometry on the input where another image shows the sources."""

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from skydenoise.evaluate.apertures import measure
from skydenoise.evaluate.photometry import photometry_table
from skydenoise.evaluate.psf import moffat_image
from skydenoise.evaluate.scene import Scene
from skydenoise.evaluate.search.detection import detect
from skydenoise.evaluate.search.dual import above, measure_detected, with_dual
from skydenoise.evaluate.search.matched import moffats
from skydenoise.io import Brick
from skydenoise.noise import NoiseModel
from skydenoise.noise.levels import noise_levels

SIZE = 600
SIGMA = 0.01
FWHM = (5.0,)


@pytest.fixture(scope="module")
def noise():
    lag = np.arange(-2, 3) ** 2
    correlation = np.exp(-np.add.outer(lag, lag) / 1.0)  # 0.37 at 1 px
    return NoiseModel(("r",), (SIGMA,), (1.0,), correlation[None], noise_levels(correlation, 3)[None])


@pytest.fixture(scope="module")
def scene(noise):
    """Points of aperture S/N near 20 in correlated noise; the denoised image is the truth, a little moved."""
    at = np.arange(30, SIZE - 30, 24)
    x, y = (places.ravel() for places in np.meshgrid(at, at))
    psf, flux = moffat_image(5.0, 16), 4.0
    truth = np.zeros((1, SIZE, SIZE), np.float32)
    for column, row in zip(x, y, strict=True):
        truth[0, row - 16 : row + 17, column - 16 : column + 17] += (flux * psf).astype(np.float32)
    cards = {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 0.15, "CRVAL2": 60.0, "CRPIX1": 100.5}
    cards |= {"CRPIX2": 100.5, "CD1_1": -7.3e-5, "CD1_2": 0.0, "CD2_1": 0.0, "CD2_2": 7.3e-5}
    drawn = noise.draw(truth.shape, np.random.default_rng(2))
    noisy = (truth + np.float32(SIGMA) * drawn).astype(np.float32)
    invvar = np.full(truth.shape, SIGMA**-2, np.float32)
    brick = Brick("0001p600", ("r",), noisy, invvar, np.zeros(truth.shape, bool), (fits.Header(cards),))
    sources = Table({"x": x.astype(float), "y": y.astype(float), "flux_r": np.full(x.size, flux)})
    sources["ra"], sources["dec"], sources["saturated"] = x * 1e-3, y * 1e-3, False
    return Scene(
        brick, {"noisy": noisy, "denoised": truth}, invvar > 0, invvar == 0, None, truth, sources, FWHM
    )


@pytest.fixture(scope="module")
def detections(scene, noise):
    return detect(scene, scene.methods, noise, moffats(FWHM))


def row_of(table, method, binned_by="snr_above"):
    (row,) = table[(table["method"] == method) & (table["binned_by"] == binned_by) & (table["low"] == 10)]
    return row


def test_fluxes_on_the_input_are_unbiased_and_scatter_as_the_input_does(scene, noise, detections):
    plain = measure(scene, scene.methods, noise)
    both = with_dual(plain, scene, detections, "denoised")
    table = photometry_table(both, ("r",), np.random.default_rng(0))
    dual, noisy = row_of(table, "dual"), row_of(table, "noisy")
    assert dual["sources"] == noisy["sources"] > 400
    assert abs(dual["bias_mag"]) < 4 * dual["bias_mag_err"] < 0.02
    assert dual["shift_percent"] == pytest.approx(0, abs=0.05)
    assert dual["scatter_percent"] == pytest.approx(noisy["scatter_percent"], rel=0.02)


def test_sources_that_are_not_seen_have_no_flux(scene, noise, detections):
    hidden = np.where(np.arange(SIZE) < SIZE // 2, scene.truth, np.float32(0))
    found = detect(scene, {"denoised": hidden}, noise, moffats(FWHM))
    apertures = with_dual(measure(scene, scene.methods, noise), scene, found, "denoised")
    right = np.asarray(scene.sources["x"]) > SIZE // 2 + 6
    assert np.isnan(apertures.fluxes["dual"][0, right]).all()
    assert np.all(apertures.scores["dual"][right] == -np.inf)
    cut = above(apertures, {"dual": 1e9})
    assert np.isnan(cut.fluxes["dual"]).all()
    assert np.isfinite(cut.fluxes["noisy"]).all()
    assert "dual" not in photometry_table(cut, ("r",), np.random.default_rng(0))["method"]
    assert np.isnan(with_dual(apertures, scene, None, "denoised").fluxes["dual"]).all()


def test_what_is_invented_is_counted_among_the_detected(scene, noise):
    """Fifty sources that are not there: the sum of what is measured exceeds the truth by their flux."""
    invented = scene.truth.copy()
    empty = [(row, column) for row in range(42, 540, 24) for column in (42, 162, 282)]
    for row, column in empty:
        invented[0, row - 16 : row + 17, column - 16 : column + 17] += (4 * moffat_image(5.0, 16)).astype(
            np.float32
        )
    methods = {"denoised": invented}
    found = detect(scene, methods, noise, moffats(FWHM))
    seen = measure_detected(scene, methods, noise, found)
    known = measure(scene, scene.methods | methods, noise)
    table = photometry_table(known, ("r",), np.random.default_rng(0), seen)
    everything = row_of(table, "denoised", "snr_detected_above")
    real = len(scene.sources)
    assert everything["sources"] == real + len(empty)
    assert everything["bias_percent"] == pytest.approx(100 * len(empty) / real, rel=0.05)
    assert row_of(table, "denoised", "snr_measured_above")["bias_percent"] < 1
