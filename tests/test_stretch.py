"""stretch and unstretch are an exact pair, in numpy and in torch."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from skydenoise.stretch import Stretch

STRETCH = Stretch((0.01, 0.02, 0.5))
SIGMAS = st.lists(st.floats(-1e3, 1e6, width=32), min_size=1, max_size=20)


def flux(sigmas, softening=STRETCH.softening, beta=3.0):
    """Fluxes given in units of sigma_sky = softening / beta, the same for every band: (3, 1, n) float32."""
    unit = np.asarray(softening, np.float32)[:, None, None] / np.float32(beta)
    return unit * np.asarray(sigmas, np.float32)[None, None, :]


@given(SIGMAS)
def test_inverse_undoes_forward_in_float32(sigmas):
    x = flux(sigmas)
    back = STRETCH.inverse(STRETCH.forward(x))
    assert back.dtype == np.float32
    np.testing.assert_allclose(back, x, rtol=3e-6, atol=1e-30)


@given(SIGMAS)
def test_torch_agrees_with_numpy(sigmas):
    x = flux(sigmas)
    u = STRETCH.forward(torch.from_numpy(x))
    assert u.dtype == torch.float32
    np.testing.assert_allclose(u.numpy(), STRETCH.forward(x), rtol=1e-5, atol=1e-30)
    np.testing.assert_allclose(STRETCH.inverse(u).numpy(), x, rtol=3e-5, atol=1e-30)
    np.testing.assert_allclose(STRETCH.slope(torch.from_numpy(x)).numpy(), STRETCH.slope(x), rtol=1e-5)


@given(st.lists(st.floats(-(2.0**100), 2.0**100, width=32), min_size=1, max_size=20))
def test_torch_stretches_to_rounding(values):
    """However small or large a finite value is, and with a gradient, where it takes another way."""
    stretch, x = Stretch((1.0,)), torch.tensor(values)[None, None]
    u = stretch.forward(x)
    expected = np.arcsinh(x.double().numpy())
    np.testing.assert_allclose(u.numpy(), expected, rtol=3e-7, atol=3e-45)
    assert torch.equal(u.signbit(), x.signbit())
    x.requires_grad_()
    with_gradient = stretch.forward(x)
    np.testing.assert_allclose(with_gradient.detach().numpy(), expected, rtol=3e-7, atol=3e-45)
    with_gradient.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), stretch.slope(x.detach()).numpy(), rtol=1e-5, atol=1e-18)


@given(st.lists(st.floats(-1e3, 1e6, width=32), min_size=2, max_size=30))
def test_order_is_kept(sigmas):
    u = STRETCH.forward(flux(sorted(sigmas)))
    assert np.all(np.diff(u, axis=-1) >= 0)


def test_slope_is_the_derivative():
    x = flux(np.linspace(-20, 200, 50)).astype(np.float64)
    step = 1e-6 * np.asarray(STRETCH.softening)[:, None, None]
    numeric = (STRETCH.forward(x + step) - STRETCH.forward(x - step)) / (2 * step)
    np.testing.assert_allclose(STRETCH.slope(x), numeric, rtol=1e-6)


def test_batches_of_patches_and_double_precision():
    x = np.random.default_rng(0).normal(size=(2, 5, 3, 4, 4))
    np.testing.assert_allclose(STRETCH.inverse(STRETCH.forward(x)), x, rtol=1e-13)


@pytest.mark.parametrize("softening", [(), (0.0,), (-1.0,), (float("nan"),), (float("inf"),)])
def test_impossible_softening_is_refused(softening):
    with pytest.raises(ValueError, match="softening"):
        Stretch(softening)


@pytest.mark.parametrize("shape", [(2, 4, 4), (4, 4), (3, 4)])
def test_wrong_number_of_bands_is_refused(shape):
    with pytest.raises(ValueError, match="3 bands"):
        STRETCH.forward(np.zeros(shape, np.float32))


@given(SIGMAS, st.floats(-1e3, 1e3))
def test_an_offset_shifts_what_is_stretched(sigmas, level):
    shifted = Stretch(STRETCH.softening, (level, 0.0, -level))
    offset = np.array([level, 0.0, -level]).reshape(-1, 1, 1)
    x = flux(sigmas).astype(np.float64)
    u = shifted.forward(x + offset)
    np.testing.assert_allclose(u, STRETCH.forward((x + offset) - offset), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(shifted.inverse(u), x + offset, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(shifted.slope(x + offset), STRETCH.slope((x + offset) - offset), rtol=1e-12)
    np.testing.assert_allclose(shifted.inverse(torch.from_numpy(u)).numpy(), shifted.inverse(u), rtol=1e-12)


def test_an_offset_of_zero_changes_no_bit():
    x = np.random.default_rng(0).normal(size=(3, 8, 8)).astype(np.float32)
    zero = Stretch(STRETCH.softening, (0.0, 0.0, 0.0))
    np.testing.assert_array_equal(zero.forward(x), STRETCH.forward(x))
    np.testing.assert_array_equal(zero.inverse(x), STRETCH.inverse(x))


@pytest.mark.parametrize("offset", [(1.0,), (0.0, 0.0, float("nan"))])
def test_an_impossible_offset_is_refused(offset):
    with pytest.raises(ValueError, match="offset"):
        Stretch(STRETCH.softening, offset)
