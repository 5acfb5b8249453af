"""What the network sees and what it is compared with: pairs of images made from one noisy patch.

"identity": input and target are the patch itself (Wang et al. 2021). "recorrupted": input x + t z and target
x - z / t, with z drawn from the measured noise (Pang et al. 2021, CVPR, Recorrupted-to-Recorrupted). If z has
the covariance C of the noise in x, the noises of the two have covariance C - C = 0: Gaussian and
uncorrelated, so independent, and the best prediction of the target is the expected sky, given the input.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from scipy import fft
from torch import Tensor

from skydenoise.noise import NoiseModel


@dataclass(frozen=True)
class Pair:
    """Input and target, each (n, band, y, x) float32.

    source, target : in units of the noise that a pixel of the patch has before any corruption
    counts : 1, or 0 for pixels that do not count
    """

    source: Tensor
    target: Tensor
    counts: Tensor

    def oriented(self, orientations: Sequence[int]) -> Pair:
        """Each image flipped and turned by its number of 0..7; input and target alike.

        Turned after the noise is drawn, because its correlation has directions.
        """
        return Pair(*(turn_each(images, orientations) for images in (self.source, self.target, self.counts)))


class NoiseSource:
    """Noise of unit variance with the measured correlation, for patches of one size.

    It is drawn on a grid wider by the reach of the correlation and cropped, so that opposite borders are
    independent.
    """

    def __init__(self, noise: NoiseModel, size: tuple[int, int], device: torch.device) -> None:
        self.size = size
        self.grid = tuple(fft.next_fast_len(edge + noise.max_lag, real=True) for edge in size)
        self.amplitude = torch.from_numpy(noise.amplitude(*self.grid)).to(device)  # (band, gy, gx // 2 + 1)

    def draw(self, seeds: Sequence[int]) -> Tensor:
        """One image per seed, (n, band, y, x) float32; a seed gives the same image in any company."""
        device, bands = self.amplitude.device, len(self.amplitude)
        generator = torch.Generator(device)
        white = torch.empty((len(seeds), bands, *self.grid), device=device)
        for image, seed in zip(white, seeds, strict=True):
            image.normal_(generator=generator.manual_seed(seed))
        noise = torch.fft.irfft2(torch.fft.rfft2(white) * self.amplitude, s=self.grid)
        return noise[..., : self.size[0], : self.size[1]]


def identity_pair(image: Tensor, counts: Tensor) -> Pair:
    """The patch against itself."""
    return Pair(image, image, counts)


def recorrupted_pair(image: Tensor, counts: Tensor, unit_noise: Tensor, strength: float) -> Pair:
    """Make x + t z and x - z / t, with z = unit_noise and t = strength; no noise where nothing counts."""
    z = counts * unit_noise
    return Pair(image + strength * z, image - z / strength, counts)


def turn(image: Tensor, orientation: int) -> Tensor:
    """One of the eight orientations of a square (..., y, x): quarter turns, from 4 on after a flip in x."""
    flipped = image.flip(-1) if orientation >= 4 else image
    return flipped.rot90(orientation % 4, (-2, -1))


def turn_each(images: Tensor, orientations: Sequence[int]) -> Tensor:
    """`turn` each of the images (n, band, y, x) by its own number.

    One gather for all of them: on a GPU most of the time would go into starting eight small kernels for each.
    """
    places = _places(images.shape[-1], images.device)[torch.as_tensor(orientations, device=images.device)]
    flat = images.flatten(-2)
    return flat.gather(-1, places[:, None].expand_as(flat)).reshape(images.shape)


@lru_cache(maxsize=4)
def _places(edge: int, device: torch.device) -> Tensor:
    """Number of the pixel that comes to each place, for the eight orientations of a square, (8, y * x)."""
    square = torch.arange(edge**2, device=device).reshape(edge, edge)
    return torch.stack([turn(square, orientation).flatten() for orientation in range(8)])


def patch_seeds(seed: int, epoch: int, patches: Sequence[int]) -> tuple[list[int], list[int]]:
    """Noise seed and orientation (0..7) of each patch in an epoch.

    They depend on nothing else: not on the number of ranks, nor on the other patches of the batch.
    """
    states = [np.random.SeedSequence([seed, epoch, int(patch)]).generate_state(2) for patch in patches]
    return [int(noise) for noise, _ in states], [int(orientation % 8) for _, orientation in states]
