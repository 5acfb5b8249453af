"""The 1-sigma uncertainty of a denoised pixel: its noise before, times a measured ratio.

Definition. sigma = r(s) * sigma_noise, where sigma_noise is the rms noise of the input pixel, s >= 0 the
local signal in units of it (`local_signal`), and r a half-width, in units of sigma_noise, of the errors
|denoised - truth| of pixels with this s. These have longer tails than a Gaussian: r is the half-width for
which the share of errors within it exceeds 68.3 % by as much as that within twice of it falls short of 95.4.
There are three curves r per band: for pixels whose detail came from the network, for such where another band
was not measured, and for those where residual was put back, whose error is that of the noise itself.
`calibrate` measures them.

It is an interval for a single pixel. Errors of neighbouring pixels are correlated, so errors of sums over
apertures do not follow from it by adding squares.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from skydenoise import starlet
from skydenoise.errors import StepError
from skydenoise.network.device import to_numpy
from skydenoise.stretch import asinh

Array = NDArray[Any]

COVERAGE = 0.6827, 0.9545
"""Shares of errors within 1 and 2 sigma: those of a Gaussian."""

RATIO_FLOOR = 1e-2
"""Least ratio: the smooth plane that is put back brings 0.013 of a pixel's noise with it (`background`)."""

SIGNAL_EDGES = (
    *(1e-6, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5, 7, 10, 15, 20, 30, 50, 100, 200),
    *(500, 1000),
)
"""Borders between bins of s; the first bin holds s = 0, the last one is open."""

LEAST_PIXELS = 400
"""In a bin; smaller ones are joined. The quantile is then good to 4 % for independent errors."""

BRIGHT_EDGES = (3.0, 10.0, 30.0, 100.0)
"""Borders of s between groups whose ratios are corrected together; below the first none is."""

CORRELATED_PIXELS = 4
"""Neighbours that count as one independent pixel in a standard error."""


@dataclass(frozen=True)
class Curve:
    """Ratio r against signal s: linear in asinh(s) between knots, constant beyond the first and the last.

    signal : s at the knots, rising, no unit
    ratio : r at the knots, above 0, no unit

    Raises
    ------
    ValueError : no knots, not rising, or a ratio that is not above 0
    """

    signal: tuple[float, ...]
    ratio: tuple[float, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "signal", tuple(float(value) for value in self.signal))
        object.__setattr__(self, "ratio", tuple(float(value) for value in self.ratio))
        if not self.signal or len(self.signal) != len(self.ratio):
            raise ValueError(f"{len(self.signal)} signals and {len(self.ratio)} ratios are no curve")
        rises = (np.diff(self.signal) > 0).all() and self.signal[-1] < 1e18  # float32 holds its square
        if not rises or not all(0 < value < np.inf for value in self.ratio):
            raise ValueError("signals of a curve must rise, and ratios be above 0")

    def __call__(self, signal: Tensor) -> Tensor:
        """Ratios at `signal` >= 0, float32 of any shape, on its device; of the same shape, float32."""
        knots = asinh(torch.tensor(self.signal))
        place, ratio = asinh(signal), torch.full_like(signal, self.ratio[0])
        for knot, width, end in zip(knots.tolist(), knots.diff().tolist(), self.ratio[1:], strict=False):
            ratio.lerp_(ratio.new_tensor(end), (place - knot).div_(width).clamp_(0, 1))
        return ratio


KINDS = ("network", "recovered", "single")
"""Of curves."""


@dataclass(frozen=True)
class UncertaintyModel:
    """Measured ratios of a denoiser.

    bands : names, in the order of the leading axis of arrays
    network : a curve per band, for pixels that are the network's alone
    recovered : a curve per band, for pixels where residual was put back
    single : a curve per band, for pixels that are the network's where another band was not measured
    conditions : what the ratios hold for (model, settings); a text to compare
    """

    bands: tuple[str, ...]
    network: tuple[Curve, ...]
    recovered: tuple[Curve, ...]
    single: tuple[Curve, ...]
    conditions: str = ""

    def __post_init__(self) -> None:
        if not len(self.bands) == len(self.network) == len(self.recovered) == len(self.single):
            raise ValueError(f"one curve of each kind is needed for each of the bands {self.bands}")

    def to_json(self) -> dict[str, Any]:
        """Plain lists and numbers, from which `from_json` makes an equal model."""
        return {
            "bands": list(self.bands),
            "conditions": self.conditions,
            **{
                kind: [
                    {"signal": list(curve.signal), "ratio": list(curve.ratio)}
                    for curve in getattr(self, kind)
                ]
                for kind in KINDS
            },
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """Inverse of `to_json`; raises KeyError or ValueError for anything else."""
        curves = {
            kind: tuple(Curve(curve["signal"], curve["ratio"]) for curve in content[kind]) for kind in KINDS
        }
        return cls(bands=tuple(content["bands"]), conditions=str(content["conditions"]), **curves)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Content of uncertainty.json; raises StepError if that is damaged."""
        try:
            return cls.from_json(json.loads(path.read_text(encoding="utf-8")))
        except (KeyError, TypeError, ValueError) as error:
            cause = " ".join(f"{type(error).__name__}: {error}".split())
            raise StepError(f"{path} is damaged ({cause}); remove it: the next run measures it") from error

    @torch.inference_mode()
    def sigma(
        self,
        denoised: Array,
        noise_sigma: Array,
        recovered: Array | None = None,
        device: str = "cpu",
        single: Array | None = None,
    ) -> Array:
        """1-sigma uncertainty of each pixel: (band, y, x) float32, nanomaggies, 0 where noise_sigma is 0.

        denoised : (band, y, x) float32, nanomaggies
        noise_sigma : (band, y, x) float32, nanomaggies: rms noise of the input, 0 where nothing was measured
        recovered : (band, y, x) bool, where residual was put back; None for nowhere
        device : where to do it: "cpu", "cuda", "cuda:1", ...
        single : (y, x) bool, where not every band was measured; None for nowhere
        """
        images, noises = (torch.from_numpy(each).to(device) for each in (denoised, noise_sigma))
        back = None if recovered is None else torch.from_numpy(recovered).to(device)
        fewer = None if single is None else torch.from_numpy(single).to(device)
        sigma = torch.empty_like(images)
        for band, (image, noise) in enumerate(zip(images, noises, strict=True)):
            for rows in starlet.strips(image):
                above = min(rows.start, 1)  # a row on either side, for the mean
                wider = slice(rows.start - above, rows.stop + 1)
                signal = local_signal(image[wider], noise[wider])[above:][: rows.stop - rows.start]
                ratio = self.network[band](signal)
                if fewer is not None and (here := fewer[rows]).any():
                    ratio[here] = self.single[band](signal[here])
                if back is not None and (here := back[band, rows]).any():
                    ratio[here] = self.recovered[band](signal[here])
                torch.mul(ratio, noise[rows], out=sigma[band, rows])
        return to_numpy(sigma)


def local_signal(denoised: Tensor, noise_sigma: Tensor) -> Tensor:
    """Signal s = max(0, mean of 3x3 denoised pixels) / noise_sigma: float32, 0 where noise_sigma is 0.

    Pixels at the border count twice or more, for those that lie beyond.

    denoised, noise_sigma : (y, x) float32, nanomaggies
    """
    padded = functional.pad(denoised[None, None], (1, 1, 1, 1), mode="replicate")[0, 0]
    columns = (padded[:-2] + padded[1:-1]).add_(padded[2:])
    smooth = (columns[:, :-2] + columns[:, 1:-1]).add_(columns[:, 2:]).div_(9)
    return smooth.clamp_min_(0).div_(noise_sigma).masked_fill_(~(noise_sigma > 0), 0)


def fit_curve(signal: Array, error: Array) -> Curve:
    """Curve of the `half_width` of errors against signal.

    signal, error : (n,), n >= 1, both in units of the noise

    Bins between SIGNAL_EDGES that hold fewer than LEAST_PIXELS are joined with the next brighter one, the
    last with the one before. Each gives a knot at its median signal.
    """
    order = np.argsort(signal, kind="stable")
    signal, error = signal[order], error[order]
    borders = [0]
    for border in np.searchsorted(signal, SIGNAL_EDGES):
        if border - borders[-1] >= LEAST_PIXELS:
            borders.append(int(border))
    if len(borders) > 1 and len(signal) - borders[-1] < LEAST_PIXELS:
        borders.pop()
    knots: dict[float, float] = {}
    for first, last in zip(borders, [*borders[1:], len(signal)], strict=True):
        knots[float(np.median(signal[first:last]))] = half_width(error[first:last])
    return Curve(tuple(knots), tuple(max(ratio, RATIO_FLOOR) for ratio in knots.values()))


def half_width(error: Array) -> float:
    """Half-width for which the shares of errors (n,) within it and within twice of it are nearest COVERAGE.

    That is where the sum of both shares is that of COVERAGE: a quantile of |error| and |error| / 2 together.
    """
    size = np.abs(error)
    return float(np.quantile(np.concatenate([size, size / 2]), np.mean(COVERAGE)))


@dataclass(frozen=True, eq=False)
class Sample:
    """Pixels of one band in one cutout, measured on by `calibrate`; every array (n,), in units of the noise.

    signal, error, recovered : local signal, error, and whether residual was put back (bool), where noise was
        added to a known image
    data_signal, data_risk : local signal of the real image, and an unbiased estimate of its squared error,
        very noisy in a single pixel
    """

    signal: Array
    error: Array
    recovered: Array
    data_signal: Array
    data_risk: Array


def fit_curves(samples: Sequence[Sample]) -> tuple[Curve, Curve]:
    """Curves of one band: of pixels that are the network's alone, and of recovered ones.

    Where one kind has too few pixels (LEAST_PIXELS) all are taken together. Both are then corrected by
    `bright_factors`.

    Raises
    ------
    ValueError : no pixel at all
    """
    columns = {
        each.name: np.concatenate([getattr(part, each.name) for part in samples]) for each in fields(Sample)
    }
    whole = Sample(**columns)
    if whole.signal.size == 0:
        raise ValueError("no pixel to measure uncertainty on")
    factors = bright_factors(whole)
    curves = []
    for kind in (~whole.recovered, whole.recovered):
        chosen = kind if kind.sum() >= LEAST_PIXELS else np.ones_like(kind)
        curve = fit_curve(whole.signal[chosen], whole.error[chosen])
        group = np.searchsorted(BRIGHT_EDGES, curve.signal, side="right")
        curves.append(Curve(curve.signal, tuple(factors[group] * curve.ratio)))
    return curves[0], curves[1]


def bright_factors(sample: Sample) -> Array:
    """By how much errors exceed the bootstrap's, per group of signal below, between, above BRIGHT_EDGES.

    sqrt(mean data_risk / mean error**2), at least 1, and 1 where the excess is below twice its standard
    error or pixels are few. Always 1 for the faintest group, whose squared errors (a hundredth of the
    noise's) are far below what the noise is known to.
    """
    factors = np.ones(len(BRIGHT_EDGES) + 1)
    group = np.searchsorted(BRIGHT_EDGES, sample.signal, side="right")
    data_group = np.searchsorted(BRIGHT_EDGES, sample.data_signal, side="right")
    for index in range(1, len(factors)):
        square, risk = sample.error[group == index] ** 2, sample.data_risk[data_group == index]
        if min(square.size, risk.size) < LEAST_PIXELS:
            continue
        expected, found = float(square.mean()), float(risk.mean())
        doubt = float(risk.std()) / np.sqrt(risk.size / CORRELATED_PIXELS)
        if found - expected > 2 * doubt:
            factors[index] = np.sqrt(found / expected)
    return factors
