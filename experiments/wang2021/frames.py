"""The frames of an experiment: in memory, on disk (noisy.npy, clean.npy, *.json) and as bricks."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from skydenoise.config import PatchSettings
from skydenoise.io import Brick
from skydenoise.io.atomic import atomic_path, write_json
from skydenoise.noise import NoiseModel
from skydenoise.noise.levels import noise_levels
from skydenoise.patches import cut_patches

Array = NDArray[Any]

BAND = "channel0"
LOOKED_AT, PIXELS = 64, 16_384
"""Frames, and pixels of each on a regular grid, that level and rms are measured on."""


@dataclass(frozen=True, eq=False)
class Data:
    """Frames of an experiment; what is special about some of them, those at the end have.

    noisy, clean : (n, y, x) float32, in one unit; clean is what noisy would be without noise
    measured : so many frames at the end are denoised and reported on; 0 stands for all of them
    followed : so many frames at the end are denoised by the snapshots of a training, too (`snapshots`)
    held_out : so many frames at the end no training sees
    notes : what the report wants to know again, such as places of atoms; must fit into JSON

    Raises
    ------
    ValueError : other shapes or numbers
    """

    noisy: Array
    clean: Array
    measured: int = 0
    followed: int = 0
    held_out: int = 0
    notes: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        frames = len(self.noisy)
        if self.noisy.shape != self.clean.shape or self.noisy.ndim != 3:
            raise ValueError(f"{self.noisy.shape} and {self.clean.shape} are not twice (n, y, x)")
        object.__setattr__(self, "measured", self.measured or frames)
        if not (0 <= self.held_out < frames and 0 <= self.followed <= self.measured <= frames):
            numbers = f"held_out {self.held_out}, followed {self.followed}, measured {self.measured}"
            raise ValueError(f"{numbers} of {frames} frames")

    def write(self, folder: Path) -> None:
        """Write the frames, and the scale of the noisy ones."""
        save_array(folder / "noisy.npy", self.noisy)
        save_array(folder / "clean.npy", self.clean)
        write_json(folder / "noise.json", scale_of(self.noisy).to_json())
        special = {key: getattr(self, key) for key in ("measured", "followed", "held_out", "notes")}
        write_json(folder / "data.json", special)

    @classmethod
    def read(cls, folder: Path) -> Data:
        """Inverse of `write`; the arrays are memory maps."""
        noisy, clean = (np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("noisy", "clean"))
        return cls(noisy, clean, **json.loads((folder / "data.json").read_text(encoding="utf-8")))


def save_array(path: Path, array: Array) -> None:
    """Write a float32 .npy in one step."""
    with atomic_path(path) as partial:
        np.save(partial, np.asarray(array, dtype=np.float32))


def scale_of(noisy: Array) -> NoiseModel:
    """Level (median) of frames (n, y, x), and rms about it of all that is in them: the scale of the stretch.

    The noise itself is not measured: it counts as white.
    """
    step = max(1, int(np.sqrt(noisy[0].size / PIXELS)))
    chosen = np.linspace(0, len(noisy) - 1, min(len(noisy), LOOKED_AT)).round().astype(int)
    pixels = np.asarray(noisy[chosen, ::step, ::step], dtype=np.float64)
    level, white = np.median(pixels), np.ones((1, 1))
    rms = float(np.sqrt(np.mean((pixels - level) ** 2)))
    return NoiseModel((BAND,), (rms,), (1.0,), white[None], noise_levels(white, 5)[None], (), (float(level),))


def frame_name(index: int) -> str:
    """Name of a noisy frame as a brick."""
    return f"noisy#{index:05d}"


def brick_reader(folder: Path) -> Callable[[str], Brick]:
    """Function that gives a noisy frame of `folder` as a brick of one band by its `frame_name`."""
    noisy = np.load(folder / "noisy.npy", mmap_mode="r")
    noise = NoiseModel.read(folder / "noise.json")
    weight = np.asarray(noise.sigma_sky, dtype=np.float32) ** -2

    def read(name: str) -> Brick:
        image = np.array(noisy[int(name.rpartition("#")[2])][None])
        invvar = np.full_like(image, weight[0])
        return Brick(name, noise.bands, image, invvar, np.zeros(image.shape, dtype=bool), (fits.Header(),))

    return read


def cut_frames(folder: Path, settings: PatchSettings, out: Path) -> None:
    """Cut training patches of the noisy frames in `folder`, but for those held out; raises SettingsError."""
    data = Data.read(folder)
    names = [frame_name(index) for index in range(len(data.noisy) - data.held_out)]
    cut_patches(names, brick_reader(folder), settings, out)
