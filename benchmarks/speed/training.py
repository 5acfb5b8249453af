"""Training: steps as the workflow takes them, and a plain loop over a DataLoader with the same objective."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from benchmarks.machine import cores
from benchmarks.speed.inputs import Inputs
from benchmarks.speed.timing import Row, Run, take_turns
from skydenoise.config import Architecture, PatchSettings, TrainSettings
from skydenoise.io import read_brick
from skydenoise.io.atomic import write_json
from skydenoise.network import Network, read_description
from skydenoise.noise import NoiseModel
from skydenoise.patches import PatchSet, cut_patches
from skydenoise.simulate import BANDS
from skydenoise.stretch import Stretch
from skydenoise.train.job import TrainJob
from skydenoise.train.loop import LARGEST_GRADIENT, initial_state
from skydenoise.train.loss import Criterion
from skydenoise.train.pairs import Pair
from skydenoise.train.ranks import Ranks
from skydenoise.train.training import Training

RATE = 1e-4


def training(inputs: Inputs) -> Iterator[Row]:
    """Seconds of 1000 patches; ours in float32 is what the others are held against."""
    scale = inputs.scale
    prepare(inputs, 8 * scale.batch)
    candidates = {
        f"skydenoise, {precision}": (ours, (inputs, precision))
        for precision in ("float32", *(["bfloat16"] if inputs.device == "cuda" else []))
    }
    timings = take_turns(
        {**candidates, "DataLoader loop, float32": (plain_loop, (inputs,))}, scale.repetitions
    )
    to_1000 = 1000 / (scale.batch * scale.steps)
    for name, timing in timings.items():
        row = timing.row(f"1000 patches of {scale.patch} px", name, timings["skydenoise, float32"])
        yield row | {key: round(row[key] * to_1000, 2) for key in ("seconds", "cpu_seconds")}


def prepare(inputs: Inputs, count: int) -> None:
    """Cut `count` patches from the first brick, and write the noise beside them."""
    settings = PatchSettings(size=inputs.scale.patch, count=count, min_coverage=0.1)
    read = partial(read_brick, inputs.cache, bands=BANDS)
    cut_patches(list(inputs.names[:1]), read, settings, inputs.results / "patches")
    write_json(inputs.results / "noise.json", read_description(inputs.model / "model.json").noise.to_json())


def ours(inputs: Inputs, precision: str) -> Run:
    """Steps as `train.loop` takes them, without its log and checkpoints."""
    paths = (inputs.results / name for name in ("patches", "noise.json", "trained", "log.csv", "tensorboard"))
    settings = TrainSettings(precision=precision, batch_size=inputs.scale.batch, epochs=10**6, validation=0)
    job, ranks = (
        TrainJob(*paths, Architecture(), settings, softening=10),
        Ranks(0, 1, torch.device(inputs.device)),
    )
    training, state = Training(job, ranks), initial_state(job, ranks)
    loss_of, coming = training.loss_of(state.network), training.batches(0)

    def run() -> None:
        for patches, image, counts in itertools.islice(coming, inputs.scale.steps):
            loss = loss_of(training.pair(patches, image, counts, 0))
            state.optimizer.zero_grad()
            loss.backward()
            norm = torch.nn.utils.clip_grad_norm_(state.network.parameters(), LARGEST_GRADIENT)
            torch.stack([loss.detach(), norm]).tolist()
            state.update(RATE, settings.ema_decay)

    return run


class Recorrupted(Dataset[tuple[Tensor, Tensor, Tensor]]):
    """Input, target and counts of each patch, made in the worker."""

    def __init__(self, folder: Path, noise: NoiseModel) -> None:
        self.patches, self.noise = PatchSet.open(folder), noise

    def __len__(self) -> int:
        return len(self.patches)

    def __getitem__(self, number: int) -> tuple[Tensor, Tensor, Tensor]:
        image, invvar = self.patches.get([number])
        sigma = self.noise.sigma(invvar)
        noise = self.noise.draw(image.shape, np.random.default_rng())
        pixels = np.divide(image, sigma, out=np.zeros_like(image), where=sigma > 0)
        arrays = pixels + noise / 2, pixels - 2 * noise, (sigma > 0).astype(np.float32)
        source, target, counts = (torch.from_numpy(each[0]) for each in arrays)
        return source, target, counts


def plain_loop(inputs: Inputs) -> Run:
    """A loop as one writes it: DataLoader with workers, float32, AdamW."""
    stretch = Stretch(10)
    data = Recorrupted(inputs.results / "patches", NoiseModel.read(inputs.results / "noise.json"))
    loader = DataLoader(
        data, inputs.scale.batch, shuffle=True, num_workers=min(cores(), 8), drop_last=True,
        persistent_workers=True, pin_memory=inputs.device != "cpu", multiprocessing_context="spawn",
    )  # fmt: skip
    network = Network(Architecture()).to(inputs.device)
    optimizer, criterion = torch.optim.AdamW(network.parameters(), lr=RATE), Criterion("flux", stretch)

    def endless() -> Iterator[list[Tensor]]:
        while True:
            yield from loader

    coming = endless()

    def run() -> None:
        for tensors in itertools.islice(coming, inputs.scale.steps):
            pair = Pair(*(tensor.to(inputs.device) for tensor in tensors))
            loss = criterion(network(stretch.forward(pair.source)), pair)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            float(loss.detach())

    return run
