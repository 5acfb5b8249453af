"""Pixels in a file, read and written in parts; and NumPy's own format, which is no more than that.

Not by a memory map where it can be helped: its pages stay in a process as long as there is room, so that the
process seems to grow with the file.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from skydenoise.stacks.axes import Axes, Key

Array = NDArray[Any]

FLOAT = np.dtype(np.float32)
"""Type of the pixels of every new file."""


@dataclass(frozen=True)
class StackFile:
    """Where a stack lies.

    dataset : name of the array in HDF5; number or name of the HDU in FITS; number of the series in TIFF.
        Empty: the only one in HDF5, the first image in FITS, all series in TIFF
    axes : letters in the array's order: n, t or z (frames), c (channels), y, x; empty: what the file says
        (MRC and the TIFF of ImageJ, OME and tifffile do), else yx, nyx or ncyx by the number of dimensions
    """

    path: Path
    dataset: str = ""
    axes: str = ""


class Pixels(Protocol):
    """What can be sliced without being read as a whole."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of the axes."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of a pixel."""

    def __getitem__(self, key: Key) -> Array: ...


class NewPixels(Protocol):
    """What takes parts of an array."""

    def __setitem__(self, key: Key, values: Array) -> None: ...


@dataclass(frozen=True)
class StoredArray:
    """An array in an open file.

    axes : letters as in `Axes`, if the file says what they are, else empty
    dataset : which array of the file it is, if it can hold several
    """

    pixels: Pixels
    axes: str = ""
    dataset: str = ""


@dataclass(frozen=True)
class FilePixels:
    """An array in C order in a file, not compressed.

    path, offset : where its first byte lies
    dtype : with its byte order
    shape : of the whole array
    """

    path: Path
    offset: int
    dtype: np.dtype[Any]
    shape: tuple[int, ...]

    def __getitem__(self, key: Key) -> Array:
        """Copy of the pixels at `key`; raises OSError if the file ends before them."""
        place = self.place(key)
        if place is None:
            return np.array(self._map("r")[key])
        start, shape = place
        pixels: Array = np.fromfile(self.path, self.dtype, prod(shape), offset=start)
        if pixels.size < prod(shape):
            raise OSError(f"{self.path}: the file is truncated")
        return pixels.reshape(shape)

    def __setitem__(self, key: Key, values: Array) -> None:
        """Write pixels at `key`; the file must be there."""
        place = self.place(key)
        if place is None:
            mapped = self._map("r+")
            mapped[key] = values
            mapped.flush()
            return
        start, shape = place
        with self.path.open("r+b") as stream:
            stream.seek(start)
            stream.write(np.ascontiguousarray(np.broadcast_to(values, shape), self.dtype).tobytes())

    @property
    def end(self) -> int:
        """First byte after the pixels."""
        return self.offset + prod(self.shape) * self.dtype.itemsize

    def place(self, key: Key) -> tuple[int, tuple[int, ...]] | None:
        """First byte and shape of a block whose pixels lie together; None if they do not."""
        numbers = [part for part in key if isinstance(part, int)]
        if list(key[: len(numbers)]) != numbers:
            return None
        inner = self.shape[len(numbers) :]
        before = int(np.ravel_multi_index(numbers, self.shape[: len(numbers)])) if numbers else 0
        return self.offset + before * prod(inner) * self.dtype.itemsize, inner

    def _map(self, mode: Literal["r", "r+"]) -> np.memmap[Any, Any]:
        return np.memmap(self.path, self.dtype, mode, self.offset, self.shape)


@contextmanager
def open_array(path: Path, dataset: str) -> Iterator[StoredArray]:
    """Array of an NPY file, in Fortran order too. Raises ValueError for arrays of objects."""
    mapped = np.load(path, mmap_mode="r", allow_pickle=False)
    in_c_order = mapped.flags.c_contiguous
    yield StoredArray(FilePixels(path, mapped.offset, mapped.dtype, mapped.shape) if in_c_order else mapped)


@contextmanager
def create_like(source: StackFile, axes: Axes, path: Path, note: str) -> Iterator[NewPixels]:
    """New NPY file, in C order."""
    mapped = open_memmap(path, mode="w+", dtype=FLOAT, shape=axes.shape)
    yield FilePixels(path, mapped.offset, FLOAT, axes.shape)
