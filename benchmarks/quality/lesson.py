"""What a learned peer learns from, and how its network makes an image of a brick.

Every peer sees the patches of our own training, stretched, all bands together, and trains for the same time
with the same batches. On skies the stretch is u = 3 asinh(x / 3 sigma_sky); on frames of the paper's
experiments that of our own model.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import torch
import yaml
from numpy.typing import NDArray

from benchmarks.quality.sky import simulated_bricks
from skydenoise.config import Architecture, PatchSettings, PredictSettings, TrainSettings
from skydenoise.evaluate.pixels import SOFTENING
from skydenoise.evaluate.scene import Image
from skydenoise.fill import fill
from skydenoise.io import Brick, read_brick
from skydenoise.network.folder import ModelDescription, read_description
from skydenoise.patches import POSITIONS, PatchSet, cut_patches
from skydenoise.simulate import BANDS, SimulationSettings
from skydenoise.stretch import Stretch
from skydenoise.survey.bricks_table import read_bricks_table

CONFIGS = Path(__file__).parent
TILE, OVERLAP = 128, 32

Values = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Lesson:
    """What a peer learns from.

    patches : noisy ones, filled, nanomaggies
    stretch : to what the networks see
    seconds : how long it may train
    seed : of all that is random
    device : cpu or cuda
    pace : device on which our model took these seconds; empty if they were chosen, or it is not known
    batch : patches in a step
    tile, overlap : at prediction, pixels
    network : of Noise2Self
    """

    patches: PatchSet
    stretch: Stretch
    seconds: float
    seed: int
    device: str = "cpu"
    pace: str = ""
    batch: int = TrainSettings.batch_size
    tile: int = TILE
    overlap: int = OVERLAP
    network: Architecture = field(default_factory=Architecture)


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


def sky_lesson(
    patches: PatchSet, model: ModelDescription, seconds: float | None, seed: int, device: str = "auto"
) -> Lesson:
    """Lesson beside a trained model of ours: its batches, its time unless given, a stretch by its noise."""
    softening = tuple(SOFTENING * sigma for sigma in model.noise.sigma_sky)
    time, pace = (float(model.provenance["seconds"]), pace_of(model)) if seconds is None else (seconds, "")
    return Lesson(patches, Stretch(softening), time, seed, usable_device(device), pace, batch_of(model))


def frames_lesson(patches: Path, description: Path, predict: PredictSettings, seed: int) -> Lesson:
    """Lesson beside a trained model of ours: its patches, stretch, time, batches, tiles and width.

    patches : folder of the patches
    description : the model's model.json
    predict : how the model denoises
    """
    model = read_description(description)
    return Lesson(
        PatchSet.open(patches),
        model.stretch,
        float(model.provenance["seconds"]),
        seed,
        usable_device("auto"),
        pace_of(model),
        batch_of(model),
        predict.tile,
        predict.overlap,
        Architecture(bands=model.architecture.bands, width=model.architecture.width),
    )


def pace_of(model: ModelDescription) -> str:
    """Device on which the model was trained; empty if it does not say."""
    return str(model.provenance.get("device", ""))


def usable_device(device: str) -> str:
    """`device`; for "auto" a GPU if there is one."""
    return ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device


def batch_of(model: ModelDescription) -> int:
    """Patches in a step of the training that made this model."""
    settings = json.loads(str(model.provenance.get("settings", "{}")))
    return int(settings.get("batch_size", TrainSettings.batch_size))


def restored(brick: Brick, stretch: Stretch, apply: Callable[[Values], Values]) -> Image:
    """Apply a network, (band, y, x) stretched values to such, to a brick without gaps; nanomaggies."""
    u = stretch.forward(fill(brick.image, brick.usable))
    return np.asarray(stretch.inverse(apply(u)), dtype=np.float32)
