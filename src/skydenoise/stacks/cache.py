"""Many stacks, of which few are open at a time: a series is often thousands of files of one frame."""

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skydenoise.stacks.axes import Key
from skydenoise.stacks.stack import Stack, open_stack
from skydenoise.stacks.table import StackFile

OPEN = 8
"""Files open at a time."""


class _Shelf:
    """Opens stacks when they are needed, and closes the one that was not needed for longest."""

    def __init__(self, files: Mapping[str, StackFile]) -> None:
        self._files = files
        self._open: OrderedDict[str, tuple[ExitStack, Stack]] = OrderedDict()

    def take(self, name: str) -> Stack:
        if name not in self._open:
            if len(self._open) >= OPEN:
                self._open.popitem(last=False)[1][0].close()
            file, closer = self._files[name], ExitStack()
            stack = closer.enter_context(open_stack(file.path, dataset=file.dataset, axes=file.axes))
            self._open[name] = closer, stack
        self._open.move_to_end(name)
        return self._open[name][1]

    def close(self) -> None:
        for closer, _ in self._open.values():
            closer.close()


@dataclass(frozen=True)
class _Shelved:
    """Pixels of a stack that may be closed."""

    shelf: _Shelf
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def __getitem__(self, key: Key) -> NDArray[Any]:
        return self.shelf.take(self.name).pixels[key]


@contextmanager
def shelf(files: Mapping[str, StackFile]) -> Iterator[dict[str, Stack]]:
    """Stacks by name, to be read from in any order; each is opened once now, and at most OPEN stay open.

    Raises
    ------
    SettingsError, StepError : see `open_stack`
    """
    shelved = _Shelf(files)
    try:
        stacks = {}
        for name in files:
            stack = shelved.take(name)
            stacks[name] = replace(stack, pixels=_Shelved(shelved, name, stack.axes.shape, stack.dtype))
        yield stacks
    finally:
        shelved.close()
