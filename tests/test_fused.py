"""The network in few kernels gives the network's numbers, to the rounding of its factors."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from skydenoise.model import Network, for_inference, load_model
from skydenoise.settings import Architecture

pytest.importorskip("triton")
from skydenoise.model import fused

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"  # there in Triton's interpreter

LEAN = Architecture(bands=3, levels=2, width=4, bottleneck=3, residual_blocks=2, outputs=2, skips=True)


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
        replace(LEAN, bands=1, residual_blocks=0),
        replace(
            LEAN, levels=1, outputs=1, width=20, bottleneck=70
        ),  # more room than channels, and more than one step
        replace(LEAN, levels=3, width=2, bands=5),
    ],
)
def test_any_network_gives_its_own_numbers_with_exact_factors(
    architecture: Architecture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fused, "FACTOR", torch.float32)
    network = random_network(architecture)
    u = 3 * torch.randn(
        2, architecture.bands, 16, 24, device=DEVICE
    )  # at the coarsest level fewer pixels than a program's
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
    network, _ = load_model(Path(__file__).parents[1] / "models/decam", DEVICE)
    u = 2 * torch.randn(1, 3, 16, 32, generator=torch.Generator().manual_seed(2)).to(DEVICE)
    u[0, :, 8, 8] = 12  # a bright pixel, known to 0.006 in float16
    found, expected = fused.FusedNetwork(network)(u)[0], network(u)[0]
    difference = found - expected
    assert found.dtype == torch.float32
    assert 0 < difference.abs().max() < 1e-3
    assert difference.mean().abs() < 3e-5
    assert difference[0, :, 8, 8].abs().max() < 1e-5


def test_float16_asks_for_these_kernels() -> None:
    assert isinstance(for_inference(random_network(LEAN), torch.float16), fused.FusedNetwork)
