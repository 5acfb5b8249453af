"""The stretch between fluxes and the values a network sees: an exact pair, per band."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:
    import torch

    Pixels = TypeVar("Pixels", np.ndarray, torch.Tensor)


@dataclass(frozen=True)
class Stretch:
    """u = asinh((x - offset) / softening), per band (after Lupton, Gunn & Szalay 1999, AJ 118, 1406).

    Linear in the noise, logarithmic in bright sources, nothing clipped. All methods take and give numpy
    arrays or torch tensors (on any device) of shape (..., band, y, x) and keep their floating dtype.
    In float32 `inverse(forward(x))` agrees with x to about 2e-6 relative up to 1e6 times the softening:
    the rounding of u, amplified by its own size.

    softening : beta * sigma_sky, nanomaggies, one per band, above 0
    offset : what becomes 0, nanomaggies, one per band: the level of images without a subtracted background;
        empty (skies) is 0 in every band, and costs no time

    Raises
    ------
    ValueError : a softening is not a positive number, an offset is not finite; or an array has another number
        of bands
    """

    softening: tuple[float, ...]
    offset: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "softening", tuple(float(value) for value in self.softening))
        if not self.softening or not all(0 < value < np.inf for value in self.softening):
            raise ValueError(f"softening {self.softening} must be positive, one value per band")
        object.__setattr__(self, "offset", tuple(float(value) for value in self.offset))
        if len(self.offset) not in (0, len(self.softening)) or not np.isfinite(self.offset).all():
            raise ValueError(f"offset {self.offset} must be finite, one value per band or none")

    def forward(self, x: Pixels) -> Pixels:
        """Stretched values u (no unit) of fluxes x (nanomaggies)."""
        scaled = self.centred(x) / self._softening_like(x)
        if isinstance(x, np.ndarray):
            return np.arcsinh(scaled)
        return _asinh(scaled)

    def inverse(self, u: Pixels) -> Pixels:
        """Fluxes x (nanomaggies) of stretched values u; overflows beyond |u| = 88 in float32."""
        sinh = np.sinh(u) if isinstance(u, np.ndarray) else u.sinh()
        flux = sinh * self._softening_like(u)
        return flux + self._like(self.offset, u) if any(self.offset) else flux

    def centred(self, x: Pixels) -> Pixels:
        """Difference x - offset, the pixel above its level; x itself without an offset."""
        return x - self._like(self.offset, x) if any(self.offset) else x

    def slope(self, x: Pixels) -> Pixels:
        """du/dx at fluxes x: 1 / sqrt((x - offset)**2 + softening**2), per nanomaggie."""
        softening = self._softening_like(x)
        x = self.centred(x)
        if isinstance(x, np.ndarray):
            return 1 / np.hypot(x, softening)
        return 1 / x.hypot(softening)

    def _softening_like(self, x: Pixels) -> Pixels:
        """Softening as (band, 1, 1), in the dtype and on the device of x."""
        if x.ndim < 3 or x.shape[-3] != len(self.softening):
            raise ValueError(f"shape {tuple(x.shape)} is not (..., {len(self.softening)} bands, y, x)")
        return self._like(self.softening, x)

    @staticmethod
    def _like(values: tuple[float, ...], x: Pixels) -> Pixels:
        """One value per band as (band, 1, 1), in the dtype and on the device of x."""
        if isinstance(x, np.ndarray):
            return np.asarray(values, x.dtype).reshape(-1, 1, 1)
        return x.new_tensor(values).reshape(-1, 1, 1)


def _asinh(x: torch.Tensor) -> torch.Tensor:
    """Inverse hyperbolic sine of finite numbers, to rounding: log1p(|x| + x**2 / (1 + hypot(x, 1))), signed.

    On a CPU two to three times as fast as torch's own, which does one number after the other.
    """
    if x.is_cuda or x.requires_grad:
        return x.asinh()
    size = x.abs()
    small = (size / x.hypot(x.new_ones(())).add_(1)).mul_(size)  # the sum's last term, which cannot overflow
    return small.add_(size).log1p_().copysign_(x)
