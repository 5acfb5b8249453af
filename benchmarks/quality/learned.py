"""Peers that train on the noisy pixels: Noise2Void by CAREamics, and Noise2Self on a U-Net like ours.

Both see the patches of our own training, stretched, all bands together, and train for the same time. On
skies the stretch is u = 3 asinh(x / 3 sigma_sky); on frames of the paper's experiments that of our own model.
"""

from __future__ import annotations

import logging
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
import yaml
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.quality.sky import simulated_bricks
from skydenoise.brick import Brick, read_brick
from skydenoise.bricks_table import read_bricks_table
from skydenoise.evaluate.pixels import SOFTENING
from skydenoise.evaluate.scene import Image, Method
from skydenoise.fill import fill
from skydenoise.model import Network
from skydenoise.model.model import read_description
from skydenoise.noise import NoiseModel
from skydenoise.patches import POSITIONS, PatchSet, cut_patches
from skydenoise.settings import Architecture, PatchSettings, PredictSettings
from skydenoise.simulate import BANDS, SimulationSettings
from skydenoise.stretch import Stretch
from skydenoise.tiles import Blender, TileGrid, cut_tiles
from skydenoise.train.objective import turn

_log = logging.getLogger(__name__)

CONFIGS = Path(__file__).parent
BATCH = 16
RATE = 2e-3
"""Highest learning rate of Noise2Self; a cosine in time follows."""
GRID = 4
"""Noise2Self hides every fourth pixel along both axes at a time (Batson & Royer 2019, their default)."""
TILE, OVERLAP = 128, 32
N2V_OVERLAP = 48
"""CAREamics' default."""
N2V_DEPTH, N2V_CHANNELS = 4, 16
"""Of CAREamics' U-Net: as deep and as wide as ours."""

Values = NDArray[np.float32]


def training_patches(config: Path, results: Path, cache: Path) -> PatchSet:
    """The patches of a finished training run, or the same cut anew from the same simulated bricks.

    config : the run's workflow configuration, such as decam.yaml
    results : the run's results folder; used if it holds patches
    cache : folder for bricks and patches otherwise
    """
    if (results / "patches" / POSITIONS).exists():
        return PatchSet.open(results / "patches")
    content = yaml.safe_load(config.read_text(encoding="utf-8"))
    folder = cache / f"patches-{content['run']}"
    if not (folder / POSITIONS).exists():
        settings = SimulationSettings(**content["simulation"])
        raw, _ = simulated_bricks(settings, cache)
        rows = read_bricks_table(CONFIGS / Path(content["bricks"]).name)
        names = [row.brick for row in rows if row.train]
        cut_patches(names, partial(read_brick, raw, bands=BANDS), PatchSettings(**content["patches"]), folder)
    return PatchSet.open(folder)


@dataclass(frozen=True, eq=False)
class Lesson:
    """What a peer learns from.

    patches : noisy ones, filled, nanomaggies
    stretch : to what the networks see
    seconds : how long it may train
    seed : of all that is random
    device : cpu or cuda
    tile, overlap : at prediction, pixels
    width : channels of the U-Net of Noise2Self at full resolution
    """

    patches: PatchSet
    stretch: Stretch
    seconds: float
    seed: int
    device: str = "cpu"
    tile: int = TILE
    overlap: int = OVERLAP
    width: int = Architecture.width


def make_lesson(
    patches: PatchSet, noise: NoiseModel, seconds: float, seed: int, device: str = "cpu"
) -> Lesson:
    """Lesson with the stretch of this noise; device "auto" is a GPU if there is one."""
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    softening = tuple(SOFTENING * sigma for sigma in noise.sigma_sky)
    return Lesson(patches, Stretch(softening), seconds, seed, device)


def frames_lesson(patches: Path, description: Path, predict: PredictSettings, seed: int) -> Lesson:
    """Lesson beside a trained model of ours: its patches, stretch, time, tiles and width.

    patches : folder of the patches
    description : the model's model.json
    predict : how the model denoises
    """
    model = read_description(description)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    seconds = float(model.provenance["seconds"])
    tiles = (predict.tile, predict.overlap)
    width = model.architecture.width
    return Lesson(PatchSet.open(patches), model.stretch, seconds, seed, device, *tiles, width)


def restored(brick: Brick, stretch: Stretch, apply: Callable[[Values], Values]) -> Image:
    """Apply a network, (band, y, x) stretched values to such, to a brick without gaps; nanomaggies."""
    u = stretch.forward(fill(brick.image, brick.usable))
    return np.asarray(stretch.inverse(apply(u)), dtype=np.float32)


# Noise2Self


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


def train_noise2self(lesson: Lesson, architecture: Architecture | None = None) -> Method:
    """Train for `lesson.seconds` to predict hidden pixels from the others (Batson & Royer 2019).

    Returns a method that hides each pixel once and takes what is predicted there.
    """
    generator = np.random.default_rng(lesson.seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(lesson.seed)
        network = Network(architecture or Architecture(bands=lesson.patches.shape[0], width=lesson.width))
    network = network.to(lesson.device, memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE)
    start, steps = time.monotonic(), 0
    while (spent := time.monotonic() - start) < lesson.seconds:
        for group in optimizer.param_groups:
            group["lr"] = RATE * (1 + np.cos(np.pi * spent / lesson.seconds)) / 2
        chosen = generator.integers(len(lesson.patches), size=BATCH)
        image = torch.from_numpy(lesson.patches.get(chosen)[0]).to(lesson.device)
        orientations = generator.integers(8, size=BATCH)
        turned = [turn(each, int(k)) for each, k in zip(image, orientations, strict=True)]
        u = lesson.stretch.forward(torch.stack(turned))
        mask = phases(u.shape, int(generator.integers(GRID**2))).to(u.device)
        difference = (network(hide(u, mask))[0] - u) * mask
        loss = difference.square().sum() / (mask.sum() * u.shape[0] * u.shape[1])
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        steps += 1
    _log.info("Noise2Self: %d steps", steps)
    network.eval().requires_grad_(False)
    tiles = (lesson.tile, lesson.overlap)
    apply = partial(apply_noise2self, network, device=lesson.device, tiles=tiles)
    return partial(restored, stretch=lesson.stretch, apply=apply)


def apply_noise2self(
    network: torch.nn.Module, u: Values, device: str = "cpu", tiles: tuple[int, int] = (TILE, OVERLAP)
) -> Values:
    """Every pixel predicted from the others, on blended tiles: (band, y, x) to the same.

    tiles : edge and overlap, pixels
    """
    image = torch.from_numpy(u).to(device)
    grid = TileGrid(*u.shape[1:], *tiles)
    blender = Blender(grid, len(u), device)
    with torch.inference_mode():
        for first in range(0, len(grid.origins), BATCH):
            origins = grid.origins[first : first + BATCH]
            noisy = cut_tiles(image, origins, grid.tile).contiguous(memory_format=torch.channels_last)
            result = torch.zeros_like(noisy)
            for phase in range(GRID**2):
                mask = phases(noisy.shape, phase).to(device)
                result += network(hide(noisy, mask))[0] * mask
            blender.add(origins, result)
    return blender.result.cpu().numpy()


# Noise2Void


@contextmanager
def torchvision_to_hand() -> Iterator[None]:
    """Let CAREamics be imported without torchvision.

    It asks for two names of it at import that Noise2Void never calls, and the registry's torchvision is built
    for the torch of GPUs alone. If it is not installed, an empty module stands in its place meanwhile.
    """
    names = ("torchvision", "torchvision.transforms", "torchvision.transforms.functional")
    stands_in = {}
    try:
        import torchvision  # noqa: F401
    except (ImportError, RuntimeError):
        for name in names:
            module = ModuleType(name)
            module.__spec__ = ModuleSpec(name, None, is_package=True)
            module.__dict__.update(__version__="0", __path__=[])
            stands_in[name] = module
    sys.modules.update(stands_in)
    try:
        yield
    finally:
        for name in stands_in:
            del sys.modules[name]


def careamics() -> tuple[Any, Any]:
    """CAREamist and the maker of its configuration; raises ImportError where CAREamics is not installed."""
    import lightning.pytorch  # noqa: F401
    import torchmetrics.image  # noqa: F401  # both look for torchvision at import: not to find the stand-in

    with torchvision_to_hand():
        from careamics import CAREamist
        from careamics.config.factories import create_advanced_n2v_config
    return CAREamist, create_advanced_n2v_config


def train_noise2void(lesson: Lesson) -> Method:
    """Train CAREamics' Noise2Void (Krull, Buchholz & Jug 2019) with its own defaults for `lesson.seconds`."""
    careamist, make_config = careamics()
    bands, *edges = lesson.patches.shape
    config = make_config(
        "noise2void",
        "array",
        "SCYX",
        edges,
        BATCH,
        num_epochs=1_000_000,
        n_channels=bands,
        independent_channels=False,
        num_workers=0,
        model_params={"depth": N2V_DEPTH, "num_channels_init": N2V_CHANNELS},
        trainer_params={
            "max_time": {"seconds": lesson.seconds},
            "min_epochs": 0,  # or one whole epoch would be trained, whatever the time
            "accelerator": "cpu" if lesson.device == "cpu" else "gpu",
            "enable_model_summary": False,
            "log_every_n_steps": 1,
        },
        seed=lesson.seed or 1,  # CAREamics refuses 0
    )
    folder = tempfile.TemporaryDirectory(prefix="noise2void-")
    trained = careamist(config, work_dir=folder.name, enable_progress_bar=False)
    images = lesson.patches.get(np.arange(len(lesson.patches)))[0]
    trained.train(train_data=lesson.stretch.forward(images))
    _log.info("Noise2Void: %d steps", trained.trainer.global_step)

    def apply(u: Values) -> Values:
        tiles = {"tile_size": (lesson.tile,) * 2, "tile_overlap": (N2V_OVERLAP, N2V_OVERLAP)}
        if min(u.shape[1:]) <= lesson.tile:
            tiles = {}  # one tile is the whole image
        result, _ = trained.predict(u, axes="CYX", batch_size=8, **tiles)
        return np.asarray(result[0], dtype=np.float32).reshape(u.shape)

    apply.folder = folder  # type: ignore[attr-defined]  # its checkpoint is read at every prediction
    return partial(restored, stretch=lesson.stretch, apply=apply)


LEARNERS: dict[str, Callable[[Lesson], Method]] = {
    "Noise2Void": train_noise2void,
    "Noise2Self": train_noise2self,
}
