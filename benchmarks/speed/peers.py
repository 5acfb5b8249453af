"""The network on the tiles of one brick and their blend, by us and by others with the same network.

All take a brick in units of its noise, (band, y, x) float32 on the CPU, to the denoised one. MONAI is left
out if it is not installed (`pip install '.[speed]'`).
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from benchmarks.speed.inputs import Inputs
from benchmarks.speed.timing import Candidate, Row, Run, take_turns
from skydenoise.fill import fill
from skydenoise.network import load_model
from skydenoise.predict import load_denoiser
from skydenoise.predict.denoise import apply_network
from skydenoise.predict.tiles import TileGrid, window

Values = np.ndarray


def tiles(inputs: Inputs) -> Iterator[Row]:
    """Rows of all that are installed; ours is what the others are held against."""
    candidates: dict[str, Candidate] = {"skydenoise": (ours, (inputs,))}
    for batch in inputs.scale.peer_batches if importlib.util.find_spec("monai") else ():
        candidates[f"MONAI, {batch} tiles at once"] = (monai, (inputs, batch))
    candidates["plain loop, one tile at a time"] = (plain_loop, (inputs,))
    timings = take_turns(candidates, inputs.scale.repetitions)
    for name, timing in timings.items():
        yield timing.row("tiles of a brick, blended", name, timings["skydenoise"])


def image_of(inputs: Inputs) -> Values:
    """The first brick in units of its noise, without gaps."""
    brick = inputs.brick()
    return fill(brick.image * np.sqrt(brick.invvar), brick.usable)


def ours(inputs: Inputs) -> Run:
    """As a job does it."""
    image, brick = image_of(inputs), inputs.brick()
    denoiser = load_denoiser(inputs.model, inputs.scale.settings, inputs.device)
    return lambda: apply_network(image, brick, denoiser)


def monai(inputs: Inputs, batch: int, weights: Tensor | None = None) -> Run:
    """MONAI's sliding windows.

    weights : (tile, tile) of a tile's pixels; None for MONAI's Gaussian
    """
    from monai.inferers import sliding_window_inference

    image, (network, description) = image_of(inputs), load_model(inputs.model, inputs.device)
    tile, overlap = inputs.scale.settings.tile, inputs.scale.settings.overlap

    def run() -> Values:
        with torch.inference_mode():
            u = description.stretch.forward(torch.from_numpy(image).to(inputs.device))[None]
            blended = sliding_window_inference(
                u,
                (tile, tile),
                batch,
                lambda windows: network(windows)[0],
                overlap=overlap / tile,
                mode="gaussian",
                roi_weight_map=weights,
            )
            return description.stretch.inverse(blended[0]).cpu().numpy()

    return run


def plain_loop(inputs: Inputs) -> Run:
    """What one writes without a library: tile by tile, sums of value and weight, a division."""
    image, (network, description) = image_of(inputs), load_model(inputs.model, inputs.device)
    settings = inputs.scale.settings
    grid = TileGrid(*image.shape[1:], settings.tile, settings.overlap)
    edge = torch.from_numpy(window(settings.tile, settings.overlap)).to(inputs.device)

    def run() -> Values:
        with torch.inference_mode():
            u = description.stretch.forward(torch.from_numpy(image).to(inputs.device))
            total, weight = torch.zeros_like(u), torch.zeros_like(u)
            for y, x in grid.origins:
                here = np.s_[:, y : y + grid.tile, x : x + grid.tile]
                share = edge[:, None] * edge
                total[here] += network(u[here][None])[0][0] * share
                weight[here] += share
            return description.stretch.inverse(total / weight).cpu().numpy()

    return run
