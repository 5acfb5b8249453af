"""Prediction of one brick: its parts, and peers on the same weights."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.speed.inputs import Inputs
from benchmarks.speed.measure import (
    Run,
    Timing,
    take_turns_apart,
    times_slower,
)
from experiments.wang2021 import noise2void
from skydenoise.config import OutputSettings
from skydenoise.fill import fill
from skydenoise.io import write_brick
from skydenoise.network import for_inference, load_model
from skydenoise.predict import Denoiser, load_denoiser
from skydenoise.predict.allocator import reuse_freed_memory
from skydenoise.predict.denoise import apply_network, finish
from skydenoise.predict.recover import recover
from skydenoise.predict.tiles import TileGrid, cut_tiles, window

Row = dict[str, Any]
Result = TypeVar("Result")

OUTPUT = OutputSettings()


class Timed(nn.Module):
    """A network that adds up the seconds it takes, and writes their sum to a file if it is given one."""

    def __init__(self, network: nn.Module, file: Path | None) -> None:
        super().__init__()
        self.network, self.file = network, file
        self.taken = np.zeros(2)  # wall and processor seconds

    def forward(self, u: Tensor) -> tuple[Tensor, ...]:
        """As the network."""
        start = now()
        outputs: tuple[Tensor, ...] = self.network(u)
        if u.is_cuda:
            torch.cuda.synchronize()
        self.taken += now() - start
        if self.file is not None:
            self.file.write_text(str(self.taken[0]))
        return outputs


def now() -> np.ndarray:
    """Wall and processor clock of this process, s."""
    return np.array([time.perf_counter(), time.process_time()])


def timed_denoiser(
    inputs: Inputs, device: str = "cpu", file: Path | None = None, precision: str = "auto"
) -> tuple[Denoiser, Timed]:
    """The model of `inputs`, as a job loads it, and its clock, which writes to `file`."""
    reuse_freed_memory()
    settings = replace(inputs.settings, precision=precision)
    denoiser = load_denoiser(inputs.model, settings, device)
    network = Timed(denoiser.network, file)
    return replace(denoiser, network=network), network


# ---------------------------------------------------------------- parts


def parts(inputs: Inputs, device: str = "cpu") -> list[Row]:
    """Wall and processor seconds of each part of one brick, one after the other, and shares of the latter."""
    denoiser, clock = timed_denoiser(inputs, device)
    noise = denoiser.description.noise
    taken: dict[str, list[np.ndarray]] = {}

    def part(name: str, run: Callable[[], Result]) -> Result:
        start = now()
        result = run()
        taken.setdefault(name, []).append(now() - start)
        return result

    for _ in range(inputs.scale.repetitions + 1):  # the first one warms up
        brick = part("read", inputs.brick)
        filled = part("fill", partial(fill, brick.image, brick.usable))
        before = clock.taken.copy()
        image = part("blend", partial(apply_network, filled, brick, denoiser))
        taken.setdefault("network", []).append(clock.taken - before)
        taken["blend"][-1] -= clock.taken - before
        sigma = part("sigma and flags", partial(noise.sigma, brick.invvar))
        settings = denoiser.settings.recover
        image, recovered = part(
            "recover",
            partial(recover, brick.image, image, sigma, brick.usable, noise.levels, settings, device),
        )
        begun = now()
        denoised = finish(brick, denoiser, image, recovered, sigma)
        taken["sigma and flags"][-1] += now() - begun
        part("write", partial(write_brick, inputs.results, brick, denoised, OUTPUT, {"key": "x"}))
    total = sum(np.median(each[1:], axis=0)[1] for each in taken.values())
    rows = []
    for name in ("read", "fill", "network", "blend", "recover", "sigma and flags", "write"):
        wall, cpu = np.median(taken[name][1:], axis=0)
        numbers = {"seconds": wall, "cpu_seconds": cpu, "cpu_share": cpu / total}
        rounded = {key: round(float(value), 3) for key, value in numbers.items()}
        rows.append({"part": "prediction, parts", "what": name, **rounded})
    return rows


# ---------------------------------------------------------------- peers: network and blend of one brick


def peers(inputs: Inputs, device: str = "cpu") -> list[Row]:
    """Network and blend of one brick against others, from nanomaggies to nanomaggies, and peak memory."""
    candidates: dict[str, tuple[Callable[..., Run], tuple[Any, ...]]] = {
        "skydenoise": (ours, (inputs, device)),
        "skydenoise, float32": (ours, (inputs, device, None, "float32")),
    }
    batch = inputs.scale.own_batches[0]
    if importlib.util.find_spec("monai"):
        for size in inputs.scale.peer_batches:
            candidates[f"MONAI, batch {size}"] = (monai, (inputs, device, size, False))
        name = f"MONAI, batch {batch}, our fast network and allocator"
        candidates[name] = (monai, (inputs, device, batch, True))
    if importlib.util.find_spec("careamics"):
        candidates[f"CAREamics' tiles and stitching, batch {batch}"] = (careamics, (inputs, device, batch))
    candidates["plain loop, one tile at a time"] = (plain_loop, (inputs, device))
    timings = take_turns_apart(candidates, inputs.scale.repetitions)
    return [
        against("network + blend", name, timing, timings["skydenoise"]) for name, timing in timings.items()
    ]


def tiles_at_once(inputs: Inputs, device: str = "cpu") -> list[Row]:
    """Network and blend of one brick against the number of tiles in one pass, all held against the first."""
    batches = inputs.scale.own_batches
    timings = take_turns_apart(
        {f"{batch} tiles at once": (ours, (inputs, device, batch)) for batch in batches},
        inputs.scale.repetitions,
    )
    default = next(iter(timings.values()))
    return [against("network + blend", name, timing, default) for name, timing in timings.items()]


def against(part: str, name: str, timing: Timing, best: Timing) -> Row:
    """A row of the table: `timing` beside ours."""
    row: Row = {
        "part": part,
        "what": name,
        "seconds": round(timing.median, 3),
        "spread": round(timing.spread, 3),
    }
    if np.isfinite(timing.memory_mib):
        row["memory_mib"], row["peak_mib"] = round(timing.memory_mib), round(timing.peak_mib)
    return row | times_slower(timing, best)


def ours(inputs: Inputs, device: str, batch: int | None = None, precision: str = "auto") -> Run:
    """Network and blend as a job does them; `batch` tiles at once, None for the default."""
    brick = inputs.brick()
    denoiser, _ = timed_denoiser(inputs, device, precision=precision)
    if batch is not None:
        denoiser = replace(denoiser, settings=replace(denoiser.settings, batch_tiles=batch))
    return lambda: apply_network(brick.image, brick, denoiser)


def monai(inputs: Inputs, device: str, batch: int, fast: bool) -> Run:
    """MONAI's sliding windows with Gaussian weights; `fast`: over our faster form of the network."""
    import monai.inferers  # noqa: F401 - its time and memory are not what is measured

    brick = inputs.brick()
    if fast:
        reuse_freed_memory()
    return lambda: monai_image(brick.image, inputs, device, batch, None, fast)


def monai_image(
    image: np.ndarray,
    inputs: Inputs,
    device: str,
    batch: int,
    weights: Tensor | None = None,
    fast: bool = False,
) -> np.ndarray:
    """(band, y, x) nanomaggies from nanomaggies by MONAI.

    weights : (tile, tile) weight of a tile's pixels; None for MONAI's Gaussian
    """
    from monai.inferers import sliding_window_inference

    network, description = _loaded(inputs.model, device, fast)
    tile, overlap = inputs.scale.tile, inputs.scale.overlap
    with torch.inference_mode():
        u = description.stretch.forward(torch.from_numpy(image).to(device))[None]
        blended = sliding_window_inference(
            u,
            (tile, tile),
            batch,
            lambda tiles: network(tiles)[0],
            overlap=overlap / tile,
            mode="gaussian",
            roi_weight_map=weights,
        )
        return description.stretch.inverse(blended[0]).cpu().numpy()


def careamics(inputs: Inputs, device: str, batch: int) -> Run:
    """CAREamics' tiles and stitching, which cuts overlaps in the middle; without its loader of tiles."""
    noise2void.careamics()  # imports it
    from careamics.dataset.image_region_data import ImageRegionData
    from careamics.dataset.patching.tiled_patching import TiledPatching
    from careamics.lightning.prediction.stitch_prediction import stitch_prediction

    brick = inputs.brick()
    network, description = _loaded(inputs.model, device, False)
    tile, overlap, shape = inputs.scale.tile, inputs.scale.overlap, (1, *brick.image.shape)
    tiles = TiledPatching([shape], (tile, tile), (overlap, overlap)).tile_specs

    def run() -> np.ndarray:
        stitched = []
        with torch.inference_mode():
            u = description.stretch.forward(torch.from_numpy(brick.image).to(device))
            for first in range(0, len(tiles), batch):
                some = tiles[first : first + batch]
                found = network(cut_tiles(u, [each["coords"] for each in some], tile))[0].cpu().numpy()
                stitched += [
                    ImageRegionData(data, "array", shape, "float32", "SCYX", "SCYX", shape, each, {})
                    for data, each in zip(found, some, strict=True)
                ]
            image = torch.from_numpy(stitch_prediction(stitched)[0][0][0])
            return description.stretch.inverse(image).numpy()

    return run


def plain_loop(inputs: Inputs, device: str) -> Run:
    """What one writes without a library: tile by tile, sums of value and weight, a division."""
    brick = inputs.brick()
    network, description = _loaded(inputs.model, device, False)
    scale = inputs.scale
    grid = TileGrid(*brick.shape, scale.tile, scale.overlap)
    edge = torch.from_numpy(window(scale.tile, scale.overlap)).to(device)

    def run() -> np.ndarray:
        with torch.inference_mode():
            u = description.stretch.forward(torch.from_numpy(brick.image).to(device))
            total, weight = torch.zeros_like(u), torch.zeros_like(u)
            for y, x in grid.origins:
                here = np.s_[:, y : y + scale.tile, x : x + scale.tile]
                share = edge[:, None] * edge
                total[here] += network(u[here][None])[0][0] * share
                weight[here] += share
            return description.stretch.inverse(total / weight).cpu().numpy()

    return run


_networks: dict[tuple[Path, str, bool], Any] = {}


def _loaded(folder: Path, device: str, fast: bool) -> Any:
    if (folder, device, fast) not in _networks:
        network, description = load_model(folder, device)
        _networks[folder, device, fast] = (for_inference(network) if fast else network, description)
    return _networks[folder, device, fast]
