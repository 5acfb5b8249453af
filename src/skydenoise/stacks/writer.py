"""A stack written frame by frame, in the format that it came in."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skydenoise.errors import SettingsError, StepError, disk_full
from skydenoise.io.atomic import atomic_path
from skydenoise.stacks.formats import output_suffix, suffix_of
from skydenoise.stacks.sinks import SINKS, Sink, made_by
from skydenoise.stacks.stack import Stack

Array = NDArray[Any]


class StackWriter:
    """Takes the frames of a stack in any order, each once or more."""

    def __init__(self, stack: Stack, sink: Sink) -> None:
        self._axes, self._sink = stack.axes, sink
        self._missing = set(range(stack.frames))

    def write(self, index: int, image: Array) -> None:
        """Write frame `index` (from 0): (channel, y, x), stored as float32.

        Raises
        ------
        ValueError : another shape than the source's frames
        IndexError : there is no such frame
        """
        expected = (self._axes.channels, *self._axes.image)
        if image.shape != expected:
            raise ValueError(f"a frame of shape {image.shape}, not {expected} (channel, y, x)")
        key = self._axes.key(index)
        self._sink[key] = self._axes.from_image(np.asarray(image, dtype=np.float32))
        self._missing.discard(index)

    @property
    def missing(self) -> int:
        """How many frames were never written."""
        return len(self._missing)


@contextmanager
def like(stack: Stack, path: Path, note: str = "") -> Iterator[StackWriter]:
    """Write a stack like `stack` to `path`: same container, axes and lengths, float32.

    What the source says about itself is carried over: FITS cards; the resolution of a TIFF, its axes and what
    ImageJ or OME tell about sizes; voxel size, origin, labels and extended header of an MRC; HDF5's
    attributes. TIFF and FITS come without compression. The file gets its name once the block has ended well.

    stack : open
    path : its name must end as `output_suffix` says
    note : goes into the file beside the version, where the format has a place for it

    Raises
    ------
    SettingsError : the name ends otherwise
    StepError : the disk is full
    ValueError : the block ended before all frames were written
    """
    suffix = suffix_of(path)
    if suffix != output_suffix(stack.path):
        raise SettingsError(f"{path}: a stack like {stack.path} ends in {output_suffix(stack.path)}")
    try:
        with atomic_path(path) as partial:
            with SINKS[suffix](stack, partial, made_by(note)) as sink:
                writer = StackWriter(stack, sink)
                yield writer
            if writer.missing:
                raise ValueError(f"{path}: {writer.missing} of {stack.frames} frames were not written")
    except OSError as error:
        if disk_full(error):
            raise StepError(f"no space left for {path}; free some and run again") from error
        raise
