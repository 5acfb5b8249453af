"""Patches on their way to the device, the next batch read while the network works on this one."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from skydenoise.noise import NoiseModel
from skydenoise.patches import PatchSet

Array = NDArray[Any]

RESIDENT = 0.5
"""Largest fraction of a GPU's free memory that the patches may take; else they stay on the disk."""


class Feed:
    """Batches of a PatchSet on `device`.

    A batch is image and sigma, (n, band, y, x) float32 nanomaggies; sigma is the noise of each pixel, 0 where
    it does not count. On a GPU with room for all patches they are copied there once.
    """

    def __init__(self, patches: PatchSet, noise: NoiseModel, device: torch.device) -> None:
        self.patches, self.noise, self.device = patches, noise, device
        self.resident: tuple[Tensor, Tensor] | None = None
        size = 2 * 4 * len(patches) * int(np.prod(patches.shape))  # bytes of image and sigma
        if device.type == "cuda" and size < RESIDENT * torch.cuda.mem_get_info(device)[0]:
            parts = [self._read(part) for part in np.array_split(np.arange(len(patches)), 1 + size // 2**30)]
            self.resident = torch.cat([part[0] for part in parts]), torch.cat([part[1] for part in parts])

    def batches(self, groups: Iterable[Array]) -> Iterator[tuple[Array, Tensor, Tensor]]:
        """Yield the patch numbers of each of `groups` with their image and sigma, in order."""
        if self.resident is not None:
            for group in groups:
                chosen = torch.as_tensor(group, device=self.device)
                yield group, self.resident[0][chosen], self.resident[1][chosen]
            return
        with ThreadPoolExecutor(1, "patches") as reader:
            waiting: deque[tuple[Array, Future[tuple[Tensor, Tensor]]]] = deque()
            for group in groups:
                waiting.append((group, reader.submit(self._read, group)))
                if len(waiting) > 1:
                    numbers, ready = waiting.popleft()
                    yield numbers, *ready.result()
            for numbers, ready in waiting:
                yield numbers, *ready.result()

    def _read(self, numbers: Array) -> tuple[Tensor, Tensor]:
        image, invvar = self.patches.get(numbers)
        return self._send(image), self._send(self.noise.sigma(invvar))

    def _send(self, array: Array) -> Tensor:
        tensor = torch.from_numpy(array)
        if self.device.type == "cpu":
            return tensor
        return tensor.pin_memory().to(self.device, non_blocking=True)
