"""How a learned baseline is trained beside a model of ours, and how its network makes an image of a brick.

Every baseline sees the patches of our own training, in units of their noise and stretched, all bands
together, and trains for the same time with the same batches.
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
from skydenoise.fill import fill
from skydenoise.io import Brick
from skydenoise.network.folder import ModelDescription, read_description
from skydenoise.noise import NoiseModel
from skydenoise.patches import PatchSet
from skydenoise.stretch import Stretch

TILE, OVERLAP = 128, 32

Values = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class BaselineTraining:
    """What a baseline learns from, and for how long.

    patches : noisy ones, filled, in the unit of the bricks
    noise : level and rms of the sky, which set the scale of what the networks see
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
    noise: NoiseModel
    stretch: Stretch
    seconds: float
    seed: int
    device: str = "cpu"
    model_device: str = ""
    batch: int = TrainSettings.batch_size
    tile: int = TILE
    overlap: int = OVERLAP
    network: Architecture = field(default_factory=Architecture)

    @property
    def unit(self) -> Values:
        """Rms noise of each band's sky, (band, 1, 1)."""
        return np.asarray(self.noise.sigma_sky, dtype=np.float32)[:, None, None]

    def stretched(self, image: Values) -> Values:
        """What the networks see of images (..., band, y, x) without gaps."""
        return self.stretch.forward((image - self.noise.zero) / self.unit)

    def denoised(self, brick: Brick, apply: Callable[[Values], Values]) -> Values:
        """Apply a network, (band, y, x) stretched values to such, to a brick; in the brick's unit."""
        u = apply(self.stretched(fill(brick.image, brick.usable)))
        return np.asarray(self.stretch.inverse(u) * self.unit + self.noise.zero, dtype=np.float32)


def training_beside(
    patches: Path, description: Path, predict: PredictSettings, seed: int
) -> BaselineTraining:
    """Training beside a model of ours: its patches, noise, stretch, time, batches, tiles and width.

    patches : folder of the patches
    description : the model's model.json
    predict : how the model denoises
    """
    model = read_description(description)
    return BaselineTraining(
        PatchSet.open(patches),
        model.noise,
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
