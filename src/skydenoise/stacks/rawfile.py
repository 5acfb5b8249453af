"""Pixels that lie one after the other in a file, read and written where they lie.

Not by a memory map where it can be helped: the pages of one stay in a process as long as there is room, so
that its memory seems to grow with the file.
"""

from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from skydenoise.stacks.axes import Key

Array = NDArray[Any]


@dataclass(frozen=True)
class RawPixels:
    """An array in C order in a file.

    path, offset : where its first byte lies
    dtype : with its byte order
    shape : of the whole array
    """

    path: Path
    offset: int
    dtype: np.dtype[Any]
    shape: tuple[int, ...]

    def __getitem__(self, key: Key) -> Array:
        """Copy of the pixels at `key`: numbers first means one read, else only the pages touched."""
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
