"""Bricks of any size, and the reference model: how much is recovered, and how fast, depends on both."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.speed.scales import Scale
from skydenoise.config import OutputSettings, PredictSettings
from skydenoise.io import Brick, read_brick
from skydenoise.io.atomic import write_json
from skydenoise.io.rawbrick import write_raw
from skydenoise.paths import raw_file
from skydenoise.predict import load_denoiser
from skydenoise.predict.denoise import UNCERTAINTY_FILE
from skydenoise.simulate import BANDS, SimulationSettings, brick_names
from skydenoise.simulate.survey import simulate_brick

REFERENCE = Path(__file__).parents[2] / "models/decam"

CELL = 400
"""Edge of the simulated image that larger ones are tiled with."""


@dataclass(frozen=True)
class Inputs:
    """Where bricks and model lie; plain paths, so that processes can be handed it.

    cache, model, results : folders
    names : of the bricks, which are copies of one
    scale : sizes
    """

    cache: Path
    model: Path
    results: Path
    names: tuple[str, ...]
    scale: Scale

    @property
    def settings(self) -> PredictSettings:
        """Of the prediction."""
        return PredictSettings(tile=self.scale.tile, overlap=self.scale.overlap)

    def brick(self) -> Brick:
        """The first brick."""
        return read_brick(self.cache, self.names[0], BANDS)


def make_inputs(folder: Path, scale: Scale) -> Inputs:
    """Write as many fpacked bricks as `scale` has use for, and a model, to `folder`."""
    cell = simulated_cell(folder / "simulation")
    names = tuple(f"{1410 + number}m032" for number in range(max(scale.chunks)))
    inputs = Inputs(folder / "cache", folder / "model", folder / "results", names, scale)
    first, *others = names
    write_raw(inputs.cache, replace(enlarged(cell, scale.edge), name=first), OutputSettings())
    for name in others:
        copy_brick(inputs.cache, first, name)
    copy_reference_model(inputs.model, inputs.settings)
    return inputs


def simulated_cell(folder: Path) -> Brick:
    """A small simulated brick with stars, galaxies and correlated noise."""
    settings = SimulationSettings(size=CELL, bricks=1, missing=0)
    name = brick_names(settings)[0]
    simulate_brick(name, settings, folder / "mirror", folder)
    return read_brick(folder / "mirror" / settings.release / settings.region / "coadd", name, BANDS)


def enlarged(cell: Brick, edge: int) -> Brick:
    """`cell` mirrored at its borders again and again, up to `edge` pixels."""

    def tiled(array: np.ndarray) -> np.ndarray:
        more = max(0, edge - array.shape[-1])
        return np.pad(array, ((0, 0), (0, more), (0, more)), mode="symmetric")[:, :edge, :edge]

    return replace(cell, image=tiled(cell.image), invvar=tiled(cell.invvar), masked=tiled(cell.masked))


def copy_brick(cache: Path, name: str, copy: str) -> None:
    """The same files under another name."""
    files = [raw_file(cache, name, kind, band) for kind in ("image", "invvar") for band in BANDS]
    for file in [*files, raw_file(cache, name, "maskbits")]:
        if file.exists():
            to = cache / copy[:3] / copy / file.name.replace(name, copy)
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, to)


def copy_reference_model(folder: Path, settings: PredictSettings) -> None:
    """`models/decam`; its uncertainty is taken as if measured for these settings: it is as fast to apply."""
    folder.mkdir(parents=True)
    for name in ("model.safetensors", "model.json"):
        shutil.copyfile(REFERENCE / name, folder / name)
    measured = json.loads((REFERENCE / UNCERTAINTY_FILE).read_text(encoding="utf-8"))
    conditions = load_denoiser(folder, settings, "cpu").conditions
    write_json(folder / UNCERTAINTY_FILE, measured | {"conditions": conditions})
