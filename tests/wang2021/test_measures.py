"""The measures of the paper's experiments on images whose figures are known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.wang2021.measures import (
    best_scaled,
    contrast,
    median_where,
    nearest,
    overlap,
    psnr,
    ssim,
)
from experiments.wang2021.report import mean_of


def frames(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((count, 24, 24), dtype=np.float32)


def test_psnr_of_a_known_error() -> None:
    truth = frames(3)
    np.testing.assert_allclose(psnr(truth + 0.1, truth, 1), 20, atol=1e-4)
    np.testing.assert_allclose(psnr(truth + 0.1, truth, 10), 40, atol=1e-4)
    assert np.isinf(psnr(truth, truth, 1)).all()


def test_ssim_is_one_for_equal_frames_and_falls_with_noise() -> None:
    truth = frames(2)
    noise = np.random.default_rng(1).standard_normal(truth.shape)
    np.testing.assert_allclose(ssim(truth, truth, 1), 1)
    little, much = ssim(truth + 0.05 * noise, truth, 1), ssim(truth + 0.5 * noise, truth, 1)
    assert (little < 1).all()
    assert (little > much).all()


def test_ssim_of_flat_frames_is_that_of_their_brightness() -> None:
    """Without any structure the first factor alone is left: (2ab + C1) / (a^2 + b^2 + C1)."""
    dark, bright = np.full((1, 16, 16), 0.2), np.full((1, 16, 16), 0.6)
    expected = (2 * 0.2 * 0.6 + 1e-4) / (0.2**2 + 0.6**2 + 1e-4)
    assert ssim(dark, bright, 1)[0] == pytest.approx(expected)


def test_ssim_of_one_window_agrees_with_its_definition() -> None:
    """Frames of 11 x 11 hold one window: means, variances and covariance under a Gaussian of sigma 1.5."""
    a, b = frames(1, 2)[..., :11, :11].astype(float), frames(1, 3)[..., :11, :11].astype(float)
    y, x = np.mgrid[-5:6, -5:6]
    weight = np.exp(-(x**2 + y**2) / (2 * 1.5**2))
    weight /= weight.sum()
    mean_a, mean_b = (weight * a).sum(), (weight * b).sum()
    variances = (weight * a**2).sum() - mean_a**2 + (weight * b**2).sum() - mean_b**2
    covariance = (weight * a * b).sum() - mean_a * mean_b
    luminance = (2 * mean_a * mean_b + 1e-4) / (mean_a**2 + mean_b**2 + 1e-4)
    expected = luminance * (2 * covariance + 9e-4) / (variances + 9e-4)
    assert ssim(a, b, 1)[0] == pytest.approx(expected)


def test_contrast_is_the_step_between_the_regions() -> None:
    inside = np.zeros((2, 8, 8), bool)
    inside[..., :4] = True
    image = np.where(inside, 5.0, 2.0)
    np.testing.assert_allclose(contrast(image, inside, ~inside), 3)
    assert np.isnan(contrast(image, np.zeros_like(inside), ~inside)).all()


def test_median_where_takes_the_chosen_pixels_alone() -> None:
    image = np.arange(16.0).reshape(2, 2, 4)
    chosen = image < 3
    np.testing.assert_array_equal(median_where(image, chosen), [1, np.nan])


def test_overlap_is_intersection_over_union() -> None:
    truth, image = np.zeros((2, 1, 8, 8))
    truth[..., :4, :] = 1
    image[..., 2:6, :] = 0.7
    assert overlap(image, truth)[0] == pytest.approx(2 / 6)
    assert overlap(truth, truth)[0] == 1
    assert overlap(0 * image, truth)[0] == 0


@given(st.floats(0.1, 10), st.floats(-5, 5))
def test_best_scaled_undoes_any_offset_and_contrast(slope: float, offset: float) -> None:
    truth = frames(2)
    np.testing.assert_allclose(best_scaled(offset + slope * truth, truth), truth, atol=1e-3)


def test_nearest_finds_each_template_under_noise_and_low_contrast() -> None:
    templates = frames(20)
    noise = 0.1 * np.random.default_rng(1).standard_normal(templates.shape)
    found = nearest(3 + 0.2 * (templates + noise)[5:12], templates)
    assert found.tolist() == list(range(5, 12))


def test_mean_of_has_the_standard_error() -> None:
    mean = mean_of(np.array([1.0, 2.0, 3.0, 4.0]))
    assert (mean.value, mean.error) == (2.5, pytest.approx(np.std([1, 2, 3, 4], ddof=1) / 2))
    assert np.isnan(mean_of(np.array([1.0])).error)
