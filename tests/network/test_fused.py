"""The network in few kernels gives the network's numbers, to the rounding of its factors."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from skydenoise.config import Architecture, PredictSettings
from skydenoise.network import Network, for_inference, load_model
from skydenoise.predict import load_denoiser

pytest.importorskip("triton")
from benchmarks.quality.emulated import EmulatedNetwork, in_torch
from skydenoise.network import fused

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"  # there in Triton's interpreter

LEAN = Architecture(bands=3, levels=2, width=4, bottleneck=3, residual_blocks=2, outputs=1, skips=True)
SMALL = replace(LEAN, levels=1, residual_blocks=1)  # the interpreter takes a tenth of a second for a kernel


def random_network(architecture: Architecture) -> Network:
    torch.manual_seed(1)
    network = Network(architecture)
    for parameter in network.parameters():  # not the special values that training starts from
        torch.nn.init.normal_(parameter, std=0.3)
    return network.eval().requires_grad_(False).to(DEVICE)


@pytest.mark.parametrize(
    "architecture",
    [
        LEAN,
        replace(SMALL, bands=1, residual_blocks=0),
        replace(SMALL, width=20, bottleneck=70),  # more room than channels, and two steps through them
    ],
)
def test_any_network_gives_its_own_numbers_with_exact_factors(
    architecture: Architecture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fused, "FACTOR", torch.float32)
    network = random_network(architecture)
    u = 3 * torch.randn(2, architecture.bands, 8, 24, device=DEVICE)  # no multiple of a program's pixels
    u = u.contiguous(memory_format=torch.channels_last)  # not in the order that kernels need
    before = u.clone()
    (found,) = fused.FusedNetwork(network)(u)
    expected = network(u)[0]
    largest = float(expected.abs().max())
    exact = 2e-6 if DEVICE == "cpu" else 2e-3  # a GPU rounds factors to TF32
    torch.testing.assert_close(found, expected, rtol=0, atol=exact * largest)
    assert torch.equal(u, before)


def test_wide_features_are_done_by_fewer_pixels_at_once() -> None:
    module = torch.nn.Conv2d(130, 300, 3, padding=1, device=DEVICE).requires_grad_(False)
    convolution = fused.convolution(module)
    assert convolution.rows * convolution.columns * convolution.weight.shape[2] <= fused.RESULTS
    x = torch.randn(1, 130, 5, 7, device=DEVICE)
    found = convolution(x.permute(0, 2, 3, 1).contiguous()).values.permute(0, 3, 1, 2)
    torch.testing.assert_close(found, module(x), rtol=0, atol=5e-3)


def test_factors_of_eleven_bits_change_a_reference_model_s_image_by_little() -> None:
    network, _ = load_model(Path(__file__).parents[2] / "models/decam")
    u = 2 * torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(2))
    u[0, :, 8, 8] = 12  # a bright pixel, known to 0.006 in float16
    found, expected = EmulatedNetwork(network)(u)[0], network(u)[0]
    difference = found - expected
    assert found.dtype == torch.float32
    assert 0 < difference.abs().max() < 1e-3
    assert difference.mean().abs() < 3e-5
    assert difference[0, :, 8, 8].abs().max() < 1e-5


def test_the_emulation_on_a_cpu_rounds_as_the_kernels_do() -> None:
    network = random_network(SMALL)
    u = 3 * torch.randn(1, 3, 8, 16, device=DEVICE)
    found, expected = EmulatedNetwork(network)(u)[0], fused.FusedNetwork(network)(u)[0]
    exact = network(u)[0]
    assert (found - expected).square().mean() < 0.01 * (expected - exact).square().mean()


def test_float16_asks_for_these_kernels() -> None:
    assert isinstance(for_inference(random_network(SMALL), torch.float16), fused.FusedNetwork)


@pytest.mark.parametrize("shape", [(1, 3, 8, 9), (1, 3, 7, 8)])
def test_sizes_that_cannot_be_halved_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="multiples of 2"):
        fused.FusedNetwork(random_network(SMALL))(torch.zeros(shape, device=DEVICE))


@pytest.mark.parametrize(
    ("failure", "said"),
    [
        ("", ""),
        ("fused.FusedNetwork", "RuntimeError: gcc: no such file"),
        ("fused.Convolution.__call__", "RuntimeError: gcc: no such file"),
        ("numbers", "ArithmeticError: their result is wrong by "),
    ],
)
def test_where_kernels_do_not_work_the_network_works_in_float32(
    failure: str, said: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise RuntimeError("gcc:\n no such file")

    def wrong(self: fused.Convolution, *arguments: torch.Tensor, **more: torch.Tensor) -> fused.Features:
        features = in_torch(self, *arguments, **more)
        return fused.Features(1.01 * features.values, features.ready)

    kernels = fused.FusedNetwork
    monkeypatch.setattr("skydenoise.predict.denoise.choose_precision", lambda *_: "float16")
    monkeypatch.setattr(fused.Convolution, "__call__", wrong if failure == "numbers" else in_torch)
    if said.startswith("Runtime"):
        monkeypatch.setattr(f"skydenoise.network.{failure}", fails)
    model = Path(__file__).parents[2] / "models/decam"
    denoiser = load_denoiser(model, PredictSettings(tile=128), DEVICE)
    works = not failure
    assert denoiser.precision == ("float16" if works else "float32")
    assert isinstance(denoiser.network, kernels) is works
    expected = f"fused kernels do not work on {DEVICE}, so the network works in float32: {said}"
    assert (expected in caplog.text) is not works
