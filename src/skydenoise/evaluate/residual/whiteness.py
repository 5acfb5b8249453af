"""What denoising took away: input - denoised should be noise, as strong and as correlated as was measured."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from astropy.table import Table
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_cdt

from skydenoise.evaluate.images import Image, Mask, measured_pixels
from skydenoise.evaluate.statistics import Array, Blocks, Statistic, jackknife_row, joined, mean, rms
from skydenoise.evaluate.tables import declared_table
from skydenoise.io import Brick, Denoised
from skydenoise.noise import NoiseModel
from skydenoise.starlet import planes, reach

FAINT_BELOW = 1.0
"""A pixel is sky where the denoised image is below this many sigma of the sky."""
LAGS = (1, 2)

Sums = Mapping[tuple[str, str], Mapping[str, Array]]
"""By band and zone, and by measure: sums per block."""


def residual_measures(scales: int) -> dict[str, Statistic]:
    """Measures of the residual for a noise model with that many starlet scales."""
    measures: dict[str, Statistic] = {"mean": mean, "rms": rms}
    measures |= {f"correlation_{lag}": lambda sums: sums[1] / sums[2] for lag in LAGS}
    return measures | {f"starlet_{scale}": rms for scale in range(1, scales + 1)}


def faint_pixels(image: Image, noise: NoiseModel) -> Mask:
    """Where an image (band, y, x), nanomaggies, is below `FAINT_BELOW` sigma of the sky: bool."""
    return np.asarray(image < FAINT_BELOW * np.asarray(noise.sigma_sky, np.float32)[:, None, None])


def residual_sums(brick: Brick, denoised: Denoised, noise: NoiseModel) -> Sums:
    """Sums per block by band and zone, of which `residual_table` makes its measures."""
    blocks, sigma = Blocks(brick.shape), noise.sigma(brick.invvar)
    measured, faint = measured_pixels(brick, denoised), faint_pixels(denoised.image, noise)
    result: dict[tuple[str, str], dict[str, Array]] = {}
    for band, name in enumerate(noise.bands):
        residual = np.where(measured[band], brick.image[band] - denoised.image[band], np.float32(0))
        normal = np.divide(residual, sigma[band], out=np.zeros_like(residual), where=measured[band])
        details = list(_clear_planes(normal, measured[band], noise.levels[band]))
        zones = {"sky": faint[band], "source": ~faint[band], "all": np.ones_like(faint[band])}
        for zone, inside in zones.items():
            where = measured[band] & inside
            sums = {"mean": blocks.sums(where, residual), "rms": blocks.sums(where, normal**2)}
            for lag in LAGS:
                sums[f"correlation_{lag}"] = _lagged_sums(blocks, normal, where, lag)
            for number, (plane, clear) in enumerate(details, start=1):
                sums[f"starlet_{number}"] = blocks.sums(clear & inside, plane**2)
            result[name, zone] = sums
    return result


def _lagged_sums(blocks: Blocks, normal: NDArray, where: Mask, lag: int) -> Array:
    """Pairs of pixels `lag` apart along x and y; sums of their products and of their mean squares."""
    total = np.zeros((3, blocks.count))
    for near, far in ((np.s_[:-lag], np.s_[lag:]), (np.s_[:, :-lag], np.s_[:, lag:])):
        one, other = normal[near], normal[far]
        products = one * other, (one**2 + other**2) / 2
        total += blocks.sums(where[near] & where[far], *products, part=near)
    return total


def _clear_planes(normal: NDArray, measured: Mask, levels: Array) -> Iterator[tuple[NDArray, Mask]]:
    """Starlet planes over the noise's `levels`, each with the pixels that depend on measured ones alone."""
    distance = distance_transform_cdt(np.pad(measured, 1), metric="chessboard")[1:-1, 1:-1]
    details = planes(torch.from_numpy(normal), len(levels))
    for number, (level, plane) in enumerate(zip(levels, details, strict=False), start=1):
        yield plane.numpy() / level, distance > reach(number)


def residual_table(parts: Sequence[Sums], noise: NoiseModel) -> Table:
    """Measures of the residual by band and zone, over all bricks, and what the noise's own correlation is."""
    measures, centre = residual_measures(noise.levels.shape[1]), noise.max_lag
    rows = []
    for (band, zone), sums in joined(parts).items():
        own = noise.correlation[noise.bands.index(band)]
        expected = {
            f"expected_{lag}": (own[centre, centre + lag] + own[centre + lag, centre]) / 2 for lag in LAGS
        }
        pixels = int(sums["rms"][0].sum())
        rows.append(
            {"band": band, "zone": zone, "pixels": pixels, **jackknife_row(sums, measures), **expected}
        )
    return declared_table("residual", rows)
