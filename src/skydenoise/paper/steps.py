"""What the workflow does for any experiment, step by step, with the package's own patches and prediction.

Training itself is `train.loop`, as for any survey.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from skydenoise.atomic import write_json
from skydenoise.brick import Brick
from skydenoise.frames.frames import frame_brick, frame_names, frame_reader
from skydenoise.frames.stack import open_stack
from skydenoise.model.model import DESCRIPTION, read_description
from skydenoise.paper.catalogue import EXPERIMENTS
from skydenoise.paper.experiment import Denoised, Epoch, Outcome
from skydenoise.paper.files import NOISY, read_data, read_noise, save_array, write_data
from skydenoise.paper.settings import Variant
from skydenoise.patches import cut_patches
from skydenoise.predict import load_denoiser
from skydenoise.predict.denoise import restore
from skydenoise.settings import PatchSettings, PredictSettings
from skydenoise.train.snapshots import snapshots

Array = NDArray[Any]
Method = Callable[[Brick], Array]

DENOISED, CURVE, MODEL, PEER = "denoised.npy", "training.csv", "model", "peer.json"
"""In the folder of a variant or a peer."""
SNAPSHOT = "epoch-{epoch:05d}.npy"


def simulate(experiment: str, settings: Any, seed: int, folder: Path) -> None:
    """Make the frames of an experiment in `folder`; raises StepError, see `Experiment`."""
    write_data(folder, EXPERIMENTS[experiment].simulate(settings, np.random.default_rng(seed)))


def cut(frames: Path, settings: PatchSettings, folder: Path) -> None:
    """Cut training patches of the noisy frames, but for those held out; raises SettingsError."""
    data = read_data(frames)
    with open_stack(frames / NOISY) as stack:
        stacks = {"noisy": stack}
        names = frame_names(stacks)[: len(data.noisy) - data.held_out]
        cut_patches(names, frame_reader(stacks, read_noise(frames)), settings, folder)


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
    return lambda brick: restore(brick, loaded)[0]


def denoise_last(frames: Path, count: int, method: Method, path: Path) -> None:
    """Write the last `count` noisy frames as a method restores them: (count, channel, y, x) float32."""
    noise = read_noise(frames)
    with open_stack(frames / NOISY) as stack:
        chosen = range(stack.frames - count, stack.frames)
        bricks = (frame_brick(stack, index, noise) for index in chosen)
        images = [method(brick) for brick in tqdm(bricks, path.stem, count, unit="frame", disable=None)]
    save_array(path, np.stack(images))


def train_seconds(model: Path) -> float:
    """How long a model was trained."""
    return float(read_description(model / DESCRIPTION).provenance["seconds"])


def finish_peer(frames: Path, folder: Path, method: Method, seconds: float) -> None:
    """Denoise the measured frames with a trained peer."""
    denoise_last(frames, read_data(frames).measured, method, folder / DENOISED)
    write_json(folder / PEER, {"seconds": seconds, "left_out": ""})


def leave_out_peer(folder: Path, reason: str) -> None:
    """Note why a peer is not there; the report goes on without it."""
    (folder / DENOISED).unlink(missing_ok=True)
    write_json(folder / PEER, {"seconds": 0.0, "left_out": reason})


def report(
    frames: Path, variants: Mapping[str, Variant], peers: Sequence[str], what: tuple[str, Any]
) -> None:
    """Write figures, measures.ecsv and summary.txt of an experiment beside its frames.

    frames : folder of the frames, with a folder per variant and peer in it
    what : name of the experiment, and the settings of its data
    """
    experiment, settings = what
    done = {name: read_variant(frames / name, variant) for name, variant in variants.items()}
    about = {name: json.loads((frames / name / PEER).read_text(encoding="utf-8")) for name in peers}
    trained = {
        name: Denoised(np.load(frames / name / DENOISED, mmap_mode="r"), each["seconds"])
        for name, each in about.items()
        if not each["left_out"]
    }
    notes = tuple(f"{name} left out: {each['left_out']}" for name, each in about.items() if each["left_out"])
    EXPERIMENTS[experiment].report(Outcome(read_data(frames), done, trained, notes), settings, frames)


def read_variant(folder: Path, variant: Variant) -> Denoised:
    """What `denoise_variant` and the training left in a variant's folder."""
    with (folder / CURVE).open(newline="", encoding="utf-8") as stream:
        curve = tuple(_epoch(row) for row in csv.DictReader(stream))
    kept = {int(path.stem.split("-")[1]): np.load(path) for path in sorted(folder.glob("epoch-*.npy"))}
    image = np.load(folder / DENOISED, mmap_mode="r")
    return Denoised(image, train_seconds(folder / MODEL), curve, kept, variant)


def _epoch(row: Mapping[str, str]) -> Epoch:
    validation = float(row["validation"]) if row["validation"] else None
    return Epoch(int(row["epoch"]), float(row["loss"]), validation, float(row["seconds"]))
