"""The frames of an experiment on disk: noisy.npy, clean.npy, data.json, noise.json in one folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.wang2021.experiment import Data
from skydenoise.io.atomic import atomic_path, write_json
from skydenoise.noise import NoiseModel
from skydenoise.stacks.scale import measure_scale
from skydenoise.stacks.stack import open_stack

Array = NDArray[Any]

NOISY, CLEAN, DATA, NOISE = "noisy.npy", "clean.npy", "data.json", "noise.json"
DENOISED, CURVE, MODEL, PEER = "denoised.npy", "training.csv", "model", "peer.json"
"""In the folder of a variant or a peer, which lies in that of the frames."""
SNAPSHOT = "epoch-{epoch:05d}.npy"


def write_data(folder: Path, data: Data) -> None:
    """Write the frames, and level and rms of the noisy ones (the NoiseModel of `measure_scale`)."""
    save_array(folder / NOISY, data.noisy)
    save_array(folder / CLEAN, data.clean)
    special = {key: getattr(data, key) for key in ("measured", "followed", "held_out", "notes")}
    write_json(folder / DATA, special)
    bands = tuple(f"channel{number}" for number in range(data.noisy.shape[1]))
    with open_stack(folder / NOISY) as stack:
        write_json(folder / NOISE, measure_scale([stack], bands).to_json())


def read_data(folder: Path) -> Data:
    """Inverse of `write_data`; the arrays are memory maps."""
    noisy, clean = (np.load(folder / name, mmap_mode="r") for name in (NOISY, CLEAN))
    return Data(noisy, clean, **json.loads((folder / DATA).read_text(encoding="utf-8")))


def read_noise(folder: Path) -> NoiseModel:
    """Level and rms that `write_data` wrote."""
    return NoiseModel.read(folder / NOISE)


def save_array(path: Path, array: Array) -> None:
    """Write a float32 .npy in one step."""
    with atomic_path(path) as partial:
        np.save(partial, np.asarray(array, dtype=np.float32))
