"""Classical peers of the quality benchmark are what they should be."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from quality_inputs import SIGMA, SIZE, brick_of, noise_image, noise_model, star

from benchmarks.quality import classical
from benchmarks.quality.sky import make_sky, sky_settings

PEERS = {
    "Gaussian": (None, lambda noise: partial(classical.smooth_bands, widths=(1.5,))),
    "starlet": (None, lambda noise: partial(classical.starlet_threshold, noise=noise)),
    "BM3D": ("bm3d", lambda noise: partial(classical.bm3d, noise=noise)),
    "NLM": ("skimage", lambda noise: partial(classical.nonlocal_means, noise=noise, strength=0.6)),
}


@pytest.fixture(params=PEERS)
def peer(request):
    package, make = PEERS[request.param]
    if package and not classical.installed(package):
        pytest.skip(f"{package} is not installed (extra peers)")
    return make


@pytest.mark.filterwarnings("default")  # of the peers' own code
def test_a_constant_stays_constant(peer):
    restored = peer(noise_model(bands=("g",)))(brick_of(np.full((1, SIZE, SIZE), 5 * SIGMA)))
    np.testing.assert_allclose(restored, 5 * SIGMA, rtol=2e-3)


@pytest.mark.filterwarnings("default")
def test_noise_is_reduced_to_less_than_half(peer):
    noise = noise_model(neighbour=0.1, bands=("g",))
    restored = peer(noise)(brick_of(noise_image(noise)))
    assert restored.std() < 0.5 * SIGMA
    assert abs(restored.mean()) < 0.1 * SIGMA


@pytest.mark.filterwarnings("default")
def test_a_bright_star_keeps_its_flux(peer):
    noise = noise_model(bands=("g",))
    image = star(10000 * SIGMA) + noise_image(noise)
    restored = peer(noise)(brick_of(image))
    y, x = np.mgrid[:SIZE, :SIZE] - SIZE // 2
    inside = y**2 + x**2 < 12**2
    np.testing.assert_allclose(restored[:, inside].sum(axis=1), 10000 * SIGMA, rtol=0.02)


def test_a_masked_pixel_does_not_matter():
    noise = noise_model()
    brick = brick_of(noise_image(noise))
    masked = brick.masked.copy()
    masked[:, 20, 20] = True
    wild = brick.image.copy()
    wild[:, 20, 20] = 1e4
    starlet = classical.starlet_threshold
    restored = [starlet(replace(brick, masked=masked, image=image), noise) for image in (brick.image, wild)]
    np.testing.assert_array_equal(*restored)


def test_the_power_spectrum_given_to_bm3d_is_that_of_the_noise():
    power = classical.noise_power(noise_model(neighbour=0.2), 32, 27)
    assert power.shape == (3, 32, 27)
    lags = np.fft.ifft2(power).real / (32 * 27)
    assert lags[0, 0, 0] == pytest.approx(1)
    assert lags[0, 0, 1] == pytest.approx(0.2, abs=1e-6)
    assert lags[0, -1, 0] == pytest.approx(0.2, abs=1e-6)


def test_smoothing_neither_gains_nor_loses_flux_at_a_hole():
    usable = np.ones((60, 60), bool)
    usable[20:30, :] = False
    image = np.where(usable, np.float32(3), np.float32(1e6))
    np.testing.assert_allclose(classical.smooth(image, usable, 1.5)[usable], 3, rtol=1e-5)
    assert classical.smooth(image, np.zeros_like(usable), 1.5).max() == 0


def test_the_variant_with_the_least_error_is_chosen(tmp_path):
    sky = make_sky(sky_settings("decam", 1, 192), tmp_path)
    widths = classical.best_widths(sky)
    assert len(widths) == 3
    assert set(widths) <= set(classical.WIDTHS)
    chosen = {str(width): partial(classical.smooth_bands, widths=(width,) * 3) for width in (0.5, 1.5)}
    assert classical.best_of(chosen | {"noisy": classical.noisy}, sky)[0] == "1.5"
