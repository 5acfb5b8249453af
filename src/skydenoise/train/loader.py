"""Patches on their way to the device."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
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


class PatchLoader:
    """Batches of a PatchSet on `device`.

    A batch is image and counts, (n, band, y, x) float32: pixels in units of their own noise, above the level
    of the noise model, and 1 for those that count, else 0. A GPU with room for all patches holds them.
    """

    def __init__(self, patches: PatchSet, noise: NoiseModel, device: torch.device) -> None:
        self.patches, self.noise, self.device = patches, noise, device
        self.resident: tuple[Tensor, Tensor] | None = None
        size = 2 * 4 * len(patches) * int(np.prod(patches.shape))  # bytes of image and counts
        if device.type == "cuda" and size < RESIDENT * torch.cuda.mem_get_info(device)[0]:
            parts = [self._read(part) for part in np.array_split(np.arange(len(patches)), 1 + size // 2**30)]
            self.resident = torch.cat([part[0] for part in parts]), torch.cat([part[1] for part in parts])

    def batches(self, groups: Iterable[Array]) -> Iterator[tuple[Array, Tensor, Tensor]]:
        """Yield the patch numbers of each of `groups` with their image and counts, in order."""
        for group in groups:
            if self.resident is None:
                yield group, *self._read(group)
            else:
                chosen = torch.as_tensor(group, device=self.device)
                yield group, self.resident[0][chosen], self.resident[1][chosen]

    def _read(self, numbers: Array) -> tuple[Tensor, Tensor]:
        image, invvar = self.patches.get(numbers)
        sigma = self.noise.sigma(invvar)
        counts = (sigma > 0).astype(np.float32)
        total, covered = sigma.sum((-2, -1), keepdims=True), counts.sum((-2, -1), keepdims=True)
        sky = np.asarray(self.noise.sigma_sky, np.float32).reshape(-1, 1, 1)
        typical = np.where(covered > 0, total / np.maximum(covered, 1), sky)  # of the patch, for its gaps
        sigma = np.where(counts > 0, sigma, typical)
        pixels = (image - self.noise.zero) / sigma
        return torch.from_numpy(pixels).to(self.device), torch.from_numpy(counts).to(self.device)
