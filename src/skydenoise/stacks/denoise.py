"""Denoise a stack, frame by frame."""

import logging
from pathlib import Path

import numpy as np
from tqdm import tqdm

from skydenoise.predict.denoise import estimate_sky
from skydenoise.predict.denoiser import Denoiser
from skydenoise.stacks.pixels import StackFile
from skydenoise.stacks.series import frame_brick
from skydenoise.stacks.stack import check_channels, open_stack, write_like

_log = logging.getLogger(__name__)


def denoise_stack(file: StackFile, out: Path, denoiser: Denoiser) -> None:
    """Denoise every frame of a stack, one at a time, into a stack of the same kind at `out`.

    A frame without a finite pixel stays as it is; single pixels that are not finite are inpainted.

    out : its name ends as `output_suffix` says; it is there when all frames are

    Raises SettingsError for other channels than the model's bands or frames smaller than a tile, StepError if
    a frame cannot be read or the disk is full, BrickError if the network's image of a frame is not finite.
    """
    description = denoiser.description
    note = f"model {description.sha256[:12]}, tile {denoiser.settings.tile}"
    with open_stack(file) as stack:
        check_channels(stack, description.bands)
        with write_like(stack, out, note) as write:
            for index in tqdm(range(len(stack)), unit="frame", disable=None):
                brick = frame_brick(stack, index, description.noise)
                if brick.usable.any():
                    write(index, estimate_sky(brick, description.noise, denoiser)[0])
                else:
                    _log.warning("%s has no finite pixel and stays as it is", brick.name)
                    write(index, np.full(brick.image.shape, np.nan, dtype=np.float32))
        _log.info("%d frames of %s are in %s", len(stack), file.path, out)
