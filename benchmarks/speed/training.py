"""Training: patches per second against a plain loop over a DataLoader, on the same network and objective."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from skydenoise.predict.allocator import reuse_freed_memory
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from benchmarks.speed.inputs import Inputs
from benchmarks.speed.measure import Run, cores, take_turns_apart, times_slower
from skydenoise.config import Architecture, PatchSettings, TrainSettings
from skydenoise.io import read_brick
from skydenoise.io.atomic import write_json
from skydenoise.network import Network, read_description
from skydenoise.noise import NoiseModel
from skydenoise.patches import PatchSet, cut_patches
from skydenoise.simulate import BANDS
from skydenoise.stretch import Stretch
from skydenoise.train.job import TrainJob
from skydenoise.train.loop import LARGEST_GRADIENT, initial_state, train
from skydenoise.train.loss import Criterion
from skydenoise.train.pairs import Pair, recorrupted_pair
from skydenoise.train.ranks import Ranks
from skydenoise.train.training import Training

PAPER_PIXELS = 12_288 * 256**2 * 136 / (16 * 3600)
"""Pixels (of three bands) per second of the paper's training: 12,288 patches, 136 epochs, 16 hours."""


FLOAT32 = {"float32": TrainSettings(precision="float32", fuse=False)}
"""Our trainings that are timed on a CPU."""

ON_GPU = {
    "bfloat16, fused": TrainSettings(precision="bfloat16"),
    "bfloat16": TrainSettings(precision="bfloat16", fuse=False),
    "float32": TrainSettings(precision="float32", fuse=False),
}
"""Our trainings that are timed on a GPU, the default first."""


def training(
    inputs: Inputs, device: str = "cpu", trainings: dict[str, TrainSettings] = FLOAT32
) -> Iterator[dict[str, Any]]:
    """Patches per second by batch size, ours (the first of `trainings` is what others are held against) and
    the plain loop's.
    """
    prepare(inputs, 8 * max(inputs.scale.batches))
    for batch in inputs.scale.batches:
        candidates: dict[str, Any] = {
            f"skydenoise, {name}": (ours, (inputs, device, replace(settings, batch_size=batch)))
            for name, settings in trainings.items()
        }
        candidates["DataLoader loop, float32"] = (plain, (inputs, device, batch))
        timings = take_turns_apart(candidates, inputs.scale.repetitions)
        for name, timing in timings.items():
            rate = batch * inputs.scale.steps / timing.median
            yield {
                "part": f"training, batch {batch}",
                "what": name,
                "patches_per_s": round(rate, 2),
                "spread": round(timing.spread, 3),
                "mpixel_per_s": round(rate * inputs.scale.patch**2 / 1e6, 3),
                "memory_mib": round(timing.memory_mib),
                **times_slower(timing, timings[next(iter(candidates))]),
            }


def loss_curves(inputs: Inputs, trainings: dict[str, TrainSettings]) -> Iterator[dict[str, Any]]:
    """Loss of the same short training by each of `trainings`: mean over its last epoch, and on patches held
    out. With one seed all see the same patches and noise in the same order from the same weights; what
    seeds differ by is the noise that a difference between trainings has to be held against.
    """
    batch = inputs.scale.batches[0]
    prepare(inputs, 9 * batch)
    for seed, (name, settings) in itertools.product(inputs.scale.seeds, trainings.items()):
        short = replace(settings, batch_size=batch, epochs=12, validation=0.1, seed=seed)
        job = job_of(inputs, short)
        train(job)
        made = read_description(job.model / "model.json").provenance
        yield {
            "part": "loss of a short training",
            "what": f"{name}, seed {seed}",
            "steps": made["steps"],
            "loss": round(float(made["loss"]), 6),
            "held_out": round(float(made["validation"]), 6),
        }


def precisions(inputs: Inputs) -> Iterator[dict[str, Any]]:
    """Loss curves on a CPU in bfloat16, which some CPUs emulate, and in float32."""
    yield from loss_curves(inputs, {name: ON_GPU[name] for name in ("bfloat16", "float32")})


def prepare(inputs: Inputs, count: int) -> None:
    """Cut `count` patches from the first brick, and write the noise beside them."""
    patches = inputs.results / "patches"
    settings = PatchSettings(size=inputs.scale.patch, count=count, min_coverage=0.1)
    cut_patches(list(inputs.names[:1]), partial(read_brick, inputs.cache, bands=BANDS), settings, patches)
    write_json(inputs.results / "noise.json", read_description(inputs.model / "model.json").noise.to_json())


def job_of(inputs: Inputs, settings: TrainSettings) -> TrainJob:
    """A training on the patches of this benchmark."""
    paths = (inputs.results / name for name in ("patches", "noise.json", "trained", "log.csv", "tensorboard"))
    patches, noise, model, log, tensorboard = paths
    return TrainJob(patches, noise, model, log, tensorboard, Architecture(), settings, softening=10)


def ours(inputs: Inputs, device: str, settings: TrainSettings) -> Run:
    """Steps as `train.loop` takes them, without its log and checkpoints."""
    reuse_freed_memory()
    job = job_of(inputs, replace(settings, epochs=10**6, validation=0))
    ranks = Ranks(0, 1, torch.device(device))
    training, state = Training(job, ranks), initial_state(job, ranks)
    loss_of, coming = training.loss_of(state.network), training.batches(0)

    def run() -> None:
        for patches, image, sigma in itertools.islice(coming, inputs.scale.steps):
            loss = loss_of(training.pair(patches, image, sigma, 0))
            state.optimizer.zero_grad()
            loss.backward()
            norm = torch.nn.utils.clip_grad_norm_(state.network.parameters(), LARGEST_GRADIENT)
            torch.stack([loss.detach(), norm]).tolist()
            state.update(1e-4, job.settings.ema_decay)

    return run


class Recorrupted(Dataset[tuple[Tensor, Tensor, Tensor]]):
    """Input, target and sigma of each patch, made in the worker."""

    def __init__(self, folder: Path, noise: NoiseModel) -> None:
        self.patches, self.noise = PatchSet.open(folder), noise

    def __len__(self) -> int:
        return len(self.patches)

    def __getitem__(self, number: int) -> tuple[Tensor, Tensor, Tensor]:
        image, invvar = self.patches.get([number])
        sigma = self.noise.sigma(invvar)
        unit = self.noise.draw(image.shape, np.random.default_rng())
        pixels, rms, drawn = (torch.from_numpy(each[0]) for each in (image, sigma, unit))
        pair = recorrupted_pair(pixels, rms, drawn, 0.5)
        return pair.source, pair.target, pair.sigma


def plain(inputs: Inputs, device: str, batch: int) -> Run:
    """A loop as one writes it: DataLoader with workers, float32, AdamW."""
    noise = read_description(inputs.model / "model.json").noise
    stretch = Stretch(tuple(10 * sigma for sigma in noise.sigma_sky))
    data = Recorrupted(inputs.results / "patches", noise)
    workers = min(cores(), 8)
    loader = DataLoader(
        data, batch, shuffle=True, num_workers=workers, drop_last=True, persistent_workers=True,
        pin_memory=device != "cpu", multiprocessing_context="spawn",
    )  # fmt: skip
    network = Network(Architecture()).to(device)
    optimizer, criterion = torch.optim.AdamW(network.parameters(), lr=1e-4), Criterion("flux", stretch, 10)

    def endless() -> Iterator[list[Tensor]]:
        while True:
            yield from loader

    coming = endless()

    def run() -> None:
        for tensors in itertools.islice(coming, inputs.scale.steps):
            pair = Pair(*(tensor.to(device) for tensor in tensors))
            loss = criterion(network(stretch.forward(pair.source)), pair)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            float(loss.detach())

    return run
