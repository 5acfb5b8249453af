"""The noise of one brick: what its empty sky shows, drawn towards the survey's where it shows too little."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from skydenoise.noise.correlation import valid_correlation
from skydenoise.noise.levels import noise_levels
from skydenoise.noise.model import NoiseModel
from skydenoise.noise.sky_sums import Tally, tally_blocks

if TYPE_CHECKING:
    from skydenoise.io import Brick

Array = NDArray[Any]

BLOCK, BLOCKS = 256, 8
"""Edge and number of the blocks: half a million pixels give rho to 0.002, sigma to 0.2 %."""
PRIOR_PIXELS = 10_000
"""Pixels of empty sky that count as much as what is known of the survey."""
CROWDED = 1.3
"""A block whose variance exceeds that of the median block by this factor holds more than sky."""
LEAST_LEVEL = 0.1
"""Background, in units of the noise of a pixel, below which it counts as 0: a calibrated sky is nearer to
that, and a model that was trained on such skies takes faint sources into account."""


def measure_brick_noise(brick: Brick, survey: NoiseModel, *, together: bool = True) -> NoiseModel:
    """Strength, correlation and starlet levels of the noise of `brick`, and the level of its background.

    survey : the noise of the training bricks, with the same bands; it counts as much as PRIOR_PIXELS pixels
        of this brick's empty sky, and stands alone where there is none
    together : look for sources in all bands, which finds fainter ones; else no band knows of another

    Returns a model with the reach of the correlation and the number of scales of `survey`; its sigma_sky is
    that of the median covered pixel of this brick.
    """
    scale, sigma_sky, level, correlation = [], [], [], []
    alone = [] if together else [brick.in_bands([band]) for band in range(len(brick.bands))]
    totals = [total for part in alone or [brick] for total in _sky(part, survey.max_lag)]
    for band, total in enumerate(totals):
        known = survey.scale[band] ** 2
        pixels = sum(total.pixels)
        measured = np.dot(total.pixels, total.variances)
        variance = float((measured + PRIOR_PIXELS * known) / (pixels + PRIOR_PIXELS))
        scale.append(float(np.sqrt(variance)))
        sigma_sky.append(_typical_sigma(brick.invvar[band], scale[-1]) or survey.sigma_sky[band])
        level.append(_background(total, sigma_sky[-1]))
        prior = PRIOR_PIXELS * survey.correlation[band]
        correlation.append(
            valid_correlation(total.products + known * prior, total.pairs + PRIOR_PIXELS)
            if pixels
            else survey.correlation[band]
        )
    levels = [noise_levels(each, survey.levels.shape[1]) for each in correlation]
    return NoiseModel(
        survey.bands,
        tuple(sigma_sky),
        tuple(scale),
        np.stack(correlation),
        np.stack(levels),
        (),
        tuple(level),
    )


def without_background_level(brick: Brick) -> Brick:
    """Copy of the brick whose background, if it is not near 0, is taken off every covered pixel."""
    levels = []
    for total, invvar in zip(_sky(brick, max_lag=1), brick.invvar, strict=True):
        scale = float(np.sqrt(np.median(total.variances))) if total.pixels else 1.0
        levels.append(_background(total, _typical_sigma(invvar, scale)))
    if not any(levels):
        return brick
    flat = brick.image - np.asarray(levels, np.float32)[:, None, None]
    return replace(brick, image=np.where(brick.invvar > 0, flat, np.float32(0)))


def _sky(brick: Brick, max_lag: int) -> list[Tally]:
    """Sums over the blocks of each band, without those in which sources pass for noise."""
    totals = [Tally.empty(max_lag) for _ in brick.bands]
    blocks = list(tally_blocks(brick, max_lag, BLOCK, BLOCKS))
    for band, total in enumerate(totals):
        filled = [block[band] for block in blocks if block[band].pixels]
        middle = np.median([tally.variances[0] for tally in filled]) if filled else 0.0
        for tally in filled:
            if tally.variances[0] <= CROWDED * middle:
                total.join(tally)
    return totals


def _background(total: Tally, sigma_sky: float) -> float:
    """Level of the background of a band, nanomaggies; 0 if it is near that, or unknown."""
    level = float(np.median(total.backgrounds)) if total.pixels else 0.0
    return level if abs(level) > LEAST_LEVEL * sigma_sky else 0.0


def _typical_sigma(invvar: Array, scale: float) -> float:
    """Rms noise of the median covered pixel, nanomaggies; 0 if none is."""
    covered = invvar[::4, ::4]
    covered = covered[covered > 0]
    return float(scale / np.sqrt(np.median(covered))) if covered.size else 0.0
