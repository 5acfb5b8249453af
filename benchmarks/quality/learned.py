"""Peers that train on the noisy pixels: trained once, kept in a folder, and taken from there.

Who has a GPU trains them there, `python -m benchmarks.quality --train-peers`, and measures elsewhere.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import torch

from benchmarks.machine import machine
from experiments.wang2021.baseline_training import BaselineTraining
from experiments.wang2021.baselines import BASELINES
from skydenoise.evaluate.scene import Method
from skydenoise.io.atomic import write_json
from skydenoise.network.device import device_name

_log = logging.getLogger(__name__)

RECORD = "trained.json"


def learn(peer: str, lesson: BaselineTraining, folder: Path) -> tuple[Method, dict[str, Any]]:
    """The peer as `folder` keeps it, or trained for `lesson` and kept there; and how it was trained.

    Raises ImportError if its package is not installed, and SystemExit if it would have to be trained for as
    long as our model, but on another device.
    """
    conditions = {
        "seconds": lesson.seconds,
        "seed": lesson.seed,
        "batch": lesson.batch,
        "patches": len(lesson.patches),
        "patch": lesson.patches.shape[-1],
    }
    file = folder / RECORD
    record = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    if {key: record.get(key) for key in conditions} != conditions:
        here = device_name(lesson.device)
        if lesson.model_device not in ("", here):
            raise SystemExit(
                f"quality: {peer} is not kept in {folder}; the model took {lesson.seconds:g} s on "
                f"{lesson.model_device}, and this is {here}: --train-seconds says how long to train here"
            )
        folder.mkdir(parents=True, exist_ok=True)
        file.unlink(missing_ok=True)
        steps = BASELINES[peer].train(lesson, folder)
        record = conditions | {"steps": steps, "machine": hardware(lesson.device)}
        write_json(file, record)
        _log.info("%s: %d steps in %.0f s on %s", peer, steps, lesson.seconds, record["machine"])
    return BASELINES[peer].load(lesson, folder), record


def hardware(device: str) -> str:
    """What trains, in words."""
    if device.startswith("cuda"):
        return torch.cuda.get_device_name()
    about = machine()
    return f"{about['cores']} cores of {about['processor']}"
