"""The measured frames denoised: by a variant's model, by the snapshots of its training, by a baseline."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from experiments.wang2021.baseline_training import BaselineTraining
from experiments.wang2021.baselines import BASELINES
from experiments.wang2021.frames import Data, brick_reader, frame_name, save_array
from experiments.wang2021.outcome import BASELINE, DENOISED, SNAPSHOT
from experiments.wang2021.snapshots import snapshots
from skydenoise.config import PredictSettings
from skydenoise.io import Brick
from skydenoise.io.atomic import write_json
from skydenoise.predict import load_denoiser
from skydenoise.predict.denoise import estimate_sky

Method = Callable[[Brick], NDArray[Any]]


def denoise_variant(folder: Path, settings: PredictSettings) -> None:
    """Denoise the measured frames with the model of a variant, and the followed ones with its snapshots.

    folder : of the variant, in that of the frames
    """
    data = Data.read(folder.parent)
    for stale in folder.glob(SNAPSHOT.format("*")):
        stale.unlink()
    for epoch, model in snapshots(folder / "model").items() if data.followed else ():
        path = folder / SNAPSHOT.format(f"{epoch:05d}")
        denoise_last(data.followed, network_method(model, settings), path)
    denoise_last(data.measured, network_method(folder / "model", settings), folder / DENOISED)


def network_method(model: Path, settings: PredictSettings) -> Method:
    """Method of a model's folder: the package's own prediction of any pixel."""
    denoiser = load_denoiser(model, settings)
    return lambda brick: estimate_sky(brick, denoiser.description.noise, denoiser)[0]


def denoise_last(count: int, method: Method, path: Path) -> None:
    """Write the last `count` noisy frames as a method denoises them, (count, y, x) float32.

    path : in a folder of a variant or baseline, which lies in that of the frames
    """
    frames = path.parent.parent
    read, total = brick_reader(frames), len(Data.read(frames).noisy)
    chosen = tqdm(range(total - count, total), path.stem, unit="frame", disable=None)
    save_array(path, np.stack([method(read(frame_name(index)))[0] for index in chosen]))


def run_baseline(name: str, folder: Path, training: BaselineTraining) -> None:
    """Train a baseline and denoise the measured frames with it, or note why it is left out.

    folder : of the baseline, in that of the frames
    """
    baseline, seconds, left_out = BASELINES[name], training.seconds, ""
    with tempfile.TemporaryDirectory() as kept:
        try:
            baseline.train(training, Path(kept))
        except ImportError as error:
            seconds, left_out = 0.0, str(error)
        else:
            measured = Data.read(folder.parent).measured
            denoise_last(measured, baseline.load(training, Path(kept)), folder / DENOISED)
    write_json(folder / BASELINE, {"seconds": seconds, "left_out": left_out})
