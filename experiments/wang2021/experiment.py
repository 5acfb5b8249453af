"""The contract between an experiment of the paper and the workflow that runs it.

An experiment is two functions, listed in `catalogue.EXPERIMENTS`:

    def simulate(settings: GlyphSettings, generator: np.random.Generator) -> Data
    def report(outcome: Outcome, settings: GlyphSettings, folder: Path) -> None

The workflow calls `simulate` once, cuts patches of its noisy frames, trains every variant and every peer on
them, and denoises the frames that count with each; then it calls `report`. An experiment trains and denoises
nothing itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.wang2021.configuration import Variant

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Data:
    """Frames of an experiment; what is special about some of them, those at the end have.

    noisy, clean : (n, channel, y, x) float32, in one unit; clean is what noisy would be without noise
    measured : so many frames at the end are denoised and reported on; 0 stands for all of them
    followed : so many frames at the end are denoised by the snapshots of a training, too (`train.snapshots`)
    held_out : so many frames at the end no training sees
    notes : what `report` wants to know again, such as names of the frames; must fit into JSON
    """

    noisy: Array
    clean: Array
    measured: int = 0
    followed: int = 0
    held_out: int = 0
    notes: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        frames = len(self.noisy)
        if self.noisy.shape != self.clean.shape or self.noisy.ndim != 4:
            shapes = f"{self.noisy.shape} and {self.clean.shape}"
            raise ValueError(f"noisy and clean: {shapes} are not twice (n, channel, y, x)")
        object.__setattr__(self, "measured", self.measured or frames)
        if not 0 <= self.held_out < frames:
            raise ValueError(f"held_out: {self.held_out} of {frames} frames leaves none to train on")
        if not 0 <= self.followed <= self.measured <= frames:
            raise ValueError(f"followed: {self.followed}, measured: {self.measured} of {frames} frames")


@dataclass(frozen=True)
class Epoch:
    """One row of a training curve.

    loss : mean over the epoch's steps
    validation : loss of the averaged weights on the held-out patches; None without such patches
    seconds : since the training began
    """

    epoch: int
    loss: float
    validation: float | None
    seconds: float


@dataclass(frozen=True, eq=False)
class Denoised:
    """What became of the frames in one variant or peer.

    image : (measured, channel, y, x) float32, the last frames of the data denoised, in its unit; a memory map
    seconds : of training
    curve : of the training; empty for a peer
    snapshots : by epoch, (followed, channel, y, x): the last frames as the network of that epoch denoises
        them; empty for a peer
    variant : its settings; None for a peer
    """

    image: Array
    seconds: float
    curve: tuple[Epoch, ...] = ()
    snapshots: Mapping[int, Array] = field(default_factory=dict)
    variant: Variant | None = None


@dataclass(frozen=True, eq=False)
class Outcome:
    """What an experiment's report is made of.

    data : as simulated; the arrays are memory maps
    variants : by name, in the order of the configuration
    peers : by name; one that is not installed is not there
    notes : such as what was left out, one line each; belong into summary.txt
    """

    data: Data
    variants: Mapping[str, Denoised]
    peers: Mapping[str, Denoised]
    notes: tuple[str, ...] = ()

    @property
    def all(self) -> dict[str, Denoised]:
        """Variants, then peers."""
        return {**self.variants, **self.peers}


@dataclass(frozen=True)
class Experiment:
    """The two functions of an experiment.

    simulate : (settings, generator) -> Data; makes the frames, all randomness from the generator; raises
        StepError if a file of the user's (font, data set) is missing or of another shape
    report : (outcome, settings, folder) -> None; writes measures.ecsv, summary.txt and, for each figure of
        the plan, figure-<name>.png to the folder
    """

    simulate: Callable[[Any, np.random.Generator], Data]
    report: Callable[[Outcome, Any, Path], None]
