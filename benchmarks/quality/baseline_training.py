"""How a learned baseline is trained, and how its network makes an image of a brick.

Every baseline sees the patches of our own training, stretched, all bands together, and trains for the same
time with the same batches. On skies the stretch is u = 3 asinh(x / 3 sigma_sky); on frames of the paper's
experiments that of our own model.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from skydenoise.config import Architecture, PredictSettings, TrainSettings
from skydenoise.evaluate.pixels import SOFTENING
from skydenoise.evaluate.scene import Image
from skydenoise.fill import fill
from skydenoise.io import Brick
from skydenoise.network.folder import ModelDescription, read_description
from skydenoise.patches import PatchSet
from skydenoise.stretch import Stretch

TILE, OVERLAP = 128, 32

Values = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class BaselineTraining:
    """What a baseline learns from, and for how long.

    patches : noisy ones, filled, nanomaggies
    stretch : to what the networks see
    seconds : how long it may train
    seed : of all that is random
    device : cpu or cuda
    model_device : device on which our model took these seconds; empty if they were chosen, or it is not known
    batch : patches in a step
    tile, overlap : at prediction, pixels
    network : of Noise2Self
    """

    patches: PatchSet
    stretch: Stretch
    seconds: float
    seed: int
    device: str = "cpu"
    model_device: str = ""
    batch: int = TrainSettings.batch_size
    tile: int = TILE
    overlap: int = OVERLAP
    network: Architecture = field(default_factory=Architecture)


def sky_training(
    patches: PatchSet, model: ModelDescription, seconds: float | None, seed: int, device: str = "auto"
) -> BaselineTraining:
    """Beside a trained model of ours: its batches, its time unless given, a stretch by its noise."""
    softening = tuple(SOFTENING * sigma for sigma in model.noise.sigma_sky)
    chosen = (float(model.provenance["seconds"]), model_device(model)) if seconds is None else (seconds, "")
    return BaselineTraining(
        patches, Stretch(softening), chosen[0], seed, usable_device(device), chosen[1], batch_of(model)
    )


def frames_training(
    patches: Path, description: Path, predict: PredictSettings, seed: int
) -> BaselineTraining:
    """Beside a trained model of ours: its patches, stretch, time, batches, tiles and width.

    patches : folder of the patches
    description : the model's model.json
    predict : how the model denoises
    """
    model = read_description(description)
    return BaselineTraining(
        PatchSet.open(patches),
        model.stretch,
        float(model.provenance["seconds"]),
        seed,
        usable_device("auto"),
        model_device(model),
        batch_of(model),
        predict.tile,
        predict.overlap,
        Architecture(bands=model.architecture.bands, width=model.architecture.width),
    )


def model_device(model: ModelDescription) -> str:
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
