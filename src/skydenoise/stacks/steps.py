"""What the workflow does with stacks, step by step: scale, patches, prediction."""

import logging
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from tqdm import tqdm

from skydenoise.config import PatchSettings
from skydenoise.io import Brick
from skydenoise.io.atomic import write_json
from skydenoise.noise import NoiseModel
from skydenoise.patches import PatchSummary, cut_patches
from skydenoise.predict.denoise import Denoiser, estimate_sky
from skydenoise.stacks.cache import shelf
from skydenoise.stacks.frames import frame_brick, frame_names, frame_reader
from skydenoise.stacks.scale import check_channels, measure_scale
from skydenoise.stacks.stack import Stack, open_stack
from skydenoise.stacks.table import StackFile
from skydenoise.stacks.writer import like

_log = logging.getLogger(__name__)


def measure_stacks(files: Mapping[str, StackFile], bands: tuple[str, ...], scales: int, path: Path) -> None:
    """Measure level and rms of the stacks, and write them to `path` as a NoiseModel; see `measure_scale`."""
    with shelf(files) as stacks:
        write_json(path, measure_scale(list(stacks.values()), bands, scales).to_json())


def cut_frames(
    files: Mapping[str, StackFile], noise: NoiseModel, settings: PatchSettings, folder: Path
) -> PatchSummary:
    """Cut `settings.count` patches from the frames of the stacks into `folder`; see `cut_patches`.

    Of more frames than patches, as many as patches are looked at, evenly spread.
    """
    with shelf(files) as stacks:
        names = frame_names(stacks, settings.count)
        return cut_patches(names, frame_reader(stacks, noise), settings, folder)


def denoise_stack(file: StackFile, out: Path, denoiser: Denoiser) -> None:
    """Denoise every frame of a stack, one at a time, into a stack of the same kind at `out`.

    A frame without a finite pixel stays as it is; single pixels that are not finite are inpainted. The next
    frame is read while the network works on this one.

    out : its name ends as `file.suffix` says; it is there when all frames are

    Raises
    ------
    SettingsError : other channels than the model's bands, frames smaller than a tile
    StepError : a frame cannot be read, or the disk is full
    BrickError : the network's image of a frame is not finite
    """
    description = denoiser.description
    with open_stack(file.path, dataset=file.dataset, axes=file.axes) as stack:
        check_channels(stack, description.bands)
        note = f"model {description.sha256[:12]}, tile {denoiser.settings.tile}"
        with like(stack, out, note) as writer:
            frames = tqdm(
                _read_ahead(stack, description.noise), total=stack.frames, unit="frame", disable=None
            )
            for index, brick in enumerate(frames):
                if brick.usable.any():
                    writer.write(index, estimate_sky(brick, denoiser.description.noise, denoiser)[0])
                else:
                    _log.warning("%s has no finite pixel and stays as it is", brick.name)
                    writer.write(index, np.full(brick.image.shape, np.nan, dtype=np.float32))
    _log.info("%d frames of %s are in %s", stack.frames, file.path, out)


def _read_ahead(stack: Stack, noise: NoiseModel) -> Iterator[Brick]:
    """Every frame as a brick; one is read while another is worked on."""
    with ThreadPoolExecutor(1, "frames") as reader:
        waiting = reader.submit(frame_brick, stack, 0, noise)
        for index in range(1, stack.frames):
            brick = waiting.result()
            waiting = reader.submit(frame_brick, stack, index, noise)
            yield brick
            del brick
        yield waiting.result()
