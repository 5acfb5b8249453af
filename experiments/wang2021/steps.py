"""What the workflow does for any experiment, step by step: frames, patches, report.

Training is `train.loop`, as for any survey, and `restore` denoises. Torch, slow to import, is not needed.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from experiments.wang2021.catalogue import EXPERIMENTS
from experiments.wang2021.configuration import Configuration, Variant
from experiments.wang2021.experiment import Denoised, Epoch, Outcome
from experiments.wang2021.files import CURVE, DENOISED, NOISY, PEER, read_data, read_noise
from skydenoise.config import PatchSettings
from skydenoise.patches import cut_patches
from skydenoise.stacks.frames import frame_names, frame_reader
from skydenoise.stacks.stack import open_stack


def cut(frames: Path, settings: PatchSettings, folder: Path) -> None:
    """Cut training patches of the noisy frames, but for those held out; raises SettingsError."""
    data = read_data(frames)
    with open_stack(frames / NOISY) as stack:
        stacks = {"noisy": stack}
        names = frame_names(stacks)[: len(data.noisy) - data.held_out]
        cut_patches(names, frame_reader(stacks, read_noise(frames)), settings, folder)


def report(frames: Path, configuration: Configuration) -> None:
    """Write figures, measures.ecsv and summary.txt of an experiment beside its frames.

    frames : folder of the frames, with a folder per variant and peer in it
    """
    experiment, peers = configuration.experiment, configuration.peers
    done = {name: read_variant(frames / name, variant) for name, variant in configuration.variants.items()}
    about = {name: json.loads((frames / name / PEER).read_text(encoding="utf-8")) for name in peers}
    trained = {
        name: Denoised(np.load(frames / name / DENOISED, mmap_mode="r"), each["seconds"])
        for name, each in about.items()
        if not each["left_out"]
    }
    notes = tuple(f"{name} left out: {each['left_out']}" for name, each in about.items() if each["left_out"])
    EXPERIMENTS[experiment].report(
        Outcome(read_data(frames), done, trained, notes), configuration.frames, frames
    )


def read_variant(folder: Path, variant: Variant) -> Denoised:
    """What `denoise_variant` and the training left in a variant's folder."""
    with (folder / CURVE).open(newline="", encoding="utf-8") as stream:
        curve = tuple(_epoch(row) for row in csv.DictReader(stream))
    kept = {int(path.stem.split("-")[1]): np.load(path) for path in sorted(folder.glob("epoch-*.npy"))}
    image = np.load(folder / DENOISED, mmap_mode="r")
    return Denoised(image, curve[-1].seconds, curve, kept, variant)


def _epoch(row: Mapping[str, str]) -> Epoch:
    validation = float(row["validation"]) if row["validation"] else None
    return Epoch(int(row["epoch"]), float(row["loss"]), validation, float(row["seconds"]))
