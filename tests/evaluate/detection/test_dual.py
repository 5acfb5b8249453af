"""Photometry on the input where another image shows the sources."""

import numpy as np
import pytest

from skydenoise.evaluate.detection.detect import detect
from skydenoise.evaluate.detection.dual import above, measure_detected, with_dual
from skydenoise.evaluate.detection.matched import moffats
from skydenoise.evaluate.truth.photometry import measure, photometry_table
from tests.builders import make_known, make_noise, places, stamps

SIZE, FLUX = 600, 4.0
NOISE = make_noise(width=1.0)  # rho(1 px) = 0.37
PSF = moffats((5.0,))


@pytest.fixture(scope="module")
def known():
    """Points of aperture S/N near 20 in correlated noise."""
    x, y = places(SIZE, 30, 24)
    return make_known(stamps((SIZE, SIZE), x, y, np.full((1, x.size), FLUX), PSF), NOISE, x, y, FLUX, seed=2)


def methods_of(known, denoised):
    return {"noisy": known.brick.image, "denoised": denoised}


def row_of(table, method, binned_by="snr_above"):
    (row,) = table[(table["method"] == method) & (table["binned_by"] == binned_by) & (table["low"] == 10)]
    return row


def test_fluxes_on_the_input_are_unbiased_and_scatter_as_the_input_does(known):
    methods = methods_of(known, known.truth)
    found = detect(known, methods, NOISE, PSF)
    both = with_dual(measure(known, methods, NOISE), known, found, "denoised")
    table = photometry_table(both, ("r",), np.random.default_rng(0))
    dual, noisy = row_of(table, "dual"), row_of(table, "noisy")
    assert dual["sources"] == noisy["sources"] > 400
    assert abs(dual["bias_mag"]) < 4 * dual["bias_mag_err"] < 0.02
    assert dual["shift_percent"] == pytest.approx(0, abs=0.05)
    assert dual["scatter_percent"] == pytest.approx(noisy["scatter_percent"], rel=0.02)


def test_sources_that_are_not_seen_have_no_flux(known):
    hidden = np.where(np.arange(SIZE) < SIZE // 2, known.truth, np.float32(0))
    plain = measure(known, methods_of(known, known.truth), NOISE)
    apertures = with_dual(plain, known, detect(known, {"denoised": hidden}, NOISE, PSF), "denoised")
    right = np.asarray(known.sources["x"]) > SIZE // 2 + 6
    assert np.isnan(apertures.fluxes["dual"][0, right]).all()
    assert np.all(apertures.scores["dual"][right] == -np.inf)
    cut = above(apertures, {"dual": 1e9})
    assert np.isnan(cut.fluxes["dual"]).all()
    assert np.isfinite(cut.fluxes["noisy"]).all()
    assert "dual" not in photometry_table(cut, ("r",), np.random.default_rng(0))["method"]


def test_what_is_invented_is_counted_among_the_detected(known):
    """Sources that are not there: the sum of what is measured exceeds the truth by their flux."""
    y, x = (at.ravel() for at in np.meshgrid(np.arange(42, 540, 24), (42, 162, 282)))
    invented = known.truth + stamps((SIZE, SIZE), x, y, np.full((1, x.size), FLUX), PSF).astype(np.float32)
    found = detect(known, {"denoised": invented}, NOISE, PSF)
    seen = measure_detected(known, {"denoised": invented}, NOISE, found)
    plain = measure(known, methods_of(known, invented), NOISE)
    table = photometry_table(plain, ("r",), np.random.default_rng(0), seen)
    everything, real = row_of(table, "denoised", "snr_detected_above"), len(known.sources)
    assert everything["sources"] == real + x.size
    assert everything["bias_percent"] == pytest.approx(100 * x.size / real, rel=0.05)
    assert row_of(table, "denoised", "snr_measured_above")["bias_percent"] < 1
