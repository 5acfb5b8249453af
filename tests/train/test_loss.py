import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from skydenoise.stretch import Stretch
from skydenoise.train.loss import LINEAR_BEYOND, Criterion, decode, pool
from skydenoise.train.pairs import Pair

STRETCH = Stretch(3.0)
KINDS = ("l1", "l2", "flux")


def pair(counts: torch.Tensor) -> Pair:
    """Random input and target, of which `counts` (n, 2, y, x) count."""
    generator = torch.Generator().manual_seed(1)
    return Pair(*(20 * torch.randn(counts.shape, generator=generator) for _ in range(2)), counts)


@pytest.mark.parametrize("kind", KINDS)
def test_pixels_that_do_not_count_have_no_gradient_and_no_effect(kind: str) -> None:
    counts = torch.ones(1, 2, 8, 8)
    counts[0, 0, 4:, :] = 0
    sample = pair(counts)
    outputs = [torch.zeros(1, 2, 8 // 2**k, 8 // 2**k, requires_grad=True) for k in range(3)]
    loss = Criterion(kind, STRETCH)(outputs, sample)
    loss.backward()
    for k, output in enumerate(outputs):
        assert not output.grad[0, 0, 4 // 2**k :].any()
        assert output.grad[0, 0, : 4 // 2**k].all()
        assert output.grad[0, 1].all()
    sample.target[0, 0, 4:, :] = 1e6
    assert Criterion(kind, STRETCH)(outputs, sample) == loss


@pytest.mark.parametrize("kind", KINDS)
def test_all_unusable_gives_zero_not_nan(kind: str) -> None:
    outputs = [torch.ones(1, 2, 4, 4, requires_grad=True), torch.ones(1, 2, 2, 2, requires_grad=True)]
    loss = Criterion(kind, STRETCH)(outputs, pair(torch.zeros(1, 2, 4, 4)))
    loss.backward()
    assert loss == 0
    assert not any(output.grad.any() for output in outputs)


@pytest.mark.parametrize("flux", [5.0, 40.0])
def test_flux_loss_is_least_at_the_mean_flux_and_l2_is_not(flux: float) -> None:
    """One output for many noisy targets of the same sky: the best is the mean, in flux, not in u."""
    generator = np.random.default_rng(2)
    shape = (1, 2, 64, 64)
    source, target = (
        torch.from_numpy((flux + s * generator.standard_normal(shape)).astype(np.float32)) for s in (1.1, 2.2)
    )
    sample = Pair(source, target, torch.ones(shape))
    u = torch.zeros(1, 2, 1, 1, requires_grad=True)
    best = {}
    for kind in ("flux", "l2"):
        optimizer = torch.optim.LBFGS([u], lr=0.5, max_iter=30)

        def closure(kind: str = kind, optimizer: torch.optim.Optimizer = optimizer) -> torch.Tensor:
            optimizer.zero_grad()
            loss = Criterion(kind, STRETCH)([u.expand(shape)], sample)
            loss.backward()
            return loss

        optimizer.step(closure)
        best[kind] = STRETCH.inverse(u.detach()).flatten().numpy()
    error = 2.2 / 64
    assert best["flux"] == pytest.approx(flux, abs=5 * error)
    if flux == 5:
        assert best["l2"][0] < flux - 4 * error


@settings(max_examples=50, deadline=None)
@given(around=st.floats(-12, 12), step=st.floats(-20, 20))
def test_decode_is_the_inverse_stretch_near_the_input_and_monotone_beyond(around: float, step: float) -> None:
    centre = torch.full((1, 2, 1, 1), around, dtype=torch.float64)
    u = centre + torch.tensor([step, step + 1e-3], dtype=torch.float64).reshape(2, 1, 1, 1)
    flux = decode(u, centre, STRETCH)
    assert torch.isfinite(flux).all()
    assert (flux[1] > flux[0]).all()
    if abs(step) < LINEAR_BEYOND - 1e-3:
        torch.testing.assert_close(flux, STRETCH.inverse(u))


def test_decode_has_a_useful_slope_far_below_a_bright_input() -> None:
    u = torch.zeros(1, 2, 1, 1, requires_grad=True)
    around = torch.full((1, 2, 1, 1), 8.0)
    decode(u, around, STRETCH).sum().backward()
    assert (u.grad.flatten() / (STRETCH.softening * np.cosh(8)) > 0.3).all()


def test_pool_takes_the_mean_of_what_counts() -> None:
    values = torch.tensor([[1.0, 2, 5, 5], [3, 100, 7, 7]]).reshape(1, 1, 2, 4)
    counts = torch.tensor([[1.0, 1, 0, 0], [1, 0, 0, 0]]).reshape(1, 1, 2, 4)
    assert pool(values, counts, 1).flatten().tolist() == pytest.approx([2, 6])
    assert pool(values, counts, 0) is values


@pytest.mark.parametrize("kind", KINDS)
def test_a_perfect_output_without_noise_costs_nothing(kind: str) -> None:
    flux = torch.rand(1, 2, 4, 4) * 100
    sample = Pair(flux, flux, torch.ones_like(flux))
    assert Criterion(kind, STRETCH)([STRETCH.forward(flux)], sample) < 1e-9 + (kind == "l1") * 1e-6
