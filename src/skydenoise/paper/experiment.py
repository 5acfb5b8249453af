"""The contract between an experiment of the paper and the workflow that runs it.

An experiment is a module (or object) with two functions, listed in `catalogue.EXPERIMENTS`:

    def simulate(settings: GlyphSettings, generator: np.random.Generator) -> Data
    def report(outcome: Outcome, settings: GlyphSettings, folder: Path) -> None

The workflow calls `simulate` once, cuts patches of its noisy frames, trains every variant and every peer on
them and denoises all frames with each; then it calls `report`. An experiment trains and denoises nothing itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from skydenoise.paper.settings import Variant

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Data:
    """Frames of an experiment.

    noisy, clean : (n, channel, y, x) float32, in one unit; clean is what noisy would be without noise
    held_out : so many frames at the end are denoised but never trained on
    followed : numbers of the frames that the snapshots of a training (`train.snapshots`) denoise, too
    notes : what `report` wants to know again, such as names of the frames; must fit into JSON
    """

    noisy: Array
    clean: Array
    held_out: int = 0
    followed: tuple[int, ...] = ()
    notes: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.noisy.shape != self.clean.shape or self.noisy.ndim != 4:
            raise ValueError(
                f"shapes {self.noisy.shape} and {self.clean.shape} are not (n, channel, y, x) twice"
            )
        if not 0 <= self.held_out < len(self.noisy):
            raise ValueError(f"held_out: {self.held_out} of {len(self.noisy)} frames leaves none to train on")
        if not all(0 <= frame < len(self.noisy) for frame in self.followed):
            raise ValueError(f"followed: {self.followed} names frames beyond {len(self.noisy)}")


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

    image : (n, channel, y, x) float32, unit of the data; a memory map
    seconds : of training
    curve : of the training; empty for a peer
    snapshots : by epoch, the followed frames (k, channel, y, x) as the network of that epoch denoises them, in
        the order of Data.followed; empty for a peer
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


class Experiment(Protocol):
    """An experiment of the paper; a module will do."""

    def simulate(self, settings: Any, generator: np.random.Generator) -> Data:
        """Make the frames; all randomness comes from the generator.

        Raises
        ------
        StepError : a file of the user's (font, data set) is missing or of another shape
        """
        ...

    def report(self, outcome: Outcome, settings: Any, folder: Path) -> None:
        """Write figure-<name>.png for each of the plan's figures, measures.ecsv and summary.txt to `folder`."""
        ...
