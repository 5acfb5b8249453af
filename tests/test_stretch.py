"""Stretch and unstretch are an exact pair, in numpy and in torch."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from skydenoise.stretch import Stretch

STRETCH = Stretch(10.0)
SIGMAS = st.lists(st.floats(-1e3, 1e6, width=32), min_size=1, max_size=20)


@given(SIGMAS)
def test_inverse_undoes_forward_in_float32(sigmas):
    v = np.array(sigmas, np.float32)
    back = STRETCH.inverse(STRETCH.forward(v))
    assert back.dtype == np.float32
    np.testing.assert_allclose(back, v, rtol=3e-6, atol=1e-30)


@given(SIGMAS)
def test_torch_agrees_with_numpy(sigmas):
    v = np.array(sigmas, np.float32)
    u = STRETCH.forward(torch.from_numpy(v))
    assert u.dtype == torch.float32
    np.testing.assert_allclose(u.numpy(), STRETCH.forward(v), rtol=1e-5, atol=1e-30)
    np.testing.assert_allclose(STRETCH.inverse(u).numpy(), v, rtol=3e-5, atol=1e-30)


@given(st.lists(st.floats(-(2.0**100), 2.0**100, width=32), min_size=1, max_size=20))
def test_torch_stretches_to_rounding(values):
    """However small or large a finite value is, and with a gradient, where it takes another way."""
    stretch, v = Stretch(1.0), torch.tensor(values)
    u = stretch.forward(v)
    expected = np.arcsinh(v.double().numpy())
    np.testing.assert_allclose(u.numpy(), expected, rtol=3e-7, atol=3e-45)
    assert torch.equal(u.signbit(), v.signbit())
    v.requires_grad_()
    with_gradient = stretch.forward(v)
    np.testing.assert_allclose(with_gradient.detach().numpy(), expected, rtol=3e-7, atol=3e-45)
    with_gradient.sum().backward()
    slope = 1 / np.hypot(v.detach().double().numpy(), 1)
    np.testing.assert_allclose(v.grad.numpy(), slope, rtol=1e-5, atol=1e-18)


@given(st.lists(st.floats(-1e3, 1e6, width=32), min_size=2, max_size=30))
def test_order_is_kept(sigmas):
    assert np.all(np.diff(STRETCH.forward(np.sort(np.array(sigmas, np.float32)))) >= 0)


def test_it_is_linear_in_the_noise():
    v = np.linspace(-1, 1, 21)
    np.testing.assert_allclose(STRETCH.forward(v), v / 10, rtol=2e-3)


def test_batches_of_patches_and_double_precision():
    v = np.random.default_rng(0).normal(size=(2, 5, 3, 4, 4))
    np.testing.assert_allclose(STRETCH.inverse(STRETCH.forward(v)), v, rtol=1e-13)


@pytest.mark.parametrize("softening", [0.0, -1.0, float("nan"), float("inf")])
def test_impossible_softening_is_refused(softening):
    with pytest.raises(ValueError, match="softening"):
        Stretch(softening)
