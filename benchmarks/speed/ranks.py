"""Training by several ranks, started as a job starts them."""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.speed.inputs import Inputs
from benchmarks.speed.measure import cores
from benchmarks.speed.training import job_of, prepare
from skydenoise.settings import TrainSettings
from skydenoise.train.job import TrainJob

SCRIPT = Path(__file__).parents[2] / "workflow/scripts/train.py"

EPOCHS, EPOCH_STEPS = 4, 8
"""The first epoch is not timed."""


def ranks(inputs: Inputs, device: str = "cpu") -> Iterator[dict[str, Any]]:
    """Patches per second of the same training against the number of ranks, which take turns.

    Each rank has one core, on a GPU one card; numbers that the machine has not enough of are left out.
    """
    available = torch.cuda.device_count() if device == "cuda" else cores()
    numbers = [number for number in inputs.scale.ranks if number <= available]
    if not numbers:
        return
    batch = inputs.scale.batches[0]
    prepare(inputs, EPOCH_STEPS * batch)
    settings = TrainSettings(batch_size=batch, epochs=EPOCHS, validation=0)
    rates: dict[int, list[float]] = {number: [] for number in numbers}
    for _ in range(inputs.scale.repetitions):
        for number in numbers:
            rates[number].append(batch * steps_per_second(job_of(inputs, settings), number, device))
    for number, measured in rates.items():
        times = np.divide(measured, rates[numbers[0]])
        yield {
            "part": f"training by ranks, batch {batch}",
            "what": f"{number} ranks",
            "patches_per_s": round(float(np.median(measured)), 2),
            "times": round(float(np.median(times)), 3),
            "times_low": round(float(times.min()), 3),
            "times_high": round(float(times.max()), 3),
        }


def steps_per_second(job: TrainJob, number: int, device: str) -> float:
    """Of a whole training by so many ranks, after its first epoch, checkpoints and log included."""
    shutil.rmtree(job.model, ignore_errors=True)
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={number}"]
    command = [sys.executable, *launcher, str(SCRIPT), job.to_json(), str(job.log.with_suffix(".txt"))]
    threads = 1 if device == "cpu" else max(1, cores() // number)
    environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
    if device == "cpu":
        environment["CUDA_VISIBLE_DEVICES"] = ""
    subprocess.run(command, env=environment, check=True, capture_output=True)
    with job.log.open(newline="") as log:
        first, *_, last = csv.DictReader(log)
    return (int(last["step"]) - int(first["step"])) / (float(last["seconds"]) - float(first["seconds"]))
