"""The noise of a survey: its strength, its correlation between pixels, its level per starlet scale."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from skydenoise.noise.correlation import power_spectrum

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class NoiseModel:
    """Noise of each band: Gaussian, as strong as `scale` / sqrt(invvar), correlated as `correlation` says.

    bands : names, in the order of the leading axis of every array
    sigma_sky : rms noise of a typical (median) pixel of the sky, nanomaggies
    scale : true rms noise of a pixel in units of 1 / sqrt(invvar)
    correlation : (band, 2L+1, 2L+1) float64, correlation coefficient of two pixels against their distance
        (dy, dx) = -L..L; 1 at the centre, point-symmetric, its power spectrum nowhere negative
    levels : (band, scales) float64, rms of the starlet coefficients of noise of unit variance, fine to coarse
    scale_error : standard error of `scale`, from its scatter over blocks of the bricks; may be empty
    level : of the background, which the network sees as 0, nanomaggies; empty is 0

    Raises
    ------
    ValueError : where shapes do not agree or values are not possible
    """

    bands: tuple[str, ...]
    sigma_sky: tuple[float, ...]
    scale: tuple[float, ...]
    correlation: Array
    levels: Array
    scale_error: tuple[float, ...] = ()
    level: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        count = len(self.bands)
        correlation = np.asarray(self.correlation, dtype=np.float64)
        levels = np.asarray(self.levels, dtype=np.float64)
        object.__setattr__(self, "correlation", correlation)
        object.__setattr__(self, "levels", levels)
        for key in ("sigma_sky", "scale"):
            values = getattr(self, key)
            if len(values) != count or not all(np.isfinite(value) and value > 0 for value in values):
                raise ValueError(f"noise.{key}: {values} is not a positive number for each of {self.bands}")
        for key in ("scale_error", "level"):
            if (values := getattr(self, key)) and len(values) != count:
                raise ValueError(f"noise.{key}: {values} is not a number for each of {self.bands}")
        if (
            correlation.ndim != 3
            or correlation.shape[0] != count
            or correlation.shape[1] != correlation.shape[2]
        ):
            raise ValueError(f"noise.correlation: shape {correlation.shape} is not (band, 2L+1, 2L+1)")
        if correlation.shape[1] % 2 == 0 or not np.allclose(correlation, correlation[:, ::-1, ::-1]):
            raise ValueError("noise.correlation: not symmetric about a central pixel")
        if levels.ndim != 2 or levels.shape[0] != count or not np.all(levels > 0):
            raise ValueError(f"noise.levels: shape {levels.shape} is not (band, scales), or not all above 0")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, NoiseModel) and self.to_json() == other.to_json()

    def __hash__(self) -> int:
        return hash((self.bands, self.sigma_sky, self.scale))

    @property
    def max_lag(self) -> int:
        """L: pixels further apart than this, along either axis, are uncorrelated."""
        return int(self.correlation.shape[1] // 2)

    @property
    def zero(self) -> Array:
        """`level` of each band, 0 where there is none: (band, 1, 1) float32, nanomaggies."""
        return np.asarray(self.level or (0.0,) * len(self.bands), dtype=np.float32)[:, None, None]

    def to_json(self) -> dict[str, Any]:
        """Plain lists and numbers, from which `from_json` makes an equal model."""
        return {
            "bands": list(self.bands),
            "sigma_sky": [float(value) for value in self.sigma_sky],
            "scale": [float(value) for value in self.scale],
            "scale_error": [float(value) for value in self.scale_error],
            "level": [float(value) for value in self.level],
            "levels": self.levels.tolist(),
            "correlation": self.correlation.tolist(),
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """Inverse of `to_json`; raises KeyError or ValueError for anything else."""
        return cls(
            bands=tuple(content["bands"]),
            sigma_sky=tuple(content["sigma_sky"]),
            scale=tuple(content["scale"]),
            correlation=np.array(content["correlation"], dtype=np.float64),
            levels=np.array(content["levels"], dtype=np.float64),
            scale_error=tuple(content.get("scale_error", ())),
            level=tuple(content.get("level", ())),
        )

    @classmethod
    def read(cls, path: Path) -> Self:
        """Model in a JSON file that holds what `to_json` gave."""
        return cls.from_json(json.loads(path.read_text(encoding="utf-8")))

    def sigma(self, invvar: Array) -> Array:
        """Rms noise of each pixel, nanomaggies, float32.

        invvar : (band, y, x), nanomaggies^-2; where it is not above 0 the result is 0
        """
        scale = np.asarray(self.scale, dtype=np.float32)[:, None, None]
        numbers = np.fmax(invvar, 0, dtype=np.float32, casting="same_kind")  # NaN becomes 0
        np.sqrt(numbers, out=numbers)
        return np.divide(scale, numbers, out=numbers, where=numbers > 0)

    def amplitude(self, height: int, width: int) -> Array:
        """Square root of the power spectrum on a grid: (band, height, width // 2 + 1) float32.

        irfft2(rfft2(white) * amplitude, s=(height, width)) turns white noise of unit variance into noise of
        unit variance with this correlation, periodic at the borders of the grid. Any grid will do: one
        smaller than the correlation folds it.
        """
        power = np.maximum(power_spectrum(self.correlation, height, width), 0)
        both_sides = np.full(power.shape[-1], 2.0)  # rfft2 keeps one of each conjugate pair of columns
        both_sides[0] = 1
        if width % 2 == 0:
            both_sides[-1] = 1
        variance = (power @ both_sides).sum(axis=1) / (height * width)
        return np.sqrt(power / variance[:, None, None]).astype(np.float32)

    def draw(self, shape: Sequence[int], generator: np.random.Generator) -> Array:
        """Noise of unit variance with this correlation: float32 of `shape`, (..., band, y, x).

        Drawn on a grid wider by L, so that opposite borders are independent.
        """
        *leading, bands, height, width = shape
        if bands != len(self.bands):
            raise ValueError(f"shape {tuple(shape)} has {bands} bands, the noise model {len(self.bands)}")
        grid = tuple(fft.next_fast_len(size + self.max_lag, real=True) for size in (height, width))
        amplitude = self.amplitude(*grid)
        white = generator.standard_normal((*leading, bands, *grid), dtype=np.float32)
        noise = fft.irfft2(fft.rfft2(white) * amplitude, s=grid)
        return np.ascontiguousarray(noise[..., :height, :width], dtype=np.float32)
