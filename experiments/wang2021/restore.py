"""Frames of an experiment denoised: by a variant's model, by its snapshots, by a peer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from experiments.wang2021.files import (
    DENOISED,
    MODEL,
    NOISY,
    PEER,
    SNAPSHOT,
    read_data,
    read_noise,
    save_array,
)
from skydenoise.config import PredictSettings
from skydenoise.io import Brick
from skydenoise.io.atomic import write_json
from skydenoise.predict import load_denoiser
from skydenoise.predict.denoise import estimate_sky
from skydenoise.stacks.frames import frame_brick
from skydenoise.stacks.stack import open_stack
from skydenoise.train.snapshots import snapshots

Array = NDArray[Any]
Method = Callable[[Brick], Array]


def denoise_variant(frames: Path, folder: Path, settings: PredictSettings) -> None:
    """Denoise the measured frames with the model of a variant, and the followed ones with its snapshots."""
    data = read_data(frames)
    kept = snapshots(folder / MODEL) if data.followed else {}
    for stale in folder.glob("epoch-*.npy"):
        stale.unlink()
    for epoch, model in kept.items():
        denoise_last(frames, data.followed, denoiser(model, settings), folder / SNAPSHOT.format(epoch=epoch))
    denoise_last(frames, data.measured, denoiser(folder / MODEL, settings), folder / DENOISED)


def denoiser(model: Path, settings: PredictSettings) -> Method:
    """Method of a model's folder: the package's own prediction of any pixel."""
    loaded = load_denoiser(model, settings)
    return lambda brick: estimate_sky(brick, loaded.description.noise, loaded)[0]


def denoise_last(frames: Path, count: int, method: Method, path: Path) -> None:
    """Write the last `count` noisy frames as a method restores them: (count, channel, y, x) float32."""
    noise = read_noise(frames)
    with open_stack(frames / NOISY) as stack:
        chosen = range(stack.frames - count, stack.frames)
        bricks = (frame_brick(stack, index, noise) for index in chosen)
        images = [method(brick) for brick in tqdm(bricks, path.stem, count, unit="frame", disable=None)]
    save_array(path, np.stack(images))


def finish_peer(frames: Path, folder: Path, method: Method, seconds: float) -> None:
    """Denoise the measured frames with a trained peer."""
    denoise_last(frames, read_data(frames).measured, method, folder / DENOISED)
    write_json(folder / PEER, {"seconds": seconds, "left_out": ""})


def leave_out_peer(folder: Path, reason: str) -> None:
    """Note why a peer is not there; the report goes on without it."""
    (folder / DENOISED).unlink(missing_ok=True)
    write_json(folder / PEER, {"seconds": 0.0, "left_out": reason})
