"""Train a network on what a larger one makes of the same noisy patches, as models/reference was.

    python -m benchmarks.quality.distil results/quality_pupil models/large results/quality_taught

takes patches and noise of the run in the first folder, and leaves a model in the last. No truth is used: the
teacher learnt from noisy pixels alone. Its images are nearly free of noise, so a pupil learns from them in a
tenth of the steps. As a patch and its image are turned together, it learns the mean of what the teacher makes
of all orientations, which errs by 2 % less than one.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from skydenoise.config import Architecture, TrainSettings
from skydenoise.io.digest import file_digest
from skydenoise.network import for_inference, load_model
from skydenoise.patches import POSITIONS
from skydenoise.train.job import TrainJob
from skydenoise.train.loop import train
from skydenoise.train.pairs import Pair, patch_seeds, random_bands
from skydenoise.train.ranks import Ranks
from skydenoise.train.training import Training

FAINT = 3.0
"""Signal, in units of the noise, above which errors count relative to it, as in the benchmark's error."""
DRAWS = 2
"""Of the noise that is added to each patch; the teacher makes an image of each once."""


class DistilledTraining(Training):
    """A training whose inputs are noisy patches as in a prediction, and whose targets are a teacher's images.

    teacher : model folder
    folder : of images that teachers have made before

    Attributes
    ----------
    images : (draw, patch, band, y, x) float16, stretched; NaN where the teacher was not asked yet
    """

    def __init__(self, job: TrainJob, ranks: Ranks, teacher: Path, folder: Path) -> None:
        super().__init__(job, ranks)
        network, description = load_model(teacher, str(ranks.device))
        if description.stretch != self.stretch:
            raise ValueError(f"{teacher} has softening {description.stretch.softening}")
        self.teacher = for_inference(network)
        settings = job.settings
        seen = (settings.seed, settings.extra_noise, settings.extra_width, settings.band_dropout)
        about = [description.sha256, file_digest(job.patches / POSITIONS), file_digest(job.noise), seen]
        images = folder / f"taught-{hashlib.sha256(json.dumps(about).encode()).hexdigest()[:12]}.npy"
        if not images.exists():
            shape = (DRAWS, len(self.loader.patches), *self.loader.patches.shape)
            folder.mkdir(parents=True, exist_ok=True)
            np.lib.format.open_memmap(images, "w+", np.float16, shape)[:] = np.nan
        self.images = np.load(images, mmap_mode="r+")

    def pair(self, patches: NDArray[np.int64], image: Tensor, counts: Tensor, epoch: int) -> Pair:
        """Patches with noise of the family, some without some of their bands, and the teacher's images."""
        draw = epoch % DRAWS
        seeds, _ = patch_seeds(self.job.settings.seed, draw, patches.tolist())
        noise = self.noise_source.draw(seeds)
        source = (image + noise.strength * counts * noise.extra) / (1 + noise.strength.square()).sqrt()
        kept = torch.from_numpy(random_bands(seeds, image.shape[1], self.job.settings.band_dropout))
        kept = kept[..., None, None].to(image.device)
        u = self.stretch.forward(source * kept)
        unknown = np.isnan(self.images[draw, patches, 0, 0, 0])
        if unknown.any():
            with torch.inference_mode():
                self.images[draw, patches[unknown]] = self.teacher(u[unknown])[0].cpu().numpy()
        taught = torch.from_numpy(self.images[draw, patches]).to(u)
        _, orientations = patch_seeds(self.job.settings.seed, epoch, patches.tolist())
        return Pair(u, taught, counts * kept).oriented(orientations)

    def loss(self, network: Callable[[Tensor], tuple[Tensor, ...]], pair: Pair) -> Tensor:
        """Mean square of the difference in flux, over FAINT**2 + flux**2 of the teacher's image; ()."""
        finest, *coarser = network(pair.source)
        flux, taught = self.stretch.inverse(finest), self.stretch.inverse(pair.target)
        square = (flux - taught).square() / (FAINT**2 + taught.square())
        unused = sum(0 * output.sum() for output in coarser)  # a checkpoint holds what had a gradient
        return (pair.counts * square).sum() / pair.counts.sum() + unused


def distil(
    run: Path,
    teacher: Path,
    model: Path,
    architecture: Architecture,
    settings: TrainSettings,
    training: type[DistilledTraining] = DistilledTraining,
) -> None:
    """Train a network on the patches of `run`, and leave it in `model`."""
    _, description = load_model(teacher)
    about: dict[str, str | int | float] = {"teacher": description.sha256}
    paths = (
        run / "patches",
        run / "patches/noise.json",
        model,
        model / "training.csv",
        model / "tensorboard",
    )
    job = TrainJob(*paths, architecture, settings, description.stretch.softening, about)
    train(job, partial(training, teacher=teacher, folder=run / "taught"))


def main() -> None:
    parser = argparse.ArgumentParser(description="Train a small network on the images of a large one.")
    parser.add_argument("run", type=Path, help="folder of a run that has patches")
    parser.add_argument("teacher", type=Path, help="model folder")
    parser.add_argument("model", type=Path, help="folder for the model")
    parser.add_argument("--epochs", type=int, default=14)
    parser.add_argument("--initial", default="", help="folder of a model to go on from, without a warmup")
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    settings = TrainSettings(
        epochs=arguments.epochs,
        validation=0.02,
        initial=arguments.initial,
        learning_rate=arguments.learning_rate,
        warmup=0 if arguments.initial else 0.05,
    )
    distil(arguments.run, arguments.teacher, arguments.model, Architecture(), settings)


if __name__ == "__main__":
    main()
