"""Our network trained with the truth of its patches as target, which no survey has.

    python -m benchmarks.quality.oracle results/quality_decam results/quality_oracle

trains as the finished run in the first folder did, on its patches and for as many steps, and leaves a model
in the second. What it does better than that run is what noise in the targets cost, for so much work.
"""

from __future__ import annotations

import argparse
import json
import logging
from functools import partial
from pathlib import Path

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray
from torch import Tensor

from skydenoise.config import TrainSettings
from skydenoise.evaluate.truth.known import read_truth
from skydenoise.network import read_description
from skydenoise.patches import POSITIONS, PatchSet
from skydenoise.simulate import BANDS
from skydenoise.train.job import TrainJob
from skydenoise.train.loader import PatchLoader
from skydenoise.train.loop import train
from skydenoise.train.pairs import Pair, patch_seeds
from skydenoise.train.ranks import Ranks
from skydenoise.train.training import Training


class OracleTraining(Training):
    """A training whose targets are the truth, and whose inputs are the noisy patches as they are."""

    def __init__(self, job: TrainJob, ranks: Ranks, run: Path) -> None:
        super().__init__(job, ranks)
        self.truth = PatchLoader(with_truth(self.loader.patches, run, job.patches), self.noise, ranks.device)

    def pair(self, patches: NDArray[np.int64], image: Tensor, counts: Tensor, epoch: int) -> Pair:
        """Noisy patches and their truth, in a random orientation."""
        _, orientations = patch_seeds(self.job.settings.seed, epoch, patches.tolist())
        _, target, _ = next(self.truth.batches([patches]))
        return Pair(image, target, counts).oriented(orientations)


def with_truth(patches: PatchSet, run: Path, folder: Path) -> PatchSet:
    """The same patches without noise.

    run : of a simulation, with the truth of its bricks
    folder : of the patches, whose positions it holds
    """
    positions = Table.read(folder / POSITIONS, format="ascii.ecsv")
    _, invvar = patches.get(range(len(patches)))
    cut, edge = np.empty_like(invvar), invvar.shape[-1]
    for name in np.unique(positions["brick"]):
        image, _ = read_truth(run, str(name), BANDS)
        for number in np.flatnonzero(positions["brick"] == name):
            y, x = positions["y"][number], positions["x"][number]
            cut[number] = image[:, y : y + edge, x : x + edge]
    return PatchSet((cut,), (invvar,), np.asarray(positions["brick"]))


def job_like(run: Path, model: Path) -> TrainJob:
    """The training that made the model of `run`, to leave another in `model`."""
    made = read_description(run / "model/model.json")
    settings = TrainSettings(**json.loads(str(made.provenance["settings"])))
    patches, noise = run / "patches", run / "patches/noise.json"
    log, tensorboard = model / "training.csv", model / "tensorboard"
    about: dict[str, str | int | float] = {"target": "the truth"}
    softening = made.stretch.softening
    return TrainJob(patches, noise, model, log, tensorboard, made.architecture, settings, softening, about)


def main() -> None:
    parser = argparse.ArgumentParser(description="Train our network on the truth, as a run trained without.")
    parser.add_argument("run", type=Path, help="folder of a finished run on simulated bricks")
    parser.add_argument("model", type=Path, help="folder for the model")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    train(job_like(arguments.run, arguments.model), partial(OracleTraining, run=arguments.run))


if __name__ == "__main__":
    main()
