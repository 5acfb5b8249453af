"""Noise that is added in training has the strength and correlation that it claims."""

import numpy as np
import pytest
import torch

from skydenoise.noise import NoiseModel
from skydenoise.train.noise_family import AS_IT_IS, NoiseFamily, NoiseSource
from skydenoise.train.pairs import recorrupted_pair

CPU = torch.device("cpu")
ALONE, FAMILY = NoiseFamily(0.0, 0.0), NoiseFamily(2.0, 1.0)


def noise_model(max_lag: int = 3) -> NoiseModel:
    """Two bands, correlated differently along y and x."""
    lags = np.arange(-max_lag, max_lag + 1)
    along_x, along_y = np.maximum(0, 1 - np.abs(lags) / 3), np.maximum(0, 1 - np.abs(lags) / 2)
    correlation = np.stack([np.outer(along_y, along_x), np.outer(along_x, along_y)])
    return NoiseModel(("g", "r"), (1.0, 2.0), (1.0, 1.0), correlation, np.ones((2, 5)))


def covariance(a: torch.Tensor, b: torch.Tensor, dy: int, dx: int) -> np.ndarray:
    """Per band, of pixels (dy, dx) apart."""
    y, x = a.shape[-2:]
    return (a[..., : y - dy, : x - dx] * b[..., dy:, dx:]).mean(dim=(0, 2, 3)).numpy()


def test_alone_the_noise_has_the_measured_correlation_and_does_not_wrap() -> None:
    draw = NoiseSource(noise_model(), ALONE, (32, 32), CPU).draw(range(400))
    noise = draw.fresh
    assert noise.shape == (400, 2, 32, 32)
    assert not draw.strength.any()
    for dy, dx, expected in [(0, 0, (1, 1)), (0, 1, (2 / 3, 1 / 2)), (1, 0, (1 / 2, 2 / 3)), (0, 31, (0, 0))]:
        np.testing.assert_allclose(covariance(noise, noise, dy, dx), expected, atol=0.03)


@pytest.mark.parametrize("family", [ALONE, FAMILY])
def test_a_seed_gives_the_same_noise_in_any_company(family: NoiseFamily) -> None:
    source = NoiseSource(noise_model(), family, (16, 16), CPU)
    some, all_of_them = source.draw([2, 3]), source.draw([1, 2, 3])
    for each in ("extra", "strength", "fresh"):
        torch.testing.assert_close(getattr(all_of_them, each)[1:], getattr(some, each), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("family", [ALONE, FAMILY])
def test_recorrupted_noises_are_uncorrelated_whatever_is_added(family: NoiseFamily) -> None:
    image = NoiseSource(noise_model(), ALONE, (32, 32), CPU).draw(range(1000, 1400)).fresh
    noise = NoiseSource(noise_model(), family, (32, 32), CPU).draw(range(400))
    pair = recorrupted_pair(image, torch.ones_like(image), noise, 0.5)
    for dy, dx in [(0, 0), (0, 1), (1, 1)]:
        np.testing.assert_allclose(covariance(pair.source, pair.target, dy, dx), 0, atol=0.05)
    np.testing.assert_allclose(covariance(pair.source, pair.source, 0, 0), 1.25, rtol=0.03)
    np.testing.assert_allclose(covariance(pair.target, pair.target, 0, 0), 5, rtol=0.03)


def test_strength_and_smoothness_are_spread_and_some_patches_stay_as_they_are() -> None:
    draw = NoiseSource(noise_model(), FAMILY, (32, 32), CPU).draw(range(600))
    strength = draw.strength.flatten().numpy()
    assert strength.max() <= 2
    assert (strength == 0).mean() == pytest.approx(AS_IT_IS, abs=0.05)
    extra = draw.extra
    neighbours = (extra[..., 1:] * extra[..., :-1]).mean((2, 3)) / extra.square().mean((2, 3))
    assert neighbours.min() < 0.1
    assert 0.65 < neighbours.max() < 0.95


def test_a_model_holds_for_what_it_saw() -> None:
    alone, family = (each.holds_for(noise_model()) for each in (ALONE, FAMILY))
    assert family.sigma_sky[0][1] == pytest.approx(alone.sigma_sky[0][1] * 5**0.5)
    assert family.sigma_sky[0][0] == alone.sigma_sky[0][0]
    assert family.correlation[0] == 0
    assert family.correlation[1] == pytest.approx((7 / 12 + 4 * np.exp(-0.25)) / 5)
