"""The network made faster gives the same numbers, and so does a brick."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from skydenoise.config import Architecture
from skydenoise.network import Network, for_inference, load_model
from skydenoise.network.inference import rounded
from skydenoise.predict.tiles import Blender, TileGrid, cut_tiles
from skydenoise.stretch import Stretch

UNET = Architecture(bands=3, levels=2, width=4, bottleneck=3, residual_blocks=1, outputs=2, skips=True)


def random_network(architecture):
    torch.manual_seed(1)
    network = Network(architecture)
    for parameter in network.parameters():  # not the special values that training starts from
        torch.nn.init.normal_(parameter, std=0.3)
    return network.eval()


@pytest.mark.parametrize(
    "architecture",
    [
        UNET,
        replace(UNET, fold=1, levels=1, outputs=1),  # rows need not fit what a head does at once
        replace(UNET, skips=False),
        replace(UNET, fold=1, block="full"),
        replace(UNET, block="full", skips=False),
        replace(UNET, bands=1),  # one channel fits two orders of axes, and convolutions choose either
        replace(UNET, bands=1, width=1, bottleneck=1, residual_blocks=0),
        replace(UNET, layout="paper", fold=1, skips=False),
    ],
)
def test_the_finest_output_is_the_network_s_own(architecture):
    """To the last digits in float64; in float32 as near to that as the network itself comes."""
    network, exact = random_network(architecture), random_network(architecture).double()
    u = 3 * torch.randn(2, architecture.bands, 16, 26 if architecture.levels == 1 else 24)
    before = u.clone()
    expected = exact(u.double())[0].detach()
    (found,) = for_inference(exact, torch.float64)(u.double())
    torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-13)
    (short,) = for_inference(network)(u)
    own = (network(u)[0].detach() - expected).square().mean().sqrt()
    assert (short - expected).square().mean().sqrt() < 1.2 * own
    largest = float(expected.abs().max())
    torch.testing.assert_close(short, network(u)[0].detach(), rtol=0, atol=1e-6 * largest)
    assert torch.equal(u, before)


@pytest.mark.parametrize("name", ["large"])
def test_the_reference_models_give_the_same_numbers_in_float32(name):
    network, _ = load_model(Path(__file__).parents[2] / "models" / name)
    u = 3 * torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(for_inference(network)(u)[0], network(u)[0], rtol=1e-5, atol=1e-6)


def test_weights_are_shared_and_the_network_itself_stays_as_it_was():
    network = random_network(UNET)
    fast = for_inference(network)
    shared = {parameter.data_ptr() for parameter in network.parameters()}
    assert {parameter.data_ptr() for parameter in fast.parameters()} <= shared
    assert len(network(torch.zeros(1, 3, 8, 8))) == 2
    assert all(parameter.requires_grad for parameter in network.parameters())
    assert not any(parameter.requires_grad for parameter in fast.parameters())


@pytest.mark.parametrize("block", ["gated", "full"])
def test_in_bfloat16_only_what_blocks_add_is_rounded(block):
    network = random_network(replace(UNET, block=block))
    u = torch.linspace(-1, 9, 3 * 16 * 24).view(1, 3, 16, 24)
    expected, found = network(u)[0].detach(), for_inference(network, torch.bfloat16)(u)[0]
    assert found.dtype == torch.float32
    difference = (found - expected).abs()
    assert 0 < difference.max() < 0.01 * expected.abs().max()
    assert difference[u > 8].max() < 1e-4  # bfloat16 would know these values to 0.016


@given(seed=st.integers(0, 2**32 - 1), scale=st.floats(1e-3, 10))
def test_rounding_keeps_the_sum_of_each_filter(seed, scale):
    convolution = torch.nn.Conv2d(3, 4, 3)
    torch.nn.init.normal_(convolution.weight, std=scale, generator=torch.Generator().manual_seed(seed))
    weight = convolution.weight.detach().double()
    short = rounded(convolution, torch.bfloat16)
    assert short.weight.dtype == short.bias.dtype == torch.bfloat16
    change = short.weight.detach().double() - weight
    size = weight.abs().flatten(2)
    step = 2.0**-7  # of bfloat16, relative: half of it by its own rounding, half by what it was handed
    assert (change.flatten(2).abs() <= step * size.amax(2, keepdim=True)).all()
    last = size.amin(2) + step * size.amax(2)
    assert (change.sum((2, 3)).abs() <= step / 2 * last).all()
    assert rounded(convolution, torch.float32) is convolution


def test_blending_stretched_tiles_is_blending_tiles_of_the_stretched_image():
    stretch = Stretch(0.02)
    flux = torch.from_numpy(np.random.default_rng(0).normal(0, 1, (3, 40, 56)).astype(np.float32))
    grid = TileGrid(40, 56, 16, 4)
    whole, parts = Blender(grid, 3), Blender(grid, 3)
    whole.add(grid.origins, cut_tiles(stretch.forward(flux), grid.origins, 16))
    parts.add(grid.origins, stretch.forward(cut_tiles(flux, grid.origins, 16)))
    assert torch.equal(whole.result, parts.result)
