"""Light on large scales is kept to a hundredth of the noise, at next to no cost in noise."""

import numpy as np
import pytest

from skydenoise.predict.background import put_light_back

SIZE, SIGMA = 512, 0.01
Y, X = np.indices((SIZE, SIZE), dtype=np.float32)
LIGHTS = {
    "level": np.full((SIZE, SIZE), -0.25, np.float32),
    "gradient": 0.3 * (X / SIZE - 0.5) * SIZE / 3600,
    "cloud of 200 px": 0.2 * np.exp(-((Y - 250) ** 2 + (X - 250) ** 2) / (2 * 85**2)),
}


def smooth_planes(image: np.ndarray, network: np.ndarray, *others: np.ndarray) -> np.ndarray:
    """What is added to each band of the network's image (band, y, x)."""
    after = network.copy()
    put_light_back(image, after, *others)
    assert after.dtype == np.float32
    return after - network


def plane_of(light: np.ndarray, noise: float, usable: np.ndarray | None = None) -> np.ndarray:
    """In sigma, of a network that sees none of it."""
    generator = np.random.default_rng(3)
    image = SIGMA * (light + noise * generator.standard_normal(light.shape)).astype(np.float32)[None]
    usable = np.ones(image.shape, bool) if usable is None else usable
    image[~usable] = 1e3
    return smooth_planes(image, np.zeros_like(image), np.full_like(image, SIGMA), usable)[0] / SIGMA


@pytest.mark.parametrize("light", LIGHTS.values(), ids=list(LIGHTS))
def test_light_on_large_scales_comes_back(light: np.ndarray) -> None:
    assert np.abs(plane_of(light, noise=0.0) - light).max() < 0.01


def test_little_noise_comes_with_it() -> None:
    assert plane_of(np.zeros((SIZE, SIZE), np.float32), noise=1.0).std() < 0.015


def test_gaps_and_sources_do_not_count() -> None:
    light = LIGHTS["level"]
    usable = np.ones((1, SIZE, SIZE), bool)
    usable[0, 100:180, :] = False
    np.testing.assert_allclose(plane_of(light, 0.0, usable), light, atol=1e-3)
    image = np.full((1, SIZE, SIZE), -0.25 * SIGMA, np.float32)
    network = np.zeros_like(image)
    image[0, 200:220, 200:220], network[0, 200:220, 200:220] = 60 * SIGMA, 50 * SIGMA
    plane = smooth_planes(image, network, np.full_like(image, SIGMA), np.ones(image.shape, bool))
    np.testing.assert_allclose(plane / SIGMA, -0.25, atol=1e-3)


def test_deep_pixels_count_for_more() -> None:
    image = np.full((1, 64, 64), 1.0, np.float32)
    image[:, :, ::2] = 0
    sigma = np.full_like(image, 10.0)
    sigma[:, :, ::2] = 1.0
    plane = smooth_planes(image, np.zeros_like(image), sigma, np.ones(image.shape, bool))
    np.testing.assert_allclose(plane, 1 / 101, rtol=1e-3)


def test_a_band_without_a_usable_pixel_stays_as_it_is() -> None:
    image = np.ones((2, 40, 50), np.float32)
    usable = np.zeros(image.shape, bool)
    usable[1] = True
    plane = smooth_planes(image, np.zeros_like(image), image, usable)
    assert not plane[0].any()
    np.testing.assert_allclose(plane[1], 1, rtol=1e-5)
