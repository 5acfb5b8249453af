"""The frames of several stacks as one series, and each frame as a brick, as all other rooms know it."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from skydenoise.config import PatchSettings
from skydenoise.errors import SettingsError
from skydenoise.io import Brick
from skydenoise.noise import NoiseModel
from skydenoise.noise.levels import noise_levels
from skydenoise.patches import cut_patches
from skydenoise.stacks.pixels import StackFile
from skydenoise.stacks.stack import Stack, check_channels, open_stack

_log = logging.getLogger(__name__)

Array = NDArray[Any]

SEPARATOR = "#"
"""Between a stack's name and a frame's number; no name of a stack holds it."""
MEASURED_FRAMES = 64
"""Frames of all stacks together in which level and rms are measured."""
MEASURED_PIXELS = 16_384
"""Pixels of such a frame, on a regular grid."""


def frame_brick(stack: Stack, index: int, noise: NoiseModel, name: str = "") -> Brick:
    """Frame `index` (from 0) as a brick of the bands of `noise`, with a constant invvar of 1 / sigma_sky**2.

    Pixels that are not finite count as no data. Headers are empty. Raises IndexError and StepError as
    `Stack.read` does.

    name : of the stack; its file's by default
    """
    image = stack.read(index)
    valid = np.isfinite(image)
    weight = np.asarray(noise.sigma_sky, dtype=np.float32).reshape(-1, 1, 1) ** -2
    image, invvar = (np.where(valid, pixels, np.float32(0)) for pixels in (image, weight))
    headers = tuple(fits.Header() for _ in noise.bands)
    masked = np.zeros(image.shape, dtype=bool)
    return Brick(frame_name(name or stack.file.path.name, index), noise.bands, image, invvar, masked, headers)


def frame_name(stack: str, index: int) -> str:
    """Name of frame `index` (from 0) as a brick: "stack#00017"."""
    return f"{stack}{SEPARATOR}{index:05d}"


def evenly(names: Sequence[str], most: int) -> list[str]:
    """At most `most` of the names, in their order and evenly spread, the first and the last among them."""
    if len(names) <= most:
        return list(names)
    return [names[int(place)] for place in np.linspace(0, len(names) - 1, most).round()]


class Series:
    """Frames of several stacks, by their names; one stack is open at a time: it may be one of thousands.

    names : of all frames, in order
    bands : names of the channels
    """

    def __init__(self, files: Mapping[str, StackFile], bands: Sequence[str], opened: ExitStack) -> None:
        self._files, self._opened = files, opened
        self._current = ""
        self.bands = tuple(bands)
        self.names = [frame_name(name, index) for name in files for index in range(len(self._open(name)))]

    def _open(self, name: str) -> Stack:
        if name != self._current:
            self._opened.close()
            self._stack = self._opened.enter_context(open_stack(self._files[name]))
            check_channels(self._stack, self.bands)
            self._current = name
        return self._stack

    def read(self, name: str) -> Array:
        """Frame as in `Stack.read`."""
        stack, _, index = name.rpartition(SEPARATOR)
        return self._open(stack).read(int(index))

    def brick(self, name: str, noise: NoiseModel) -> Brick:
        """Frame as in `frame_brick`."""
        stack, _, index = name.rpartition(SEPARATOR)
        return frame_brick(self._open(stack), int(index), noise, stack)


@contextmanager
def open_series(files: Mapping[str, StackFile], bands: Sequence[str]) -> Iterator[Series]:
    """Series of the frames of stacks, by their names, to be read in any order, fastest in their own.

    Each stack is opened once now: raises as `open_stack` does, or if one has another number of channels.
    """
    with ExitStack() as opened:
        yield Series(files, bands, opened)


def measure_series(series: Series, scales: int = 5) -> NoiseModel:
    """Level (median) and rms about it of each channel, over a sample of frames and pixels.

    The noise of such frames is not measured: sigma_sky of the model is the rms of all that is in them, signal
    and noise, and the noise counts as white. This is the scale of the stretch, no more: objective
    "recorrupted" and `recover` need the real noise.

    scales : starlet scales, for the levels of the model

    Raises SettingsError if a channel has no finite pixels or all alike, StepError if a frame cannot be read.
    """
    samples: list[Array] = []
    for name in evenly(series.names, MEASURED_FRAMES):
        frame = series.read(name)
        step = max(1, int(np.sqrt(frame[0].size / MEASURED_PIXELS)))
        samples.append(frame[:, ::step, ::step].reshape(len(frame), -1))
    level, rms = [], []
    for channel, band in enumerate(series.bands):
        pixels = np.concatenate([sample[channel] for sample in samples]).astype(np.float64)
        pixels = pixels[np.isfinite(pixels)]
        if pixels.size == 0 or np.ptp(pixels) == 0:
            what = "no finite pixel" if pixels.size == 0 else f"the one value {pixels[0]:g} in all pixels"
            raise SettingsError(f"survey.files: channel {band} has {what} of the frames that were looked at")
        level.append(float(np.median(pixels)))
        rms.append(float(np.sqrt(np.mean((pixels - level[-1]) ** 2))))
        _log.info("channel %s: level %.5g, rms %.5g", band, level[-1], rms[-1])
    white = np.ones((len(rms), 1, 1))
    levels = np.tile(noise_levels(white[0], scales), (len(rms), 1))
    return NoiseModel(series.bands, tuple(rms), (1.0,) * len(rms), white, levels, level=tuple(level))


def cut_frames(
    files: Mapping[str, StackFile], noise: NoiseModel, settings: PatchSettings, folder: Path
) -> dict[str, str]:
    """Cut `settings.count` patches from the frames of the stacks into `folder`; see `cut_patches`.

    Of more frames than patches, as many as patches are looked at, evenly spread.
    """
    with open_series(files, noise.bands) as series:
        names = evenly(series.names, settings.count)
        return cut_patches(names, lambda name: series.brick(name, noise), settings, folder)
