"""What a training is asked to do, as one line that fits a command."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from skydenoise.config import Architecture, TrainSettings, plain, rebuild


@dataclass(frozen=True)
class TrainJob:
    """One training.

    patches, noise : folder of `cut_patches`; JSON file of the NoiseModel
    model : folder for model.safetensors and model.json; the checkpoint lies there until both are written
    log, tensorboard : CSV file of the training curve; folder of the same for TensorBoard
    softening : beta of the stretch, in units of the noise
    provenance : goes into model.json beside what is added here
    """

    patches: Path
    noise: Path
    model: Path
    log: Path
    tensorboard: Path
    architecture: Architecture
    settings: TrainSettings
    softening: float
    provenance: dict[str, str | int | float] = field(default_factory=dict)

    def to_json(self) -> str:
        """One line, of which `from_json` makes an equal job."""
        return json.dumps(plain(self))

    @classmethod
    def from_json(cls, line: str) -> Self:
        """Inverse of `to_json`; raises SettingsError for impossible settings."""
        return rebuild(cls, json.loads(line))
