"""What the machine can give, what the network needs at least, and the share that is reached."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.speed.inputs import Inputs
from benchmarks.speed.prediction import timed_denoiser
from skydenoise.network import load_model
from skydenoise.predict.denoise import apply_network
from skydenoise.predict.tiles import TileGrid


def limits(inputs: Inputs, device: str = "cpu") -> list[dict[str, Any]]:
    """Rates of the machine, and of the network over one brick."""

    def rates() -> tuple[float, float]:
        return memory_bandwidth(inputs.scale.stream, device), matrix_rate(inputs.scale.matrix, device)

    before_network = rates()
    denoiser, clock = timed_denoiser(inputs, device)
    brick, tile = inputs.brick(), inputs.scale.tile
    network, _ = load_model(inputs.model, device)  # as it was trained: what makes it faster is not counted
    network.heads = network.heads[:1]
    with FlopCounterMode(display=False) as counter, layers_counted(network) as layers:
        network(torch.zeros(1, 3, tile, tile, device=device))
    grid = TileGrid(*brick.shape, tile, inputs.scale.overlap)
    operations = counter.get_total_flops() * len(grid.origins)
    moved = 2 * 4 * 3 * tile**2 * len(grid.origins)  # every tile read and written once, nothing in between
    apply_network(brick.image, brick, denoiser)
    taken = []
    for _ in range(inputs.scale.repetitions):
        before = float(clock.taken[0])
        apply_network(brick.image, brick, denoiser)
        taken.append(float(clock.taken[0]) - before)
    seconds = sorted(taken)[len(taken) // 2]
    # again, and the better: a limit that a busy moment lowered is none
    bandwidth, matrix = map(max, before_network, rates())
    by_layers = 4 * sum(layers) * len(grid.origins) / bandwidth
    part = "limits"
    return [
        {"part": part, "what": "memory bandwidth of a copy, GB/s", "value": round(bandwidth / 1e9, 1)},
        {"part": part, "what": "matrix rate, Gflop/s (on a GPU TF32)", "value": round(matrix / 1e9, 1)},
        {"part": part, "what": "operations of the network, kflop per pixel of a tile",
         "value": round(counter.get_total_flops() / tile**2 / 1e3, 1)},
        {"part": part, "what": "pixels of tiles per pixel of the brick",
         "value": round(len(grid.origins) * tile**2 / (grid.height * grid.width), 3)},
        {"part": part, "what": "least seconds by operations", "value": round(operations / matrix, 3)},
        {"part": part, "what": "least seconds by bytes", "value": round(moved / bandwidth, 4)},
        {"part": part, "what": "least seconds by bytes, layer by layer", "value": round(by_layers, 4)},
        {"part": part, "what": "seconds of the network", "value": round(seconds, 3)},
        {"part": part, "what": "share of the limit by operations",
         "value": round(operations / matrix / seconds, 3)},
        {"part": part, "what": "share of the limit, layer by layer",
         "value": round(max(by_layers, operations / matrix) / seconds, 3)},
    ]  # fmt: skip


@contextmanager
def layers_counted(network: nn.Module) -> Iterator[list[int]]:
    """Without gradients: a list that gets the numbers which each convolution reads and writes, weights aside.

    Where layers run one after the other these must move at the least, even if all between them were fused.
    """
    moved: list[int] = []

    def count(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        moved.append(inputs[0].numel() + output.numel())

    convolutions = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    hooks = [module.register_forward_hook(count) for module in convolutions]
    with torch.inference_mode():
        yield moved
    for hook in hooks:
        hook.remove()


def memory_bandwidth(megabytes: int, device: str) -> float:
    """Bytes per second of copying one large array to another, the best of ten."""
    source = torch.ones(megabytes * 250_000, device=device)
    target = torch.empty_like(source)
    return 2 * 4 * source.numel() / _best(lambda: target.copy_(source), device)


def matrix_rate(edge: int, device: str) -> float:
    """Operations per second of a product of square float32 matrices, the best of ten.

    On a GPU their factors are rounded to TF32, as those of the network's convolutions are.
    """
    torch.backends.cuda.matmul.allow_tf32 = True
    a = torch.randn(edge, edge, device=device)
    return 2 * edge**3 / _best(lambda: a @ a, device)


def _best(run: Any, device: str) -> float:
    taken = []
    for _ in range(10):
        start = time.perf_counter()
        run()
        if device.startswith("cuda"):
            torch.cuda.synchronize()
        taken.append(time.perf_counter() - start)
    return min(taken)
