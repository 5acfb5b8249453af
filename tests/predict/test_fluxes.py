"""Sources that a denoised image shows get the flux of their pixels, in all bands; the sky stays as it is."""

import numpy as np
import pytest
import torch

from skydenoise.predict.fluxes import fit_fluxes
from tests.predict.test_recover import BASS, DECAM, GRID, apertures, drawn_noise, everywhere, stars

SHAPE = (3, 400, 400)
FAINT = 100  # of a star, in units of the noise of a pixel: S/N of 12


def fluxes_fitted(image, denoised, *others):
    """The denoised image with its fluxes fitted."""
    fitted = denoised.copy()
    fit_fluxes(image, fitted, *others)
    return fitted


@pytest.mark.parametrize("lags", [DECAM, BASS], ids=["DECam", "BASS"])
def test_faint_fluxes_become_those_of_the_pixels(lags):
    noise, levels = drawn_noise(lags, SHAPE, seed=1)
    truth = stars(SHAPE, FAINT, GRID)
    fitted = fluxes_fitted(truth + noise, 0.8 * truth, *everywhere(SHAPE), levels)
    ratio = apertures(fitted, 5) / apertures(truth, 5)
    assert ratio.mean() == pytest.approx(1, abs=0.05)
    assert ratio.std() < 0.25  # that of the input's apertures, or less


def test_flux_that_leaked_into_a_band_is_taken_back():
    noise, levels = drawn_noise(DECAM, SHAPE, seed=2)
    leaked = stars(SHAPE, FAINT, GRID) * np.array([1, 0.3, 0.1], np.float32)[:, None, None]
    truth = leaked * np.array([1, 0, 0], np.float32)[:, None, None]
    fitted = fluxes_fitted(truth + noise, leaked, *everywhere(SHAPE), levels)
    left = apertures(fitted, 5).mean(axis=0) / apertures(leaked, 5)[:, 0].mean()
    np.testing.assert_allclose(left, [1, 0, 0], atol=0.05)


def test_without_sources_nothing_changes():
    noise, levels = drawn_noise(DECAM, SHAPE, seed=3)
    level = np.full(SHAPE, 5, np.float32)  # of the sky, which is no source
    np.testing.assert_array_equal(fluxes_fitted(level + noise, level, *everywhere(SHAPE), levels), level)


def test_far_from_sources_and_where_unusable_nothing_changes():
    noise, levels = drawn_noise(DECAM, SHAPE, seed=4)
    truth = stars(SHAPE, FAINT, [(100, 100), (300, 300)])
    sigma, usable = everywhere(SHAPE)
    usable[0, 95:103, 95:103] = False
    sigma[~usable] = 0
    image = np.where(usable, truth + noise, np.nan)
    fitted = fluxes_fitted(image, 0.7 * truth, sigma, usable, levels)
    assert np.isfinite(fitted).all()
    changed = fitted != 0.7 * truth
    assert changed[1, 100, 100]
    assert not changed[~usable].any()
    assert not changed[:, 140:260].any()


def test_few_scales_will_do():
    noise, levels = drawn_noise(DECAM, SHAPE, seed=5)
    truth = stars(SHAPE, FAINT, GRID)
    fitted = fluxes_fitted(truth + noise, 0.7 * truth, *everywhere(SHAPE), levels[:, :1])
    assert fitted.shape == SHAPE


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_a_gpu_gives_what_a_cpu_does():
    noise, levels = drawn_noise(DECAM, SHAPE, seed=6)
    truth = stars(SHAPE, FAINT, GRID)
    inputs = truth + noise, 0.7 * truth, *everywhere(SHAPE), levels
    np.testing.assert_allclose(fluxes_fitted(*inputs, "cuda"), fluxes_fitted(*inputs), atol=1e-4)
