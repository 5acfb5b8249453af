"""The stretch between pixels in units of their noise and the values a network sees: an exact pair."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:
    import torch

    Pixels = TypeVar("Pixels", np.ndarray, torch.Tensor)


@dataclass(frozen=True)
class Stretch:
    """u = asinh(v / softening), with v = (x - level) / sigma a pixel in units of its own noise.

    After Lupton, Gunn & Szalay 1999 (AJ 118, 1406): linear in the noise, logarithmic in bright sources,
    nothing clipped. Both methods take and give numpy arrays or torch tensors of any shape, on any device, and
    keep their floating dtype. In float32 `inverse(forward(v))` agrees with v to about 2e-6 relative up to 1e6
    times the softening: the rounding of u, amplified by its own size.

    softening : beta, in units of the noise, above 0

    Raises
    ------
    ValueError : the softening is not a positive number
    """

    softening: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "softening", float(self.softening))
        if not 0 < self.softening < np.inf:
            raise ValueError(f"softening {self.softening} is not a positive number")

    def forward(self, v: Pixels) -> Pixels:
        """Stretched values u (no unit) of pixels v (units of their noise)."""
        scaled = v / self.softening
        return np.arcsinh(scaled) if isinstance(v, np.ndarray) else asinh(scaled)

    def inverse(self, u: Pixels) -> Pixels:
        """Pixels v (units of their noise) of stretched values u; overflows beyond |u| = 88 in float32."""
        return (np.sinh(u) if isinstance(u, np.ndarray) else u.sinh()) * self.softening


def asinh(x: torch.Tensor) -> torch.Tensor:
    """Inverse hyperbolic sine of finite numbers, to rounding: log1p(|x| + x**2 / (1 + hypot(x, 1))), signed.

    On a CPU two to three times as fast as torch's own, which does one number after the other.
    """
    if x.is_cuda or x.requires_grad:
        return x.asinh()
    size = x.abs()
    small = (size / x.hypot(x.new_ones(())).add_(1)).mul_(size)  # the sum's last term, which cannot overflow
    return small.add_(size).log1p_().copysign_(x)
