"""Learned baselines: Noise2Self and Noise2Void, each trained into a folder and taken up from there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from experiments.wang2021 import noise2self, noise2void
from experiments.wang2021.baseline_training import BaselineTraining
from skydenoise.evaluate.images import Method


@dataclass(frozen=True)
class Baseline:
    """How a baseline is trained and taken up again.

    train : writes what it learnt to a folder, returns the number of its steps; raises ImportError if its
        package is not installed
    load : the method that such a folder holds
    """

    train: Callable[[BaselineTraining, Path], int]
    load: Callable[[BaselineTraining, Path], Method]


BASELINES = {
    "Noise2Void": Baseline(noise2void.train, noise2void.load),
    "Noise2Self": Baseline(noise2self.train, noise2self.load),
}
