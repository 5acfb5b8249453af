"""The error of a sum of denoised pixels, by its signal-to-noise ratio, without any truth.

Errors of neighbouring pixels are correlated, so that of a sum does not follow from their sigmas. With the
weights w of an aperture, Stein's estimate (`predict.stein`) holds for sums, too:

    (w' (x - f(x)))^2 - w' C w + 2 (w' z) (w' (f(x + t z) - f(x))) / t

has the mean squared error of w' f(x), for the covariance C of the noise and a draw z of it. The scatter
alone, w' J C J' w with the Jacobian J of the method, is the mean of (w' (f(x + t z) - f(x)) / t)^2.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from astropy.table import Table
from scipy.signal import oaconvolve

from skydenoise.evaluate.aperture import circle_weights, variance_of_sum
from skydenoise.evaluate.residual.sure import Probed
from skydenoise.evaluate.statistics import Array, Blocks, Statistic, jackknife_row, joined
from skydenoise.evaluate.tables import declared_table
from skydenoise.noise import NoiseModel
from skydenoise.predict.stein import STRENGTH, squared_error

RADII = (2.5, 5.0, 10.0)
"""Of the circles, pixels."""
SPACING = 4
"""Pixels between the centres of circles, along each axis."""
EDGES = (-np.inf, 1.0, 3.0, 5.0, 10.0, 20.0, 50.0, np.inf)
"""Borders between bins of signal-to-noise ratio."""

Sums = Mapping[tuple[str, float, int], Array]
"""By band, radius and bin: (4, blocks); circles, sums of squared errors and of squared scatter, and of w' C w
over the sum of variances."""

MEASURES: Mapping[str, Statistic] = {
    "error": lambda sums: np.sign(sums[1]) * np.sqrt(np.abs(sums[1]) / sums[0]),
    "scatter": lambda sums: np.sqrt(sums[2] / sums[0]),
}


def circle_sums(part: Probed, noise: NoiseModel) -> dict[tuple[str, float, int], Array]:
    """Sums per block, of which `aperture_table` makes its measures.

    All pixels of a circle are usable; squares are in units of the noise of the same sum on the input.
    """
    blocks, grid = Blocks(part.cutout.shape), np.s_[::SPACING, ::SPACING]
    result = {}
    for radius in RADII:
        circle = circle_weights(radius)
        for band, name in enumerate(noise.bands):
            sigma = part.sigma[band]
            planes = (
                part.cutout.usable[band],
                sigma**2,
                part.denoised[band] - noise.zero[band],
                *(each[band] * sigma for each in (part.residual, part.change, part.probe)),
            )
            usable, variance, flux, *terms = (oaconvolve(plane, circle, "same")[grid] for plane in planes)
            correlated = variance_of_sum(circle, noise.correlation[band]) / float(circle.sum())
            unit = np.sqrt(np.maximum(variance * correlated, np.finfo(np.float32).tiny))
            residual, change, probe = (term / unit for term in terms)
            square = squared_error(residual, probe, change), (change / STRENGTH) ** 2
            bins = np.digitize(flux / unit, EDGES) - 1
            for number in range(len(EDGES) - 1):
                where = (usable > circle.sum() - 0.01) & (bins == number)
                ratio = np.full(where.shape, correlated)
                result[name, radius, number] = blocks.sums(where, *square, ratio, part=grid)
    return result


def aperture_table(parts: Sequence[Sums]) -> Table:
    """Errors of sums by band, radius and signal-to-noise ratio, over all cutouts.

    parts : `circle_sums` of each
    """
    rows = []
    for (band, radius, number), sums in joined(parts).items():
        circles, *_, correlated = sums.sum(axis=1)
        head = {"band": band, "radius": radius, "low": EDGES[number], "high": EDGES[number + 1]}
        growth = correlated / circles if circles else np.nan
        rows.append({**head, "circles": int(circles), **jackknife_row(sums, MEASURES), "correlated": growth})
    return declared_table("aperture", rows)
