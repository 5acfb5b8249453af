"""Noise2Self (Batson & Royer 2019) on a U-Net like ours."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from experiments.wang2021.baseline_training import OVERLAP, TILE, BaselineTraining, Values
from skydenoise.evaluate.images import Method
from skydenoise.network import Network
from skydenoise.predict.tiles import Blender, TileGrid, cut_tiles
from skydenoise.train.pairs import turn_each

WEIGHTS = "noise2self.safetensors"
RATE = 2e-3
"""Highest learning rate; a cosine in time follows."""
GRID = 4
"""Every fourth pixel along both axes is hidden at a time (their default)."""
TILES_AT_ONCE = 16


def phases(shape: tuple[int, ...], phase: int) -> Tensor:
    """Pixels (y, x) of one of the GRID**2 grids, 1 on the grid and 0 elsewhere."""
    mask = torch.zeros(shape[-2:])
    mask[phase // GRID :: GRID, phase % GRID :: GRID] = 1
    return mask


def hide(u: Tensor, mask: Tensor) -> Tensor:
    """Replace pixels on the grid by a mean of their eight neighbours ("interpolate" of Noise2Self).

    u : (n, band, y, x)
    mask : (y, x)
    """
    kernel = u.new_tensor([[0.5, 1.0, 0.5], [1.0, 0.0, 1.0], [0.5, 1.0, 0.5]]) / 6
    bands = u.shape[1]
    padded = torch.nn.functional.pad(u, (1, 1, 1, 1), mode="reflect")
    around = torch.nn.functional.conv2d(padded, kernel.expand(bands, 1, 3, 3), groups=bands)
    return u * (1 - mask) + around * mask


def train(training: BaselineTraining, folder: Path) -> int:
    """Train for `training.seconds` to predict hidden pixels from the others, as on a GPU we do in bfloat16.

    Leaves weights in `folder` and returns the number of steps.
    """
    generator = np.random.default_rng(training.seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(training.seed)
        network = Network(training.network)
    network = network.to(training.device, memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE)
    start, steps = time.monotonic(), 0
    while (spent := time.monotonic() - start) < training.seconds:
        for group in optimizer.param_groups:
            group["lr"] = RATE * (1 + np.cos(np.pi * spent / training.seconds)) / 2
        chosen = generator.integers(len(training.patches), size=training.batch)
        u = torch.from_numpy(training.stretched(training.patches.get(chosen)[0])).to(training.device)
        orientations = [int(k) for k in generator.integers(8, size=training.batch)]
        u = turn_each(u, orientations)
        mask = phases(u.shape, int(generator.integers(GRID**2))).to(u.device)
        with torch.autocast(u.device.type, torch.bfloat16, enabled=u.is_cuda):
            predicted = network(hide(u, mask))[0]
        difference = (predicted.float() - u) * mask
        loss = difference.square().sum() / (mask.sum() * u.shape[0] * u.shape[1])
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        steps += 1
    weights = {name: value.cpu().contiguous() for name, value in network.state_dict().items()}
    save_file(weights, folder / WEIGHTS)
    return steps


def load(training: BaselineTraining, folder: Path) -> Method:
    """The trained method: it hides each pixel once and takes what is predicted there."""
    network = Network(training.network)
    network.load_state_dict(load_file(folder / WEIGHTS))
    network.to(training.device, memory_format=torch.channels_last).eval().requires_grad_(False)
    tiles = (training.tile, training.overlap)
    apply = partial(apply_network, network, device=training.device, tiles=tiles)
    return partial(training.denoised, apply=apply)


def apply_network(
    network: torch.nn.Module, u: Values, device: str = "cpu", tiles: tuple[int, int] = (TILE, OVERLAP)
) -> Values:
    """Every pixel predicted from the others, on blended tiles: (band, y, x) to the same.

    tiles : edge and overlap, pixels
    """
    image = torch.from_numpy(u).to(device)
    grid = TileGrid(*u.shape[1:], *tiles)
    blender = Blender(grid, len(u), device)
    with torch.inference_mode():
        for first in range(0, len(grid.origins), TILES_AT_ONCE):
            origins = grid.origins[first : first + TILES_AT_ONCE]
            noisy = cut_tiles(image, origins, grid.tile).contiguous(memory_format=torch.channels_last)
            result = torch.zeros_like(noisy)
            for phase in range(GRID**2):
                mask = phases(noisy.shape, phase).to(device)
                result += network(hide(noisy, mask))[0] * mask
            blender.add(origins, result)
    return blender.result.cpu().numpy()
