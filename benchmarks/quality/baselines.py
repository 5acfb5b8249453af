"""Learned baselines beside a model of ours: trained once on its patches, kept in a folder, taken from there.

Who has a GPU trains them there, `python -m benchmarks.quality --train-only`, and measures elsewhere.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from benchmarks.machine import gpu_name, machine
from benchmarks.quality.sky import CACHE, SEEDS, simulated_bricks
from experiments.wang2021.baseline_training import BaselineTraining, batch_of, model_device, usable_device
from experiments.wang2021.baselines import BASELINES
from skydenoise.config import PatchSettings
from skydenoise.evaluate.images import Method
from skydenoise.evaluate.truth.pixels import SOFTENING
from skydenoise.io import read_brick
from skydenoise.io.atomic import write_json
from skydenoise.network.device import device_name
from skydenoise.network.folder import DESCRIPTION, read_description
from skydenoise.patches import POSITIONS, PatchSet, cut_patches
from skydenoise.simulate import BANDS, SimulationSettings
from skydenoise.stretch import Stretch
from skydenoise.survey.bricks_table import read_bricks_table

_log = logging.getLogger(__name__)

CONFIGS = Path(__file__).parent
RECORD = "trained.json"


@dataclass(frozen=True)
class BaselineRun:
    """Where and how the baselines of a test sky are trained.

    noise : of the sky
    results : folder of the run beside which they learn: they see its patches (cut anew if it has none), and
        are kept in its folder "baselines"
    model : folder of the model that the run made
    seconds : of each training; None: as long as the model took
    device : auto, cpu, cuda
    """

    noise: str
    results: Path
    model: Path
    seconds: float | None = None
    device: str = "auto"

    def patches(self) -> PatchSet:
        """The patches of the run, or the same cut anew from the same simulated bricks."""
        if (self.results / "patches" / POSITIONS).exists():
            return PatchSet.open(self.results / "patches")
        content = yaml.safe_load((CONFIGS / f"{self.noise}.yaml").read_text(encoding="utf-8"))
        folder = CACHE / f"patches-{content['run']}"
        if not (folder / POSITIONS).exists():
            raw, _ = simulated_bricks(SimulationSettings(**content["simulation"]), CACHE)
            rows = read_bricks_table(CONFIGS / Path(content["bricks"]).name)
            read = partial(read_brick, raw, bands=BANDS)
            settings = PatchSettings(**content["patches"])
            cut_patches([row.brick for row in rows if row.train], read, settings, folder)
        return PatchSet.open(folder)

    def training(self) -> BaselineTraining:
        """Beside the model: its batches, its time unless given; u = asinh(x / 3 sigma_sky)."""
        model = read_description(self.model / DESCRIPTION)
        return BaselineTraining(
            self.patches(),
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
