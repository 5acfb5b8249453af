"""Where a residual is significant, and how finely: the multiresolution support (`recover` says how).

In slabs of rows: what is held of every scale at once is large.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from skydenoise import starlet
from skydenoise.config import RecoverSettings
from skydenoise.network.device import to_numpy

_NO_NOISE = 1e-30
"""Nanomaggies; in place of 0, where there is no data and the residual is 0, too."""

_ROUNDING = 1 - 1e-5
"""Of a squared threshold, so that comparing squares in float32 misses no pixel above it.

Below a noise of 1e-19, in whatever unit images have, squares of coefficients lose digits.
"""


class Candidates(NamedTuple):
    """Pixels of a band whose significance at one scale exceeds `growth`; every array (n,).

    places : int64, counted along the rows
    seed : bool: significant enough, in this band or in the sum of all, for a region to start from
    positive : bool: the coefficient is
    source : bool: the smoothed residual says the same, so this is no ring of the filter
    """

    places: Tensor
    seed: Tensor
    positive: Tensor
    source: Tensor


def find_support(
    measured: Tensor, base: Tensor, noise: Tensor, good: Tensor, levels: np.ndarray, settings: RecoverSettings
) -> Tensor:
    """Find where the residual (measured - base) is significant, and how finely.

    measured, base, noise : (band, y, x) float32, nanomaggies; negative residuals count where base > noise
    good : (band, y, x) bool; elsewhere the residual counts as 0
    levels : (band, scales)

    Returns (band, y, x) uint8: the finest significant scale of a pixel of the footprint, settings.scales
    elsewhere.
    """
    found: dict[tuple[int, int], list[Candidates]] = defaultdict(list)
    for rows, own in starlet.slabs(good.shape[1], starlet.reach(settings.scales)):
        unusable = ~good[:, rows]
        residual = (measured[:, rows] - base[:, rows]).masked_fill_(unusable, 0)
        variance = noise[:, rows].square().masked_fill_(unusable, 0)
        del unusable
        for scale, planes in enumerate(_candidates(residual, variance, own, levels, settings)):
            for band, each in enumerate(planes):
                found[band, scale].append(each._replace(places=each.places + rows.start * good.shape[2]))
    finest = torch.full_like(good, settings.scales, dtype=torch.uint8)
    for band, support in enumerate(finest):
        flat, bright = support.view(-1), (base[band] > noise[band]).view(-1)
        footprint = torch.zeros_like(bright)
        for scale in range(settings.scales):
            joined = Candidates(*(torch.cat(each) for each in zip(*found.pop((band, scale)), strict=True)))
            region = reached(to_numpy(joined.places), to_numpy(joined.seed), support.shape)
            held = torch.from_numpy(region).to(flat.device)
            held &= joined.positive | bright[joined.places]
            places = joined.places[held]
            flat[places[flat[places] == settings.scales]] = scale
            footprint[places[joined.source[held]]] = True
        flat.masked_fill_(~(footprint & good[band].view(-1)), settings.scales)
    return finest


def _candidates(
    residual: Tensor, variance: Tensor, own: slice, levels: np.ndarray, settings: RecoverSettings
) -> Iterator[list[Candidates]]:
    """Yield, scale by scale, the candidates of every band in the rows `own`.

    residual, variance : (band, y, x) float32, nanomaggies and their square; both 0 where unusable; both are
        overwritten, which saves memory and, more than that, the time in which the system clears new pages
    levels : (band, scales)
    """
    fine, coarse = list(residual), list(torch.empty_like(residual))
    variances, spare = list(variance), torch.empty_like(variance[0])
    for scale, threshold in enumerate(settings.threshold):
        planes, places = [], []
        for band, level in enumerate(levels[:, scale]):
            plane = Plane(fine[band], coarse[band], spare, float(level))
            near = find_candidates(plane, variances[band], 2**scale, settings.growth)
            places.append(near[in_rows(near, own, residual.shape[2])])
            planes.append(plane)
            spare, variances[band] = variances[band], spare
        yield [_judged(band, each, planes, threshold, settings.growth) for band, each in enumerate(places)]
        fine, coarse = coarse, fine  # the next scale overwrites what this one has used


@dataclass(frozen=True, eq=False)
class Plane:
    """Coefficients of a band at one scale, fine - coarse, and their noise; arrays are (y, x) float32.

    variance : the pixels' own, smoothed as `coarse` is
    level : rms of the coefficients of unit-variance noise

    `places` are pixels, counted along the rows; what is found there has their shape.
    """

    fine: Tensor
    coarse: Tensor
    variance: Tensor
    level: float

    def noise(self, places: Tensor) -> Tensor:
        """Rms noise of the coefficients, nanomaggies."""
        return self.variance.view(-1)[places].sqrt_().mul_(self.level).clamp_min_(_NO_NOISE)

    def significance(self, places: Tensor) -> Tensor:
        """Coefficients in units of their noise."""
        return (self.fine.view(-1)[places] - self.coarse.view(-1)[places]).div_(self.noise(places))


def find_candidates(plane: Plane, variance: Tensor, step: int, growth: float) -> Tensor:
    """Places, int64 (n,) along the rows, of all pixels whose significance exceeds `growth`, and of a few that
    just do not.

    variance : (y, x) of the pixels' values, as it was smoothed for the scale before

    Fills plane.coarse and plane.variance by smoothing, and compares strip by strip, while the numbers are in
    a CPU's caches, and squares, which needs no root: a few pixels in a thousand are candidates.
    """
    smoothing = starlet.smoothing(plane.fine, step, plane.coarse)
    alongside = starlet.smoothing(variance, step, plane.variance)
    places = []
    for rows, _ in zip(smoothing, alongside, strict=True):
        square = (plane.fine[rows] - plane.coarse[rows]).square_()
        found = square > plane.variance[rows] * ((growth * plane.level) ** 2 * _ROUNDING)
        places.append(true_places(found) + rows.start * found.shape[1])
    return torch.cat(places)


def _judged(
    band: int, places: Tensor, planes: Sequence[Plane], threshold: float, growth: float
) -> Candidates:
    """Those of a band's places whose significance does exceed `growth`, and what they are.

    planes : of all bands, whose sum may be what makes a seed
    """
    values = torch.stack([plane.significance(places) for plane in planes])
    chosen = values[band].abs() > growth
    places, values = places[chosen], values[:, chosen]
    value, smooth = values[band], planes[band].fine.view(-1)[places]
    seed = values.sum(0).abs_() > threshold * len(values) ** 0.5
    seed |= value.abs() > threshold
    source = smooth.abs() > growth * planes[band].noise(places)
    source &= (smooth > 0) == (value > 0)
    return Candidates(places, seed, value > 0, source)


def in_rows(places: Tensor, rows: slice, width: int) -> Tensor:
    """Which places, counted along rows of this width, lie in `rows`: (n,) bool."""
    return (places >= rows.start * width) & (places < rows.stop * width)


def true_places(mask: Tensor) -> Tensor:
    """Places of its pixels that are True, counted along the rows."""
    if mask.is_cuda:
        return mask.view(-1).nonzero()[:, 0]
    return torch.from_numpy(np.flatnonzero(mask.numpy()))  # where few are, six times as fast as torch


def reached(places: np.ndarray, seeds: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """Which places lie in a region (8-connected) that holds a seed: (n,) bool.

    places : (n,) pixels of an image of this shape (y, x), counted along the rows
    seeds : (n,) bool

    From the seeds step by step to their neighbours: what holds no seed, and that is most, takes no time.
    """
    height, width = shape[0] + 2, shape[1] + 2  # with a border that is never reached
    bordered = places + (places // shape[1] * 2 + width + 1)
    free = np.zeros(height * width, bool)
    free[bordered] = True
    front = bordered[seeds]
    free[front] = False
    while front.size:
        fronts = []
        for step in (-width - 1, -width, 1 - width, -1, 1, width - 1, width, width + 1):
            near = front + step
            near = near[free[near]]
            free[near] = False
            fronts.append(near)
        front = np.concatenate(fronts)
    return ~free[bordered]
