"""Training by several ranks, started as a job starts them."""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch

from benchmarks.speed.inputs import Inputs
from benchmarks.speed.measure import cores
from benchmarks.speed.training import job_of, prepare
from skydenoise.config import TrainSettings
from skydenoise.train.job import TrainJob

EPOCHS, EPOCH_STEPS = 4, 8
"""The first epoch is not timed."""


def ranks(inputs: Inputs, device: str = "cpu") -> Iterator[dict[str, Any]]:
    """Patches per second of the same training against the number of ranks, which take turns.

    Each rank has one core, on a GPU one card; numbers that the machine has not enough of are left out. As
    many trainings side by side, with batches of a rank's share, show what the machine itself allows.
    """
    available = torch.cuda.device_count() if device == "cuda" else cores()
    numbers = [number for number in inputs.scale.ranks if number <= available]
    if not numbers:
        return
    batch = inputs.scale.batches[0]
    prepare(inputs, EPOCH_STEPS * batch)
    job = job_of(inputs, TrainSettings(batch_size=batch, epochs=EPOCHS, validation=0))
    candidates: dict[str, Callable[[], float]] = {
        f"{number} ranks": partial(together, job, number, device) for number in numbers
    }
    for number in numbers:
        if number > 1:
            candidates[f"{number} trainings side by side"] = partial(apart, job, number, device)
    rates: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(inputs.scale.repetitions):
        for name, rate in candidates.items():
            rates[name].append(rate())
    for name, measured in rates.items():
        times = np.divide(measured, rates[f"{numbers[0]} ranks"])
        yield {
            "part": f"training by ranks, batch {batch}",
            "what": name,
            "patches_per_s": round(float(np.median(measured)), 2),
            "times": round(float(np.median(times)), 3),
            "times_low": round(float(times.min()), 3),
            "times_high": round(float(times.max()), 3),
        }


def together(job: TrainJob, number: int, device: str) -> float:
    """Patches per second of a training by `number` ranks."""
    return patches_per_second(job, visible_cards(device)[:number], number, number)


def apart(job: TrainJob, number: int, device: str) -> float:
    """Patches per second of `number` trainings of one rank each, at the same time, added up.

    Each has the share of the batch that a rank would have; they know nothing of each other.
    """
    share = replace(job.settings, batch_size=job.settings.batch_size // number)
    cards = visible_cards(device)

    def one(index: int) -> float:
        paths = job.model, job.log, job.tensorboard
        model, log, tensorboard = (path.with_name(f"{index}-{path.name}") for path in paths)
        own = replace(job, model=model, log=log, tensorboard=tensorboard, settings=share)
        return patches_per_second(own, cards[index : index + 1], 1, number)

    with ThreadPoolExecutor(number) as pool:
        return sum(pool.map(one, range(number)))


def patches_per_second(job: TrainJob, cards: list[str], number: int, processes: int) -> float:
    """Of a whole training by `number` ranks, after its first epoch, checkpoints and log included.

    cards : that it may use; none stands for the CPU
    processes : that share the machine's cores with it, its own ranks included
    """
    shutil.rmtree(job.model, ignore_errors=True)
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={number}"]
    training = ["-m", "skydenoise.train", job.to_json(), str(job.log.with_suffix(".txt"))]
    command = [sys.executable, *launcher, *training]
    threads = max(1, cores() // processes) if cards else 1
    environment = os.environ | {"OMP_NUM_THREADS": str(threads), "CUDA_VISIBLE_DEVICES": ",".join(cards)}
    subprocess.run(command, env=environment, check=True, capture_output=True)
    with job.log.open(newline="") as log:
        first, *_, last = csv.DictReader(log)
    steps = int(last["step"]) - int(first["step"])
    return job.settings.batch_size * steps / (float(last["seconds"]) - float(first["seconds"]))


def visible_cards(device: str) -> list[str]:
    """Numbers of the cards that this process may use; none if it works on a CPU."""
    if device == "cpu":
        return []
    given = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    return given.split(",") if given else [str(number) for number in range(torch.cuda.device_count())]
