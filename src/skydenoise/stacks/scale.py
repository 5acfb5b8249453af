"""Level and spread of a series of frames: what the stretch needs, measured once on the training stacks."""

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skydenoise.errors import SettingsError
from skydenoise.noise import NoiseModel
from skydenoise.noise.levels import noise_levels
from skydenoise.stacks.stack import Stack, spread

_log = logging.getLogger(__name__)

Array = NDArray[Any]

FRAMES = 64
"""Frames that are looked at, of all stacks together."""
PIXELS = 16_384
"""Pixels of a frame that are looked at, on a regular grid."""


def measure_scale(stacks: Sequence[Stack], bands: tuple[str, ...], scales: int = 5) -> NoiseModel:
    """Level (median) and rms about it of each channel, over a sample of frames and pixels.

    The noise of such frames is not measured: sigma_sky, and so every pixel's sigma, is the rms of all that is
    in them, signal and noise, and the noise counts as white. This is the scale of the stretch, no more:
    objective "recorrupted" and `recover` need the real noise.

    stacks : open; their frames are taken as one series, of which FRAMES are read, spread evenly
    bands : names of the channels
    scales : starlet scales, for the levels of the model

    Returns a NoiseModel with `level`

    Raises
    ------
    SettingsError : another number of channels than bands; a channel without finite pixels, or all alike
    """
    for stack in stacks:
        check_channels(stack, bands)
    samples = [_sample(stacks[number].read(index)) for number, index in spread(stacks, FRAMES)]
    white = np.ones((len(bands), 1, 1))
    level, rms = [], []
    for channel, band in enumerate(bands):
        pixels = np.concatenate([sample[channel] for sample in samples]).astype(np.float64)
        pixels = pixels[np.isfinite(pixels)]
        if pixels.size == 0 or np.ptp(pixels) == 0:
            what = "no finite pixel" if pixels.size == 0 else f"the one value {pixels[0]:g} in all pixels"
            raise SettingsError(f"survey.files: channel {band} has {what} of the frames that were looked at")
        level.append(float(np.median(pixels)))
        rms.append(float(np.sqrt(np.mean((pixels - level[-1]) ** 2))))
        _log.info("channel %s: level %.5g, rms %.5g", band, level[-1], rms[-1])
    levels = np.stack([noise_levels(plane, scales) for plane in white])
    return NoiseModel(bands, tuple(rms), (1.0,) * len(bands), white, levels, (), tuple(level))


def check_channels(stack: Stack, bands: Sequence[str]) -> None:
    """Raise SettingsError if a stack has another number of channels than there are bands."""
    if stack.channels != len(bands):
        raise SettingsError(
            f"survey.bands: {len(bands)} names ({', '.join(bands)}) for {stack.path}, whose frames have "
            f"{stack.channels} channels (its axes are {stack.axes.text}, lengths {stack.axes.shape})"
        )


def _sample(frame: Array) -> Array:
    """(channel, n) pixels on a regular grid."""
    step = max(1, int(np.sqrt(frame[0].size / PIXELS)))
    return frame[:, ::step, ::step].reshape(len(frame), -1)
