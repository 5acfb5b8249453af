"""A stack of frames in a file, of which one frame at a time is in memory."""

import struct
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from skydenoise.errors import SettingsError, StepError
from skydenoise.stacks.axes import Axes, understood
from skydenoise.stacks.containers import OPENERS, Pixels
from skydenoise.stacks.formats import suffix_of

Array = NDArray[Any]


DAMAGE = (
    OSError,
    ValueError,
    KeyError,
    TypeError,
    RuntimeError,
    EOFError,
    struct.error,
    zlib.error,
    tifffile.TiffFileError,
)
"""What the readers of the field raise for files that are cut off or damaged."""


@dataclass(frozen=True, eq=False)
class Stack:
    """An open stack.

    path : of its file
    axes : meaning and lengths of the axes of the array in the file
    dtype : of its pixels
    dataset : the array's name in the file, where a file can hold several
    """

    path: Path
    axes: Axes
    dtype: np.dtype[Any]
    dataset: str
    pixels: Pixels

    @property
    def frames(self) -> int:
        """How many frames."""
        return self.axes.frames

    @property
    def channels(self) -> int:
        """How many channels each frame has."""
        return self.axes.channels

    @property
    def shape(self) -> tuple[int, int]:
        """(y, x) of a frame."""
        return self.axes.image

    def read(self, index: int) -> Array:
        """Frame `index` (from 0): (channel, y, x) float32, in the file's own units; may hold NaN.

        Raises
        ------
        IndexError : there is no such frame
        StepError : it cannot be read
        """
        key = self.axes.key(index)
        try:
            block = self.pixels[key]
        except DAMAGE as error:
            raise StepError(f"{self.path}: frame {index} cannot be read: {one_line(error)}") from error
        return np.ascontiguousarray(self.axes.to_image(np.asarray(block)), dtype=np.float32)


@contextmanager
def open_stack(path: Path, *, dataset: str = "", axes: str = "") -> Iterator[Stack]:
    """Open a stack: TIFF, NPY, MRC, HDF5 or FITS, by the end of its name (formats.SUFFIXES).

    dataset : name of the array, for HDF5; number or name of the HDU, for FITS; number of the series, for
        TIFF; empty: the first, in HDF5 the only one
    axes : letters in the array's order: n, t or z (frames), c (channels), y, x; empty: what the file says
        (the TIFF of ImageJ, OME and tifffile does), else yx, nyx or ncyx by the number of dimensions

    Raises
    ------
    SettingsError : unknown kind of file, no such dataset, axes that do not fit, complex pixels
    StepError : no such file, or a damaged one
    """
    suffix = suffix_of(path)
    with ExitStack() as files:
        try:
            opened = files.enter_context(OPENERS[suffix](path, dataset))
            found = understood(axes, opened.axes, tuple(opened.pixels.shape))
            dtype = np.dtype(opened.pixels.dtype)
        except SettingsError as error:
            raise SettingsError(f"{path}: {error}") from None
        except FileNotFoundError:
            raise StepError(f"{path}: there is no such file") from None
        except DAMAGE as error:
            raise StepError(f"{path}: cannot be read as {suffix}: {one_line(error)}") from error
        if dtype.kind not in "uifb":
            raise SettingsError(f"{path}: pixels of type {dtype}: whole or real numbers are needed")
        yield Stack(path, found, dtype, opened.dataset, opened.pixels)


def spread(stacks: Sequence[Stack], most: int | None = None) -> list[tuple[int, int]]:
    """Frames of all stacks, taken as one series: (number of the stack, index in it), in order.

    most : if there are more, so many of them, evenly spread
    """
    ends = np.cumsum([stack.frames for stack in stacks])
    total = int(ends[-1])
    places = np.arange(total)
    if most is not None and total > most:
        places = np.linspace(0, total - 1, most).round().astype(int)
    numbers = np.searchsorted(ends, places, side="right")
    firsts = ends - [stack.frames for stack in stacks]
    return [(int(number), int(place - firsts[number])) for number, place in zip(numbers, places, strict=True)]


def one_line(error: BaseException) -> str:
    """What an error says, in one line."""
    return " ".join(str(error).split()) or type(error).__name__
