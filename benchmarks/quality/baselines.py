"""Learned baselines beside a model of ours: trained once on its patches, and kept in a folder."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.machine import cores, machine
from benchmarks.quality.sky import SEEDS
from experiments.wang2021.baseline_training import BaselineTraining, batch_of, model_device, usable_device
from experiments.wang2021.baselines import BASELINES
from skydenoise.evaluate.images import Method
from skydenoise.evaluate.truth.pixels import SOFTENING
from skydenoise.io.atomic import write_json
from skydenoise.network.device import device_name
from skydenoise.network.folder import DESCRIPTION, read_description
from skydenoise.patches import POSITIONS, PatchSet
from skydenoise.stretch import Stretch

_log = logging.getLogger(__name__)

RECORD = "trained.json"


@dataclass(frozen=True)
class BaselineRun:
    """Where and how the baselines of a test sky are trained.

    noise : of the sky
    results : folder of the run beside which they learn: they see its patches, and are kept in its folder
        "baselines"
    model : folder of the model that the run made
    seconds : of each training; None: as long as the model took
    device : auto, cpu, cuda
    """

    noise: str
    results: Path
    model: Path
    seconds: float | None = None
    device: str = "auto"

    def has_patches(self) -> bool:
        """Whether the run has left its patches."""
        return (self.results / "patches" / POSITIONS).exists()

    def training(self) -> BaselineTraining:
        """Beside the model: its batches, its time unless given; u = asinh(x / 3 sigma_sky)."""
        model = read_description(self.model / DESCRIPTION)
        return BaselineTraining(
            PatchSet.open(self.results / "patches"),
            model.noise,
            Stretch(SOFTENING),
            float(model.provenance["seconds"]) if self.seconds is None else self.seconds,
            SEEDS[self.noise],
            usable_device(self.device),
            model_device(model) if self.seconds is None else "",
            batch_of(model),
        )


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
        where = here if here != "CPU" else f"{cores()} cores of {machine()['processor']}"
        record = conditions | {"steps": steps, "machine": where}
        write_json(file, record)
        _log.info("%s: %d steps in %.0f s on %s", name, steps, training.seconds, record["machine"])
    return BASELINES[name].load(training, folder), record
