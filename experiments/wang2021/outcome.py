"""What came out of an experiment: what its report is made of."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.wang2021.configuration import Configuration
from experiments.wang2021.frames import Data

Array = NDArray[Any]

DENOISED, SNAPSHOT, BASELINE = "denoised.npy", "epoch-{}.npy", "baseline.json"
"""In the folder of a variant or a baseline, which lies in that of the frames."""


@dataclass(frozen=True, eq=False)
class Denoised:
    """What became of the frames in one variant or baseline.

    image : (measured, y, x) float32, the last frames of the data denoised, in their unit; may be a memory map
    seconds : of training
    losses : of the training patches in each epoch, (epochs,); empty for a baseline
    snapshots : by epoch, (followed, y, x): the last frames as the network of that epoch denoises them
    """

    image: Array
    seconds: float
    losses: Array = field(default_factory=lambda: np.empty(0))
    snapshots: Mapping[int, Array] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a report is made of.

    variants, baselines : by name, in the order of the configuration; a baseline that is not installed is
        not there
    notes : such as what was left out, one line each; belong into summary.txt
    """

    configuration: Configuration
    data: Data
    variants: Mapping[str, Denoised]
    baselines: Mapping[str, Denoised] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def clean(self) -> Array:
        """The measured frames without noise, (n, y, x)."""
        return np.asarray(self.data.clean[-self.data.measured :])

    @property
    def images(self) -> dict[str, Array]:
        """The measured frames, (n, y, x): noisy, then as each variant and baseline denoises them."""
        denoised = {name: each.image for name, each in {**self.variants, **self.baselines}.items()}
        return {"noisy": np.asarray(self.data.noisy[-self.data.measured :])} | denoised

    def seconds(self, method: str) -> float:
        """Time of training; 0 for a method without any."""
        trained = {**self.variants, **self.baselines}
        return trained[method].seconds if method in trained else 0.0


def read_outcome(folder: Path, configuration: Configuration) -> Outcome:
    """What the steps of an experiment left in the folder of its frames."""
    about = {
        name: json.loads((folder / name / BASELINE).read_text(encoding="utf-8"))
        for name in configuration.baselines
    }
    return Outcome(
        configuration,
        Data.read(folder),
        {name: _read_variant(folder / name) for name in configuration.variants},
        {
            name: Denoised(np.load(folder / name / DENOISED, mmap_mode="r"), each["seconds"])
            for name, each in about.items()
            if not each["left_out"]
        },
        tuple(f"{name} left out: {each['left_out']}" for name, each in about.items() if each["left_out"]),
    )


def _read_variant(folder: Path) -> Denoised:
    with (folder / "training.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    snapshots = {int(path.stem[6:]): np.load(path) for path in sorted(folder.glob(SNAPSHOT.format("*")))}
    losses = np.array([float(row["loss"]) for row in rows])
    image = np.load(folder / DENOISED, mmap_mode="r")
    return Denoised(image, float(rows[-1]["seconds"]), losses, snapshots)
