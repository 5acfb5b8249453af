"""The experiments on frames by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from experiments.wang2021 import (
    bottleneck_report,
    glyphs,
    glyphs_report,
    lattice,
    patch_size_report,
    stem,
    tribolium,
    tribolium_report,
)
from experiments.wang2021.frames import Data
from experiments.wang2021.outcome import Outcome


@dataclass(frozen=True)
class Experiment:
    """The two functions of an experiment; patches, trainings and denoising between them are the workflow's.

    simulate : (settings, generator) -> Data; makes the frames, all randomness from the generator; raises
        StepError if a file of the user's cannot be read
    report : (outcome, folder) -> None; writes measures.ecsv, summary.txt and, for each figure of the plan,
        figure-<name>.png to the folder
    """

    simulate: Callable[[Any, np.random.Generator], Data]
    report: Callable[[Outcome, Path], None]


EXPERIMENTS = {
    "glyphs": Experiment(glyphs.simulate, glyphs_report.report),
    "bottleneck": Experiment(stem.simulate, bottleneck_report.report),
    "patch_size": Experiment(lattice.simulate, patch_size_report.report),
    "tribolium": Experiment(tribolium.simulate, tribolium_report.report),
}
