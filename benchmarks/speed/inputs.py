"""Bricks of any size, and the reference model: how much is recovered, and how fast, depends on both."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from benchmarks.machine import REPOSITORY
from skydenoise.config import OutputSettings, PredictSettings
from skydenoise.io import Brick, read_brick
from skydenoise.io.atomic import write_json
from skydenoise.io.rawbrick import write_raw
from skydenoise.network.folder import DESCRIPTION, WEIGHTS
from skydenoise.predict import load_denoiser
from skydenoise.predict.calibrate import calibrate
from skydenoise.predict.denoiser import UNCERTAINTY_FILE
from skydenoise.simulate import BANDS, SimulationSettings, brick_names
from skydenoise.simulate.survey import simulate_brick

REFERENCE = REPOSITORY / "models/reference"
CELL = 400
"""Edge of the simulated image that larger ones are tiled with."""


@dataclass(frozen=True)
class Scale:
    """How large the benchmark is.

    edge : pixels along a brick's edge
    bricks : numbers of bricks in one job
    repetitions : of each candidate, taken in turn
    peer_batches : tiles at a time, for MONAI and CAREamics
    batch, steps : patches in a step of the training, and timed steps
    patch : their edge, pixels
    settings : of the prediction
    """

    edge: int
    bricks: tuple[int, ...]
    repetitions: int
    peer_batches: tuple[int, ...]
    batch: int
    steps: int
    patch: int = 128
    settings: PredictSettings = field(default_factory=PredictSettings)

    def repeated(self, repetitions: int | None) -> Scale:
        """The same with so many repetitions, if any number is given."""
        return replace(self, repetitions=repetitions or self.repetitions)


FULL = Scale(3600, (1, 4), 5, (1, 4), 16, 10)
FULL_ON_GPU = Scale(3600, (1, 32), 5, (4, 16), 64, 40)
QUICK = Scale(900, (1, 2), 2, (2,), 8, 2)


@dataclass(frozen=True)
class Inputs:
    """Where bricks and model lie; plain values, so that processes can be handed it.

    cache, model, results : folders
    names : of the bricks, which are copies of one
    scale : sizes
    device : cpu or cuda
    """

    cache: Path
    model: Path
    results: Path
    names: tuple[str, ...]
    scale: Scale
    device: str

    def brick(self) -> Brick:
        """The first brick."""
        return read_brick(self.cache, self.names[0], BANDS)


def make_inputs(folder: Path, scale: Scale, device: str = "cpu") -> Inputs:
    """Write as many fpacked bricks as `scale` has use for, and a model, to `folder`."""
    cell = simulated_cell(folder / "simulation")
    names = tuple(f"{1410 + number}m032" for number in range(max(scale.bricks)))
    inputs = Inputs(folder / "cache", folder / "model", folder / "results", names, scale, device)
    large = enlarged(cell, scale.edge)
    for name in names:
        write_raw(inputs.cache, replace(large, name=name), OutputSettings())
    copy_reference_model(inputs.model, cell, scale.settings)
    return inputs


def simulated_cell(folder: Path) -> Brick:
    """A small simulated brick with stars, galaxies and correlated noise."""
    settings = SimulationSettings(size=CELL, bricks=1, missing=0)
    name = brick_names(settings)[0]
    simulate_brick(name, settings, folder / "mirror", folder)
    return read_brick(folder / "mirror" / settings.release / settings.region / "coadd", name, BANDS)


def enlarged(cell: Brick, edge: int) -> Brick:
    """`cell` mirrored at its borders over and over, up to `edge` pixels."""

    def tiled(array: np.ndarray) -> np.ndarray:
        more = max(0, edge - array.shape[-1])
        return np.pad(array, ((0, 0), (0, more), (0, more)), mode="symmetric")[:, :edge, :edge]

    return replace(cell, image=tiled(cell.image), invvar=tiled(cell.invvar), masked=tiled(cell.masked))


def copy_reference_model(folder: Path, cell: Brick, settings: PredictSettings) -> None:
    """The reference model, with an uncertainty from one small cutout: it is as fast to apply as any."""
    folder.mkdir(parents=True)
    for name in (WEIGHTS, DESCRIPTION):
        shutil.copyfile(REFERENCE / name, folder / name)
    denoiser = load_denoiser(folder, settings, "cpu")
    uncertainty = calibrate([cell], denoiser, np.random.default_rng(1), per_brick=1, size=settings.tile)
    write_json(folder / UNCERTAINTY_FILE, uncertainty.to_json())
