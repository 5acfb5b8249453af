"""Pixels in a file, read and written in parts; and NumPy's own format, which is no more than that."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, Self

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


@dataclass(frozen=True)
class StoredArray:
    """An array in an open file.

    pixels : has shape and dtype; slicing it reads no more than the slice
    axes : letters as in `Axes`, if the file says what they are, else empty
    dataset : which array of the file it is, if it can hold several
    """

    pixels: Any
    axes: str = ""
    dataset: str = ""


@dataclass(frozen=True)
class FilePixels:
    """An array in C order in a file, not compressed.

    It is mapped for each access anew: pages of a map stay in a process as long as there is room.

    path, offset : where its first byte lies
    dtype : with its byte order
    shape : of the whole array
    """

    path: Path
    offset: int
    dtype: np.dtype[Any]
    shape: tuple[int, ...]

    def __getitem__(self, key: Key) -> Array:
        """Copy of the pixels at `key`; raises OSError if a frame in one piece cannot be read."""
        leading = [part for part in key if isinstance(part, int)]
        inner = self.shape[len(leading) :]
        if list(key[: len(leading)]) != leading:
            return np.array(np.memmap(self.path, self.dtype, "r", self.offset, self.shape)[key])
        before = int(np.ravel_multi_index(leading, self.shape[: len(leading)])) if leading else 0
        start = self.offset + before * prod(inner) * self.dtype.itemsize
        pixels: Array = np.fromfile(self.path, self.dtype, prod(inner), offset=start)
        if pixels.size < prod(inner):
            raise OSError("the file is truncated")
        return pixels.reshape(inner)

    def __setitem__(self, key: Key, values: Array) -> None:
        """Write pixels at `key`, in room that is `reserved`."""
        mapped = np.memmap(self.path, self.dtype, "r+", self.offset, self.shape)
        mapped[key] = values
        mapped.flush()

    def reserved(self, block: int = 1) -> Self:
        """These pixels, with room in the file up to a multiple of `block` bytes after the last.

        Raises OSError if the disk is full: a memory map would meet that with a crash.
        """
        end = self.offset + prod(self.shape) * self.dtype.itemsize
        with self.path.open("r+b") as stream:
            os.posix_fallocate(stream.fileno(), self.offset, -(-end // block) * block - self.offset)
        return self


@contextmanager
def open_array(path: Path, dataset: str) -> Iterator[StoredArray]:
    """Array of an NPY file, in Fortran order too. Raises ValueError for arrays of objects."""
    mapped = np.load(path, mmap_mode="r", allow_pickle=False)
    in_c_order = mapped.flags.c_contiguous
    yield StoredArray(FilePixels(path, mapped.offset, mapped.dtype, mapped.shape) if in_c_order else mapped)


@contextmanager
def create_like(source: StackFile, axes: Axes, path: Path, note: str) -> Iterator[FilePixels]:
    """New NPY file, in C order."""
    mapped = open_memmap(path, mode="w+", dtype=FLOAT, shape=axes.shape)
    yield FilePixels(path, mapped.offset, FLOAT, axes.shape).reserved()
