"""The noise of a survey, measured: its strength, its correlation between pixels, its level per starlet scale.

How it is measured. In blocks of the training bricks background and sources are taken off (`sky`), and what
is left is multiplied by sqrt(invvar). Sources too faint to be masked remain: they raise the noise and, over
the width of the point spread function, its correlation, by a percent or so at the survey's depth.
"""

import itertools
import json
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from skydenoise.errors import BrickError, SettingsError
from skydenoise.noise.correlation import autocorrelation, power_spectrum, valid_correlation
from skydenoise.noise.levels import noise_levels
from skydenoise.noise.sky import empty_sky

if TYPE_CHECKING:
    from skydenoise.brick import Brick

_log = logging.getLogger(__name__)

Array = NDArray[Any]

BLOCK = 512
"""Largest edge of a block, pixels."""
BLOCKS_PER_BAND = 12
"""Blocks of a brick that are looked at, spread evenly: 3 million pixels give rho to 0.001."""
OUTLIER = 5.0
"""Single pixels beyond this many sigma, of either sign, are defects."""
MINIMUM_SKY = 10_000
"""Fewest sky pixels of a band for a measurement: sigma to 1 %, correlation to 0.01."""


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
    level : value that the network sees as 0, the stretch's offset, nanomaggies; empty is 0 (skies)

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
        covered = invvar > 0
        root = np.sqrt(
            invvar, out=np.ones(invvar.shape, dtype=np.float32), where=covered, casting="same_kind"
        )
        return np.where(covered, scale / root, np.float32(0))

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


@dataclass
class _Tally:
    """Sums over the blocks of one band."""

    products: Array  # (2L+1, 2L+1) sum of y(p) y(p+d) over pairs of sky pixels
    pairs: Array  # (2L+1, 2L+1) number of pairs
    variances: list[float] = field(default_factory=list)  # of y, robust, per block
    pixels: list[int] = field(default_factory=list)  # sky pixels per block
    inverse_root: list[Array] = field(default_factory=list)  # 1 / sqrt(invvar) of a sample, per brick

    def add(self, y: Array, sky: Array) -> None:
        """Count in the whitened pixels `y` of a block where `sky`."""
        values = y[sky]
        centre = np.median(values)
        variance = float(1.4826 * np.median(np.abs(values - centre))) ** 2
        if variance == 0:  # an empty image that claims to be measured
            return
        kept = sky & (np.abs(y - centre) < OUTLIER * np.sqrt(variance))
        deviation = np.where(kept, y - y[kept].mean(), 0)
        max_lag = self.products.shape[0] // 2
        self.products += autocorrelation(deviation, max_lag)
        self.pairs += autocorrelation(kept, max_lag)
        self.variances.append(variance)
        self.pixels.append(int(values.size))


def measure_noise(bricks: "Iterable[Brick]", *, scales: int = 5, max_lag: int = 8) -> NoiseModel:
    """Measure the noise on the empty sky of bricks, which are taken one at a time.

    scales : starlet scales whose levels are wanted
    max_lag : L, pixels; correlation beyond it is not looked for

    Raises
    ------
    SettingsError : there is no brick, or a band has too few pixels of empty sky in all of them together
    BrickError : a brick has other bands than the first
    """
    bands: tuple[str, ...] = ()
    tallies: list[_Tally] = []
    for brick in bricks:
        if not tallies:
            bands = brick.bands
            zero = np.zeros((2 * max_lag + 1, 2 * max_lag + 1))
            tallies = [_Tally(zero.copy(), zero.copy()) for _ in bands]
        if brick.bands != bands:
            raise BrickError(f"bands {', '.join(brick.bands)}, not {', '.join(bands)}", brick=brick.name)
        _add_brick(tallies, brick)
        del brick  # or two would be in memory while the next one is read
    if not tallies:
        raise SettingsError("noise: there is no training brick to measure it on")
    for band, tally in zip(bands, tallies, strict=True):
        if sum(tally.pixels) < MINIMUM_SKY:
            raise SettingsError(
                f"noise: band {band} has {sum(tally.pixels)} pixels of empty sky in the training bricks, "
                f"{MINIMUM_SKY} are needed: add bricks with coverage in {band}"
            )
    return _model(bands, tallies, scales)


def _model(bands: tuple[str, ...], tallies: list[_Tally], scales: int) -> NoiseModel:
    scale, error, sigma_sky = [], [], []
    for tally in tallies:
        weights = np.array(tally.pixels) / sum(tally.pixels)
        roots = np.sqrt(tally.variances)
        scale.append(float(np.sqrt(weights @ np.array(tally.variances))))
        # Scatter of a weighted mean about itself: Cochran (1977), with the weights taken as fixed.
        error.append(float(np.sqrt(weights**2 @ (roots - weights @ roots) ** 2)))
        sigma_sky.append(float(scale[-1] * np.median(np.concatenate(tally.inverse_root))))
    correlation = np.stack([valid_correlation(tally.products, tally.pairs) for tally in tallies])
    levels = np.stack([noise_levels(band, scales) for band in correlation])
    model = NoiseModel(bands, tuple(sigma_sky), tuple(scale), correlation, levels, tuple(error))
    for index, band in enumerate(bands):
        lags = correlation[index, model.max_lag :, model.max_lag]
        _log.info(
            "noise in %s: %.3g nMgy, %.3f +- %.3f / sqrt(invvar), correlation %.2f at 1 px, %.2f at 2 px",
            *(band, sigma_sky[index], scale[index], error[index], lags[1], lags[2]),
        )
    return model


def _add_brick(tallies: list[_Tally], brick: "Brick") -> None:
    usable = brick.usable
    step = max(1, min(brick.shape) // 200)
    for tally, invvar, covered in zip(tallies, brick.invvar, usable, strict=True):
        tally.inverse_root.append(1 / np.sqrt(invvar[::step, ::step][covered[::step, ::step]]))
    for rows, columns in _blocks(usable):
        block = (slice(None), rows, columns)
        whitened, sky = empty_sky(brick.image[block], brick.invvar[block], usable[block], brick.masked[block])
        for tally, y, here in zip(tallies, whitened, sky, strict=True):
            if np.count_nonzero(here) > here.size / 50:  # fewer are the dregs of a crowded or uncovered block
                tally.add(y, here)


def _blocks(usable: Array) -> Iterator[tuple[slice, slice]]:
    """Blocks (rows, columns) spread over the covered area of each band of `usable` (band, y, x)."""
    edges = [np.linspace(0, size, max(2, -(-size // BLOCK)) + 1).astype(int) for size in usable.shape[1:]]
    rows, columns = ([slice(a, b) for a, b in itertools.pairwise(edge)] for edge in edges)
    blocks = [(row, column) for row in rows for column in columns]
    covered = np.array([usable[:, row, column].mean(axis=(1, 2)) for row, column in blocks])  # (block, band)
    chosen: set[int] = set()
    for fraction in covered.T:
        full = np.flatnonzero((fraction >= min(0.5, fraction.max())) & (fraction > 0))
        if len(full):
            chosen.update(full[np.linspace(0, len(full) - 1, BLOCKS_PER_BAND).round().astype(int)])
    for index in sorted(chosen):
        yield blocks[index]
