"""Errors of pixels against the truth: stretched, and in the sky; coverage of sigma."""

from collections.abc import Mapping, Sequence

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

from skydenoise.evaluate.images import Image
from skydenoise.evaluate.statistics import Array, Blocks, Statistic, jackknife_row, joined, mean, rms
from skydenoise.evaluate.tables import declared_table
from skydenoise.evaluate.truth.known import KnownBrick
from skydenoise.noise import NoiseModel

SOFTENING = 3.0
"""beta of the error's stretch, in units of the sky noise."""
SKY_BELOW = 0.1
"""A pixel is sky where the truth is below this many sigma of the sky."""
BLANK_BELOW, DISTINCT_ABOVE = 0.3, 2.0
"""Borders between blank, dim and distinct pixels: denoised value over the noise of the input pixel."""
Sums = Mapping[str, Mapping[str, Array]]
"""By band and measure, sums per block."""
ZoneSums = Mapping[tuple[str, str], Array]
"""By band and zone, sums per block."""

QUALITY: Mapping[str, Statistic] = {"error": rms, "sky_rms": rms, "background": mean}
COVERAGE: Mapping[str, Statistic] = {"within_1": mean, "within_2": lambda sums: sums[2] / sums[0]}


def stretched_error(image: NDArray, truth: NDArray, sigma: float) -> NDArray:
    """3 asinh(image / 3 sigma) - 3 asinh(truth / 3 sigma): in units of sigma where both are faint."""
    softening = SOFTENING * sigma
    return SOFTENING * (np.arcsinh(image / softening) - np.arcsinh(truth / softening))


def pixel_sums(known: KnownBrick, image: Image, noise: NoiseModel) -> dict[str, dict[str, Array]]:
    """What `quality_row` needs of one method's image (band, y, x), nanomaggies: sums per block, by band."""
    blocks, pixel_sigma = Blocks(known.brick.shape), noise.sigma(known.brick.invvar)
    result = {}
    for band, (name, sigma) in enumerate(zip(noise.bands, noise.sigma_sky, strict=True)):
        truth, measured = known.truth[band], known.measured[band]
        sky, difference = measured & (truth < SKY_BELOW * sigma), image[band] - truth
        normal = np.divide(difference, pixel_sigma[band], out=np.zeros_like(difference), where=measured)
        result[name] = {
            "error": blocks.sums(measured, stretched_error(image[band], truth, sigma) ** 2),
            "sky_rms": blocks.sums(sky, normal**2),
            "background": blocks.sums(sky, difference),
        }
    return result


def quality_row(sums: Mapping[str, Array]) -> dict[str, float]:
    """The measures of one method in one band, from the sums of all bricks (`joined`)."""
    counts = {"pixels": "error", "sky_pixels": "sky_rms"}
    row = jackknife_row(sums, QUALITY)
    return row | {name: int(sums[of][0].sum()) for name, of in counts.items()}


def quality_table(parts: Sequence[Mapping[str, Sums]]) -> Table:
    """Errors of pixels by band and method, over all bricks.

    parts : of each, `pixel_sums` by method
    """
    sums = joined(parts)
    rows = [
        {"method": method, "band": band, **quality_row(sums[method][band])}
        for band in next(iter(sums.values()), {})
        for method in sums
    ]
    return declared_table("quality", rows)


def coverage_sums(known: KnownBrick, noise: NoiseModel) -> dict[tuple[str, str], Array]:
    """By band and zone: pixels, those within 1 sigma and within 2 sigma of the truth, per block."""
    blocks, noise_sigma = Blocks(known.brick.shape), noise.sigma(known.brick.invvar)
    result = {}
    for band, name in enumerate(noise.bands):
        sigma, image = known.denoised.sigma[band], known.denoised.image[band]
        distance = np.abs(image - known.truth[band])
        good = known.measured[band] & np.isfinite(sigma) & (sigma > 0)
        blank = image < BLANK_BELOW * noise_sigma[band]
        distinct = image > DISTINCT_ABOVE * noise_sigma[band]
        zones = {"blank": blank, "dim": ~(blank | distinct), "distinct": distinct, "all": True}
        for zone, where in zones.items():
            result[name, zone] = blocks.sums(good & where, distance < sigma, distance < 2 * sigma)
    return result


def coverage_table(parts: Sequence[ZoneSums]) -> Table:
    """Share of pixels within one and two sigma of the truth, over all bricks."""
    rows = [
        {"band": band, "zone": zone, "pixels": int(sums[0].sum()), **jackknife_row(sums, COVERAGE)}
        for (band, zone), sums in joined(parts).items()
    ]
    return declared_table("coverage", rows)
