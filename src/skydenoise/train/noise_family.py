"""A family of noises: more, of random strength and correlation, is added to a patch before a pair is made.

A network that sees one depth and one instrument learns that noise. Here every patch of every epoch has a
noise of its own, from that of the brick to `strength` times more, from white to smooth: one model serves all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy import fft
from torch import Tensor

from skydenoise.noise import NoiseModel, NoiseRange, neighbour_correlation

AS_IT_IS = 0.25
"""Share of the patches that get no more noise."""


@dataclass(frozen=True)
class NoiseFamily:
    """What may be added; strength and width are drawn for each patch and band.

    strength : largest rms, in units of the noise that a pixel has; 0 adds none
    width : largest rms width, pixels, of the Gaussian that smooths white noise: pixels that touch then have
        the correlation exp(-1 / (4 width**2)), 0.78 for 1 pixel
    """

    strength: float
    width: float

    def holds_for(self, noise: NoiseModel) -> NoiseRange:
        """Noises that a model sees in training if the bricks have this one."""
        own = NoiseRange.around(noise)
        if self.strength == 0:
            return own
        more, smooth = self.strength**2, np.exp(-0.25 / self.width**2) if self.width else 0.0
        rho = [(each + more * smooth) / (1 + more) for each in neighbour_correlation(noise)]
        depths = tuple((least, largest * np.sqrt(1 + more)) for least, largest in own.sigma_sky)
        return NoiseRange(depths, (min(own.correlation[0], 0.0), max(own.correlation[1], *rho)))


@dataclass(frozen=True, eq=False)
class Draw:
    """Noise for patches, each (n, band, y, x) float32 but strength, (n, band, 1, 1).

    extra : to be added `strength` times to the patch, of unit variance
    fresh : another draw of the noise that the patch has then, of unit variance
    """

    extra: Tensor
    strength: Tensor
    fresh: Tensor


class NoiseSource:
    """Noise with the measured correlation, and more of the family, for patches of one size.

    It is cropped from a grid wider by the reach of the correlations: opposite borders are independent.
    """

    def __init__(
        self, noise: NoiseModel, family: NoiseFamily, size: tuple[int, int], device: torch.device
    ) -> None:
        self.size, self.family = size, family
        reach = max(noise.max_lag, int(np.ceil(6 * family.width)))
        self.grid = tuple(fft.next_fast_len(edge + reach, real=True) for edge in size)
        amplitude = torch.from_numpy(noise.amplitude(*self.grid)).to(device)
        self.power = amplitude.square()  # (band, gy, gx // 2 + 1)
        frequency = np.hypot(np.fft.fftfreq(self.grid[0])[:, None], np.fft.rfftfreq(self.grid[1]))
        self.frequency = torch.from_numpy(frequency.astype(np.float32)).to(device)
        unpaired = np.fft.rfftfreq(self.grid[1]) % 0.5 == 0
        twice = np.float32(2) - unpaired  # rfft2 keeps one of each pair
        self.weight = torch.from_numpy(twice / np.prod(self.grid, dtype=np.float32)).to(device)

    def draw(self, seeds: Sequence[int]) -> Draw:
        """One draw per seed; a seed gives the same in any company."""
        bands, device = len(self.power), self.power.device
        generator = torch.Generator(device)
        chance = torch.empty((len(seeds), 2, bands, 1, 1), device=device)
        white = torch.empty((len(seeds), 2, bands, *self.grid), device=device)
        for luck, image, seed in zip(chance, white, seeds, strict=True):
            generator.manual_seed(seed)
            image.normal_(generator=generator)
            luck.uniform_(generator=generator)
        strength = self.family.strength * ((chance[:, 0] - AS_IT_IS) / (1 - AS_IT_IS)).clamp(min=0)
        smooth = self._smooth_power(self.family.width * chance[:, 1])
        total = (self.power + strength.square() * smooth) / (1 + strength.square())
        spectra = torch.fft.rfft2(white) * torch.stack([smooth, total], dim=1).sqrt()
        noise = torch.fft.irfft2(spectra, s=self.grid)[..., : self.size[0], : self.size[1]]
        return Draw(noise[:, 0], strength, noise[:, 1])

    def _smooth_power(self, width: Tensor) -> Tensor:
        """Power of white noise smoothed by a Gaussian of `width` (n, band, 1, 1), to unit variance."""
        power = torch.exp(-((2 * np.pi * width * self.frequency) ** 2))
        return power / (power * self.weight).sum((-2, -1), keepdim=True)
