"""What the learned baselines of a test sky learn from: the patches of our own training, in its time."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import yaml

from benchmarks.quality.sky import simulated_bricks
from experiments.wang2021.baseline_training import (
    BaselineTraining,
    batch_of,
    model_device,
    usable_device,
)
from skydenoise.config import PatchSettings
from skydenoise.evaluate.pixels import SOFTENING
from skydenoise.io import read_brick
from skydenoise.network.folder import ModelDescription
from skydenoise.patches import POSITIONS, PatchSet, cut_patches
from skydenoise.simulate import BANDS, SimulationSettings
from skydenoise.stretch import Stretch
from skydenoise.survey.bricks_table import read_bricks_table

CONFIGS = Path(__file__).parent


def training_patches(config: Path, results: Path, cache: Path) -> PatchSet:
    """The patches of a finished training run, or the same cut anew from the same simulated bricks.

    config : the run's workflow configuration, such as decam.yaml
    results : the run's results folder; used if it holds patches
    cache : folder for bricks and patches otherwise
    """
    if (results / "patches" / POSITIONS).exists():
        return PatchSet.open(results / "patches")
    content = yaml.safe_load(config.read_text(encoding="utf-8"))
    folder = cache / f"patches-{content['run']}"
    if not (folder / POSITIONS).exists():
        settings = SimulationSettings(**content["simulation"])
        raw, _ = simulated_bricks(settings, cache)
        rows = read_bricks_table(CONFIGS / Path(content["bricks"]).name)
        names = [row.brick for row in rows if row.train]
        cut_patches(names, partial(read_brick, raw, bands=BANDS), PatchSettings(**content["patches"]), folder)
    return PatchSet.open(folder)


def sky_lesson(
    patches: PatchSet, model: ModelDescription, seconds: float | None, seed: int, device: str = "auto"
) -> BaselineTraining:
    """Training beside a model of ours: its batches, its time unless given, u = asinh(x / 3 sigma_sky)."""
    time = float(model.provenance["seconds"]) if seconds is None else seconds
    return BaselineTraining(
        patches,
        model.noise,
        Stretch(SOFTENING),
        time,
        seed,
        usable_device(device),
        model_device(model) if seconds is None else "",
        batch_of(model),
    )
