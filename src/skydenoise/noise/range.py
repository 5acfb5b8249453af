"""The noises that a model was trained for, and what lies outside of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from skydenoise.noise.model import NoiseModel

DEPTH = 3.0
"""Factor of sigma_sky, either way, in which a model of one depth is known to hold (docs/fidelity.md)."""
CORRELATION = 0.1
"""Difference of the correlation at one pixel, likewise."""


@dataclass(frozen=True)
class NoiseRange:
    """Noises for which a model holds.

    sigma_sky : least and largest rms noise of a sky pixel, of each band, nanomaggies
    correlation : least and largest correlation coefficient of pixels that touch
    """

    sigma_sky: tuple[tuple[float, float], ...]
    correlation: tuple[float, float]

    @classmethod
    def around(cls, noise: NoiseModel) -> Self:
        """What a model holds for that was trained on this noise alone."""
        rho = neighbour_correlation(noise)
        depths = tuple((sigma / DEPTH, sigma * DEPTH) for sigma in noise.sigma_sky)
        return cls(depths, (min(rho) - CORRELATION, max(rho) + CORRELATION))

    def foreign(self, bands: Sequence[str], sigma_sky: Sequence[float], correlation: Sequence[float]) -> str:
        """What of a brick's noise lies outside, in one line; empty if nothing does.

        sigma_sky, correlation : of each band: rms noise of a sky pixel, nanomaggies, 0 if it has no data;
            `neighbour_correlation`
        """
        found = []
        for band, sigma, rho, (least, largest) in zip(
            bands, sigma_sky, correlation, self.sigma_sky, strict=True
        ):
            if sigma == 0:
                continue
            if not least <= sigma <= largest:
                found.append(f"{band}: noise {sigma:.3g} not in {least:.3g} to {largest:.3g}")
            if not self.correlation[0] <= rho <= self.correlation[1]:
                low, high = self.correlation
                found.append(f"{band}: correlation {rho:.2f} not in {low:.2f} to {high:.2f}")
        return ", ".join(found)

    def to_json(self) -> dict[str, Any]:
        """Plain lists, from which `from_json` makes an equal range."""
        return {"sigma_sky": [list(pair) for pair in self.sigma_sky], "correlation": list(self.correlation)}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """Inverse of `to_json`; raises KeyError or ValueError for anything else."""
        depths = tuple((float(least), float(largest)) for least, largest in content["sigma_sky"])
        least, largest = content["correlation"]
        return cls(depths, (float(least), float(largest)))


def neighbour_correlation(noise: NoiseModel) -> list[float]:
    """Correlation coefficient of two pixels that touch, mean over both axes, of each band."""
    centre = noise.max_lag
    if centre == 0:
        return [0.0] * len(noise.bands)
    return [float(each[centre, centre + 1] + each[centre + 1, centre]) / 2 for each in noise.correlation]
