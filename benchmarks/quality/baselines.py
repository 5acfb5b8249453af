"""Learned baselines: trained on the noisy pixels once, kept in a folder, and taken from there.

Who has a GPU trains them there, `python -m benchmarks.quality --train-only`, and measures elsewhere.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.machine import gpu_name, machine
from benchmarks.quality import noise2self, noise2void
from benchmarks.quality.baseline_training import BaselineTraining
from skydenoise.evaluate.scene import Method
from skydenoise.io.atomic import write_json
from skydenoise.network.device import device_name

_log = logging.getLogger(__name__)

RECORD = "trained.json"


@dataclass(frozen=True)
class Baseline:
    """How a baseline is trained and taken up again.

    train : writes what it learnt to a folder, returns the number of its steps
    load : the method that such a folder holds
    """

    train: Callable[[BaselineTraining, Path], int]
    load: Callable[[BaselineTraining, Path], Method]


BASELINES = {
    "Noise2Void": Baseline(noise2void.train, noise2void.load),
    "Noise2Self": Baseline(noise2self.train, noise2self.load),
}


def trained(name: str, training: BaselineTraining, folder: Path) -> tuple[Method, dict[str, Any]]:
    """The baseline as `folder` keeps it, or trained now and kept there; and how it was trained.

    Raises ImportError if its package is not installed, and SystemExit if it would have to be trained for as
    long as our model, but on another device.
    """
    conditions = {
        "seconds": training.seconds,
        "seed": training.seed,
        "batch": training.batch,
        "patches": len(training.patches),
        "patch": training.patches.shape[-1],
    }
    file = folder / RECORD
    record = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    if {key: record.get(key) for key in conditions} != conditions:
        here = device_name(training.device)
        if training.model_device not in ("", here):
            raise SystemExit(
                f"quality: {name} is not kept in {folder}; the model took {training.seconds:g} s on "
                f"{training.model_device}, and this is {here}: --train-seconds says how long to train here"
            )
        folder.mkdir(parents=True, exist_ok=True)
        file.unlink(missing_ok=True)
        steps = BASELINES[name].train(training, folder)
        record = conditions | {"steps": steps, "machine": hardware(training.device)}
        write_json(file, record)
        _log.info("%s: %d steps in %.0f s on %s", name, steps, training.seconds, record["machine"])
    return BASELINES[name].load(training, folder), record


def hardware(device: str) -> str:
    """What trains, in words."""
    if device.startswith("cuda"):
        return gpu_name()
    about = machine()
    return f"{about['cores']} cores of {about['processor']}"
