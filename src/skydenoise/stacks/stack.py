"""A stack of frames in a file, read and written with one frame at a time in memory.

Each kind of file has a module with `open_array` and `create_like`. It is imported when a file of its kind is
met, because its reader is an extra that a survey does not need.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib import import_module
from math import prod
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skydenoise import __version__
from skydenoise.errors import SettingsError, StepError, disk_full, one_line
from skydenoise.image_table import STACK_KINDS, stack_suffix
from skydenoise.io.atomic import atomic_path
from skydenoise.io.memory import too_large
from skydenoise.stacks.axes import Axes, axes_of
from skydenoise.stacks.pixels import StackFile

Array = NDArray[Any]


def suffix_of(path: Path) -> str:
    """End of a stack's name, in lower case; raises SettingsError if it is of no known kind."""
    if suffix := stack_suffix(path):
        return suffix
    raise SettingsError(f"{path}: no kind of stack; known are {', '.join(STACK_KINDS)}")


def output_suffix(path: Path) -> str:
    """End of the name of a stack that is written like the one at `path`: compressed FITS comes back plain."""
    suffix = suffix_of(path)
    return ".fits" if suffix.startswith(".fits") else suffix


def _module_of(path: Path) -> ModuleType:
    try:
        return import_module(f"skydenoise.stacks.{STACK_KINDS[suffix_of(path)]}")
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"{path}: such a stack needs the package {error.name}: pip install 'skydenoise[stacks]'"
        ) from error


@dataclass(frozen=True, eq=False)
class Stack:
    """An open stack; its length is the number of frames.

    file : where it lies; `dataset` says which array it is even where the user did not
    axes : meaning and lengths of the axes of the array in the file
    pixels : see StoredArray
    """

    file: StackFile
    axes: Axes
    pixels: Any

    def __len__(self) -> int:
        return self.axes.frames

    def read(self, index: int) -> Array:
        """Frame `index` (from 0): (channel, y, x) float32, in the file's own units; may hold NaN.

        Raises IndexError if there is no such frame, StepError if it cannot be read, or does not fit into the
        job's memory.
        """
        if cause := too_large(prod(self.axes.frame_shape)):
            raise StepError(f"{self.file.path}: {cause} (more memory, or smaller frames)")
        key = self.axes.key(index)
        try:
            block = np.asarray(self.pixels[key])
        except Exception as error:  # of many kinds, by what is damaged
            raise StepError(f"{self.file.path}: frame {index} cannot be read: {one_line(error)}") from error
        return np.ascontiguousarray(self.axes.to_image(block), dtype=np.float32)


@contextmanager
def open_stack(file: StackFile) -> Iterator[Stack]:
    """Open a stack: TIFF, NPY, MRC, HDF5 or FITS, by the end of its name.

    Raises SettingsError for an unknown kind of file, a package that is missing, no such dataset, axes that do
    not fit, pixels that are complex or no amounts of light, series of a TIFF that are not alike; StepError
    for no such file, or a damaged one.
    """
    module, path = _module_of(file.path), file.path
    with ExitStack() as files:
        try:
            stored = files.enter_context(module.open_array(path, file.dataset))
            axes = axes_of(tuple(stored.pixels.shape), file.axes, stored.axes)
            dtype = np.dtype(stored.pixels.dtype)
        except SettingsError as error:
            raise SettingsError(f"{path}: {error}") from None
        except FileNotFoundError:
            raise StepError(f"{path}: there is no such file") from None
        except Exception as error:  # of many kinds, by what is damaged
            raise StepError(f"{path}: cannot be read as {suffix_of(path)}: {one_line(error)}") from error
        if dtype.kind not in "uifb":
            raise SettingsError(f"{path}: pixels of type {dtype}: whole or real numbers are needed")
        yield Stack(StackFile(path, stored.dataset, axes.text), axes, stored.pixels)


def check_channels(stack: Stack, bands: Sequence[str]) -> None:
    """Raise SettingsError if a stack has another number of channels than there are bands."""
    channels = stack.axes.frame_shape[0]
    if channels != len(bands):
        raise SettingsError(
            f"survey.bands: {len(bands)} names ({', '.join(bands)}) for {stack.file.path}, whose frames have "
            f"{channels} channels (its axes are {stack.axes.text}, lengths {stack.axes.shape})"
        )


@contextmanager
def write_like(stack: Stack, path: Path, note: str) -> Iterator[Callable[[int, Array], None]]:
    """Write a stack like `stack` to `path`: same container, axes and lengths, float32.

    Yields what writes frame `index` (from 0), (channel, y, x); in any order.

    What the source says about itself is carried over: FITS cards; colours, resolution and series of a TIFF,
    and what ImageJ or OME tell about sizes; an MRC's header and extended header; HDF5's attributes. TIFF and
    FITS come without compression. The file gets its name once the block has ended well.

    path : its name ends as `output_suffix` says
    note : goes into the file beside the version, where the format has a place for it

    Raises StepError if the disk is full or what the source says of itself makes no sense.
    """
    made_by, create_like = f"skydenoise {__version__}, {note}", _module_of(path).create_like
    try:
        with atomic_path(path) as partial, ExitStack() as files:
            try:
                pixels = files.enter_context(create_like(stack.file, stack.axes, partial, made_by))
            except (ValueError, LookupError) as error:
                cause = f"its header is damaged: {one_line(error)}"
                raise StepError(f"{stack.file.path}: {cause}") from error

            def write(index: int, image: Array) -> None:
                pixels[stack.axes.key(index)] = stack.axes.from_image(np.asarray(image, dtype=np.float32))

            yield write
    except OSError as error:
        if disk_full(error):
            raise StepError(f"no space left for {path}; free some and run again") from error
        raise
