"""How far outputs are from their target, at each resolution, over the pixels that count."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from skydenoise.stretch import Stretch
from skydenoise.train.pairs import Pair

LINEAR_BEYOND = 1.0
"""Distance in u from the input beyond which `decode` goes on as a straight line."""


@dataclass(frozen=True)
class Criterion:
    """A loss of all resolutions together, with equal weights.

    kind : "l1" or "l2", absolute or squared difference of stretched values: the noise of the target is
        stretched with it, so a star of 5 sigma comes out too faint. Or "flux", without bias: the squared
        difference of fluxes, in units of the noise, divided by softening**2 + input**2. That weight keeps
        the brightest stars from ruling the sum; it depends on the input alone, whose noise is independent
        of the target's (`pairs`), so the best prediction is the mean flux, whatever the weight.
    stretch : between pixels in units of their noise and outputs
    """

    kind: str
    stretch: Stretch

    def __call__(self, outputs: Sequence[Tensor], pair: Pair) -> Tensor:
        """Mean over samples, bands, pixels and resolutions, (); pixels that do not count add 0.

        outputs : (n, band, y / 2**k, x / 2**k) stretched values, k = 0, 1, 2, ...
        """
        counts = pair.counts
        losses = []
        for k, output in enumerate(outputs):
            weight = functional.avg_pool2d(counts, 2**k) if k else counts  # fraction of pixels that count
            losses.append((weight * self._per_pixel(output, pair, k)).mean())
        return torch.stack(losses).mean()

    def _per_pixel(self, output: Tensor, pair: Pair, k: int) -> Tensor:
        """Loss of each pixel of resolution k, (n, band, y / 2**k, x / 2**k)."""
        if self.kind == "flux":
            source, target = pool(pair.source, pair.counts, k), pool(pair.target, pair.counts, k)
            flux = decode(output, self.stretch.forward(source), self.stretch)
            return ((flux - target) / source.square().add(self.stretch.softening**2).sqrt()).square()
        difference = output - pool(self.stretch.forward(pair.target), pair.counts, k)
        return difference.abs() if self.kind == "l1" else difference.square()


def pool(values: Tensor, counts: Tensor, k: int) -> Tensor:
    """Mean of the pixels that count, in cells of 2**k x 2**k; a cell without any has the mean of all.

    values, counts : (n, band, y, x), counts 0 or 1

    Returns (n, band, y / 2**k, x / 2**k).
    """
    if k == 0:
        return values
    fraction = functional.avg_pool2d(counts, 2**k)
    inside = functional.avg_pool2d(values * counts, 2**k) / fraction.clamp(min=1e-30)
    return torch.where(fraction > 0, inside, functional.avg_pool2d(values, 2**k))


def decode(u: Tensor, around: Tensor, stretch: Stretch) -> Tensor:
    """Flux, in units of the noise, of stretched values u: `stretch.inverse`, straight far from `around`.

    Far above, sinh would explode in an untrained network; far below, its slope is so small that a star
    predicted too faint would never be found again. Monotone and smooth; u and around (n, band, y, x).
    """
    near = torch.minimum(torch.maximum(u, around - LINEAR_BEYOND), around + LINEAR_BEYOND)
    return stretch.inverse(near) + (u - near) * stretch.softening * near.cosh()
