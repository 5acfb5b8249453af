"""What the network sees and what it is compared with: pairs of images made from one noisy patch.

"identity": input and target are the patch itself (Wang et al. 2021). "recorrupted": input x + t z and target
x - z / t, with z drawn from the measured noise (Pang et al. 2021, CVPR, Recorrupted-to-Recorrupted). If z has
the covariance C of the noise in x, the noises of the two have covariance C - C = 0: Gaussian and
uncorrelated, so independent, and the best prediction of the target is the expected sky, given the input.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from skydenoise.train.noise_family import Draw


@dataclass(frozen=True)
class Pair:
    """Input and target, each (n, band, y, x) float32.

    source, target : in units of the noise that a pixel of the patch has before any corruption
    counts : 1, or 0 for pixels that do not count
    """

    source: Tensor
    target: Tensor
    counts: Tensor

    def of_bands(self, kept: Tensor) -> Pair:
        """Only the bands that are `kept`, (n, band, 1, 1) 0 or 1: the others are 0 and do not count."""
        return Pair(self.source * kept, self.target, self.counts * kept)

    def oriented(self, orientations: Sequence[int]) -> Pair:
        """Each image flipped and turned by its number of 0..7; input and target alike.

        Turned after the noise is drawn, because its correlation has directions.
        """
        return Pair(*(turn_each(images, orientations) for images in (self.source, self.target, self.counts)))


def recorrupted_pair(image: Tensor, counts: Tensor, noise: Draw, recorruption: float) -> Pair:
    """Make x + t z and x - z / t of x = (image + s e) / sqrt(1 + s**2), with t = recorruption; no noise where
    nothing counts.

    noise : e, s and z; with noise of unit variance in the image and in e, x has unit variance, too
    """
    x = (image + noise.strength * counts * noise.extra) / (1 + noise.strength.square()).sqrt()
    z = counts * noise.fresh
    return Pair(x + recorruption * z, x - z / recorruption, counts)


def turn_each(images: Tensor, orientations: Sequence[int]) -> Tensor:
    """Squares (n, band, y, x), each turned by its number of quarters, from 4 on after a flip in x.

    A quarter is a flip in x and a transposition, so all eight are made of two flips and a transposition.
    """
    number = torch.as_tensor(orientations, device=images.device)[:, None, None, None]
    images = torch.where((number ^ number >> 1 ^ number >> 2) & 1 == 1, images.flip(-1), images)
    images = torch.where(number & 2 == 2, images.flip(-2), images)
    return torch.where(number & 1 == 1, images.mT, images).contiguous()


def random_bands(seeds: Sequence[int], bands: int, share: float) -> np.ndarray:
    """Which bands a network sees of each patch: (n, band) float32, 1 or 0, at least one of each patch.

    share : of the patches that lose bands; each of their bands stays with a probability of one half
    """
    kept = np.ones((len(seeds), bands), np.float32)
    for row, seed in zip(kept, seeds, strict=True):
        generator = np.random.default_rng([seed, bands])
        if generator.random() < share:
            row[:] = generator.random(bands) < 0.5
            row[generator.integers(bands)] = 1
    return kept


def patch_seeds(seed: int, epoch: int, patches: Sequence[int]) -> tuple[list[int], list[int]]:
    """Noise seed and orientation (0..7) of each patch in an epoch.

    They depend on nothing else: not on the number of ranks, nor on the other patches of the batch.
    """
    states = [np.random.SeedSequence([seed, epoch, int(patch)]).generate_state(2) for patch in patches]
    return [int(noise) for noise, _ in states], [int(orientation % 8) for _, orientation in states]
