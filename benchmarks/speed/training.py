"""Training: steps as the workflow takes them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from functools import partial

import torch

from benchmarks.speed.inputs import Inputs
from benchmarks.speed.timing import Row, Run, take_turns
from skydenoise.config import Architecture, PatchSettings, TrainSettings
from skydenoise.io import read_brick
from skydenoise.io.atomic import write_json
from skydenoise.network import read_description
from skydenoise.patches import cut_patches
from skydenoise.simulate import BANDS
from skydenoise.train.job import TrainJob
from skydenoise.train.loop import LARGEST_GRADIENT, initial_state
from skydenoise.train.ranks import Ranks
from skydenoise.train.training import Training

RATE = 1e-4


def training(inputs: Inputs) -> Iterator[Row]:
    """Seconds of 1000 patches; float32 is what bfloat16 is held against, on a GPU."""
    scale = inputs.scale
    prepare(inputs, 8 * scale.batch)
    precisions = ["float32", *(["bfloat16"] if inputs.device == "cuda" else [])]
    timings = take_turns({each: (steps, (inputs, each)) for each in precisions}, scale.repetitions)
    to_1000 = 1000 / (scale.batch * scale.steps)
    for name, timing in timings.items():
        row = timing.row(f"1000 patches of {scale.patch} px", name, timings["float32"])
        yield row | {key: round(row[key] * to_1000, 2) for key in ("seconds", "cpu_seconds")}


def prepare(inputs: Inputs, count: int) -> None:
    """Cut `count` patches from the first brick, and write the noise beside them."""
    settings = PatchSettings(size=inputs.scale.patch, count=count, min_coverage=0.1)
    read = partial(read_brick, inputs.cache, bands=BANDS)
    cut_patches(list(inputs.names[:1]), read, settings, inputs.results / "patches")
    write_json(inputs.results / "noise.json", read_description(inputs.model / "model.json").noise.to_json())


def steps(inputs: Inputs, precision: str) -> Run:
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
