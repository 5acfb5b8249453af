"""Frames as bricks: what cuts patches, trains and denoises bricks serves them unchanged."""

from collections.abc import Callable, Mapping

import numpy as np
from astropy.io import fits

from skydenoise.io import Brick
from skydenoise.noise import NoiseModel
from skydenoise.stacks.stack import Stack, spread

SEPARATOR = "#"
"""Between a stack's name and a frame's number; no name of a stack holds it."""


def frame_name(stack: str, index: int) -> str:
    """Name of frame `index` (from 0) as a brick: "stack#00017"."""
    return f"{stack}{SEPARATOR}{index:05d}"


def frame_names(stacks: Mapping[str, Stack], most: int | None = None) -> list[str]:
    """Names of the frames of all stacks, in order; at most `most`, evenly spread over all of them."""
    names = list(stacks)
    return [frame_name(names[number], index) for number, index in spread(list(stacks.values()), most)]


def frame_brick(stack: Stack, index: int, noise: NoiseModel, name: str = "") -> Brick:
    """Frame `index` as a brick of the bands of `noise`, each with a constant invvar of 1 / sigma_sky**2.

    Pixels that are not finite count as no data. Headers are empty.

    name : of the stack; its file's by default

    Raises
    ------
    IndexError, StepError : see Stack.read
    """
    image = stack.read(index)
    valid = np.isfinite(image)
    weight = np.asarray(noise.sigma_sky, dtype=np.float32).reshape(-1, 1, 1) ** -2
    invvar = np.where(valid, weight, np.float32(0))
    if not valid.all():
        image = np.where(valid, image, np.float32(0))
    headers = tuple(fits.Header() for _ in noise.bands)
    masked = np.zeros(image.shape, dtype=bool)
    return Brick(frame_name(name or stack.path.name, index), noise.bands, image, invvar, masked, headers)


def frame_reader(stacks: Mapping[str, Stack], noise: NoiseModel) -> Callable[[str], Brick]:
    """Function that reads a frame by its name, for `cut_patches`; `stacks` by name, open."""

    def read(name: str) -> Brick:
        stack, _, index = name.rpartition(SEPARATOR)
        return frame_brick(stacks[stack], int(index), noise, stack)

    return read
