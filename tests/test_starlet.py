"""The starlet adds up to the image, mirrors at borders and knows the level of correlated noise."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from skydenoise import starlet
from skydenoise.noise.levels import noise_levels, response

WHITE = np.ones((1, 1))


def transform(image, scales):
    return torch.stack(list(starlet.planes(image, scales)))


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 6), st.integers(0, 99))
def test_planes_add_up_to_the_image_even_when_it_is_smaller_than_the_filter(height, width, scales, seed):
    image = np.random.default_rng(seed).normal(size=(height, width)).astype(np.float32) * 100
    planes = transform(torch.from_numpy(image), scales).numpy()
    assert planes.shape == (scales + 1, height, width)
    assert planes.dtype == np.float32
    np.testing.assert_allclose(planes.sum(axis=0), image, atol=1e-6 * 100 * 4)


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 50), st.integers(1, 50), st.integers(0, 4))
def test_smoothing_is_the_mirrored_b3_spline(height, width, scale):
    step = 2**scale
    taps = np.zeros(4 * step + 1)
    taps[::step] = np.array([1, 4, 6, 4, 1]) / 16
    image = np.random.default_rng(height).normal(size=(height, width))
    rows = np.pad(image, 2 * step, mode="symmetric")  # the border promised: d c b a | a b c d
    expected = ndimage.correlate1d(ndimage.correlate1d(rows, taps, axis=0), taps, axis=1)
    np.testing.assert_allclose(
        starlet.smooth(torch.from_numpy(image), step),
        expected[2 * step :, 2 * step :][:height, :width],
        atol=1e-12,
    )


def test_an_image_of_many_strips_is_smoothed_as_one(strips_of):
    strips_of(5000)
    image = torch.from_numpy(np.random.default_rng(0).normal(size=(900, 700)).astype(np.float32))
    assert len(list(starlet.strips(image))) > 2
    torch.testing.assert_close(starlet.smooth(image, 16).T, starlet.smooth(image.T.contiguous(), 16))


def test_what_has_been_smoothed_is_there_when_its_rows_are_told(strips_of):
    strips_of(5000)
    image = torch.from_numpy(np.random.default_rng(0).normal(size=(900, 700)).astype(np.float32))
    whole, out = starlet.smooth(image, 4), torch.full_like(image, torch.nan)
    told = []
    for rows in starlet.smoothing(image, 4, out):
        assert torch.equal(out[rows], whole[rows])
        told += range(900)[rows]
    assert told == list(range(900))


def test_detail_planes_sum_to_zero_and_smoothing_keeps_the_flux():
    image = np.random.default_rng(1).exponential(size=(53, 37))
    *details, smooth = transform(torch.from_numpy(image), 5).numpy()
    np.testing.assert_allclose([detail.sum() for detail in details], 0, atol=1e-9)
    np.testing.assert_allclose(smooth.sum(), image.sum())


def test_the_image_itself_is_not_changed_and_planes_may_be():
    image = torch.from_numpy(np.random.default_rng(2).normal(size=(40, 40)).astype(np.float32))
    before, expected = image.clone(), transform(image, 3)
    for plane, wanted in zip(starlet.planes(image, 3), expected, strict=True):
        assert torch.equal(plane, wanted)
        plane[:] = torch.nan
    assert torch.equal(image, before)


@pytest.mark.parametrize(("shape", "scales"), [((0, 5), 1), ((5,), 1), ((5, 5), 0)])
def test_impossible_transforms_are_refused(shape, scales):
    with pytest.raises(ValueError, match="scales of an image"):
        list(starlet.planes(torch.zeros(shape), scales))


def test_response_filters_as_the_transform_does():
    psi = response(3)
    assert [filter_.shape[0] // 2 for filter_ in psi] == [
        starlet.reach(1),
        starlet.reach(2),
        starlet.reach(3),
    ]
    image = np.random.default_rng(4).normal(size=(64, 64))
    inner = np.s_[14:-14, 14:-14]
    for plane, filter_ in zip(transform(torch.from_numpy(image), 3).numpy(), psi, strict=False):
        np.testing.assert_allclose(plane[inner], ndimage.convolve(image, filter_)[inner], atol=1e-12)


def test_levels_of_white_noise_are_the_published_ones():
    published = [0.889, 0.200, 0.086, 0.041, 0.020]  # Starck & Murtagh, from simulations
    np.testing.assert_allclose(noise_levels(WHITE, 5), published, rtol=0.025)


def test_levels_of_correlated_noise_are_those_of_drawn_noise():
    rng, kernel = np.random.default_rng(5), np.outer([0.4, 1, 0.7], [0.2, 1, 0.3])
    noise = ndimage.convolve(rng.normal(size=(600, 600)), kernel, mode="wrap")
    autocorrelation = ndimage.convolve(np.pad(kernel, 2), kernel[::-1, ::-1], mode="constant")[1:-1, 1:-1]
    correlation = autocorrelation / autocorrelation[2, 2]
    noise /= np.sqrt((kernel**2).sum())
    measured = [plane[62:-62, 62:-62].std() for plane in transform(torch.from_numpy(noise), 3)[:-1].numpy()]
    np.testing.assert_allclose(noise_levels(correlation, 3), measured, rtol=0.03)


def test_a_correlation_that_no_noise_can_have_is_refused():
    impossible = np.full((3, 3), 9.0)
    impossible[1, 1] = 1
    with pytest.raises(ValueError, match="variance"):
        noise_levels(impossible, 1)
    with pytest.raises(ValueError, match="square and odd"):
        noise_levels(np.ones((2, 2)), 1)
