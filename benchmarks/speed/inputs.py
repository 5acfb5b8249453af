"""Bricks of any size, and a model with random weights: for speed neither has to be good."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from benchmarks.speed.scales import Scale
from skydenoise.brick import Brick, read_brick
from skydenoise.brick.rawbrick import write_raw
from skydenoise.layout import raw_file
from skydenoise.model import ModelDescription, Network, save_model
from skydenoise.noise import NoiseModel, measure_noise
from skydenoise.settings import Architecture, OutputSettings, PredictSettings
from skydenoise.simulate import BANDS, SimulationSettings, brick_names
from skydenoise.simulate.survey import simulate_brick
from skydenoise.stretch import Stretch

CELL = 400
"""Edge of the simulated image that larger ones are tiled with."""


@dataclass(frozen=True)
class Inputs:
    """Where bricks and model lie; plain paths, so that processes can be handed it.

    cache, model, results : folders
    names : of the bricks
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
    write_random_model(inputs.model, measure_noise([cell]))
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


def write_random_model(folder: Path, noise: NoiseModel) -> None:
    """The default architecture; its heads are small, so that it shrinks noise as a trained one does."""
    architecture = Architecture()
    torch.manual_seed(0)
    network = Network(architecture)
    for head in network.heads:
        for weights in head.parameters():
            torch.nn.init.normal_(weights, std=0.01)
    stretch = Stretch(tuple(10 * sigma for sigma in noise.sigma_sky))
    save_model(folder, network, ModelDescription(architecture, BANDS, stretch, noise))
