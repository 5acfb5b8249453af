"""The noise, measured on the empty sky of many bricks.

In blocks of the bricks background and sources are taken off (`sky`), and what is left is multiplied by
sqrt(invvar). Sources too faint to be masked remain: they raise the noise and, over the width of the point
spread function, its correlation, by a percent or so at the survey's depth.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from tqdm import tqdm

from skydenoise.errors import BrickError, SettingsError, StepError
from skydenoise.noise.correlation import valid_correlation
from skydenoise.noise.levels import noise_levels
from skydenoise.noise.model import NoiseModel
from skydenoise.noise.sky_sums import Tally, tally_sky
from skydenoise.pool import each

if TYPE_CHECKING:
    from skydenoise.io import Brick

_log = logging.getLogger(__name__)

MINIMUM_SKY = 10_000
"""Fewest sky pixels of a band for a measurement: sigma to 1 %, correlation to 0.01."""


@dataclass(frozen=True)
class SkyOf:
    """Called with a brick's name it measures that one; None, and a line in the log, if it cannot be read.

    read : gives the brick of a name, or raises BrickError
    max_lag : L, pixels; correlation beyond it is not looked for
    """

    read: Callable[[str], Brick]
    max_lag: int

    def __call__(self, name: str) -> tuple[tuple[str, ...], list[Tally]] | None:
        """Bands, and a tally of each."""
        try:
            brick = self.read(name)
        except BrickError as error:
            _log.warning("left out of noise: %s", error)
            return None
        return brick.bands, tally_sky(brick, self.max_lag)


def process_died(name: str, killed: bool) -> None:
    """Of a brick whose process ended without a word, twice."""
    if killed:
        raise StepError(f"noise: the process of brick {name} was killed, perhaps for lack of memory (mem_mb)")
    _log.warning("left out of noise: brick %s: its process crashed: is a file damaged?", name)


def measure_survey_noise(names: Sequence[str], sky: SkyOf, threads: int, *, scales: int) -> NoiseModel:
    """Measure the noise of many bricks, several at a time; one that cannot be read is left out.

    names : bricks; what is found does not depend on the number of threads
    threads : of the job, which has memory for as many bricks: 1.5 GB each at 3 x 3600 x 3600 pixels
    scales : starlet scales whose levels are wanted

    Raises
    ------
    SettingsError, BrickError : see measure_noise
    StepError : a process died
    """
    bar = tqdm(
        each(sky, names, threads, None, process_died),
        desc="noise",
        total=len(names),
        unit="brick",
        disable=None,
    )
    found = dict(bar)
    read = ((name, found[name]) for name in names)
    return measure_noise(((name, *its) for name, its in read if its is not None), scales)


def measure_noise(found: Iterable[tuple[str, tuple[str, ...], list[Tally]]], scales: int) -> NoiseModel:
    """Noise from what the empty sky of bricks shows.

    found : name, bands and tallies (`tally_sky`) of each brick
    scales : starlet scales whose levels are wanted

    Raises
    ------
    SettingsError : there is no brick, or a band has too few pixels of empty sky in all of them together
    BrickError : a brick has other bands than the first
    """
    bands: tuple[str, ...] = ()
    total: list[Tally] = []
    for name, its_bands, tallies in found:
        if not total:
            bands, total = its_bands, tallies
        elif its_bands != bands:
            raise BrickError(f"bands {', '.join(its_bands)}, not {', '.join(bands)}", brick=name)
        else:
            for tally, other in zip(total, tallies, strict=True):
                tally.join(other)
    if not total:
        raise SettingsError("noise: there is no training brick to measure it on")
    for band, tally in zip(bands, total, strict=True):
        if sum(tally.pixels) < MINIMUM_SKY:
            raise SettingsError(
                f"noise: band {band} has {sum(tally.pixels)} pixels of empty sky in the training bricks, "
                f"{MINIMUM_SKY} are needed: add bricks with coverage in {band}"
            )
    return _model(bands, total, scales)


def _model(bands: tuple[str, ...], tallies: list[Tally], scales: int) -> NoiseModel:
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
