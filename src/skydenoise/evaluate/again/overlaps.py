"""Neighbouring bricks where they overlap: both have denoised the same sky, so their difference is a seam.

What is expected. Bricks that share their exposures share their noise, and whatever differs is the method's
doing. If the noise is not shared, or only in part, two perfect results still differ by their errors: with rho
the correlation of the two inputs' noise, seen in the mean square of the difference of the inputs (2 - 2 rho
in units of the noise), the denoised images differ by about

    (1 - rho) (sigma_1^2 + sigma_2^2)

in the mean square, sigma being the uncertainty that each claims for its pixels.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS
from numpy.typing import NDArray

from skydenoise.evaluate.again.seams import sky_pixels
from skydenoise.evaluate.scene import measured_pixels
from skydenoise.evaluate.statistics import Array, block_index, block_sums, jackknife, mean
from skydenoise.evaluate.tables import Field, make_table
from skydenoise.io import Brick, Denoised
from skydenoise.noise import NoiseModel

Places = tuple[NDArray[np.intp], NDArray[np.intp]]
"""y and x of pixels."""

_JACKKNIFE = "delete-one jackknife over blocks of 64 x 64 pixels"

OVERLAP_FIELDS = (
    Field("method", "what was made of the noisy bricks", dtype=str),
    Field("band", "filter", dtype=str),
    Field("pairs", "pairs of bricks that overlap", "", int),
    Field("pixels", "pixels of their common sky", "pix", int),
    *Field("mean", "mean difference of the denoised bricks").with_error(_JACKKNIFE),
    *Field("rms", "rms difference of the denoised bricks").with_error(_JACKKNIFE),
    *Field("shared", "correlation of the noise of their inputs").with_error(_JACKKNIFE),
    *Field("expected", "rms difference that is due to noise which is not shared").with_error(_JACKKNIFE),
)

OVERLAP_DEFINITIONS = {
    "unit": "differences are in units of the input's noise, the rms over both bricks",
    "pixels": "those of sky (see seams.ecsv) in both; the nearest ones, so details differ by half a pixel",
    "shared": "1 - half the mean square of the difference of the inputs, between 0 and 1; too low where "
    "pixels of the two lie apart by a part of a pixel",
    "expected": "root of (1 - shared) times the sum of both images' claimed variances",
    "errors": _JACKKNIFE,
}


@dataclass(frozen=True, eq=False)
class Pair:
    """A brick and what was made of it."""

    brick: Brick
    denoised: Denoised


def overlap_pixels(
    one: fits.Header, other: fits.Header, shape: tuple[int, int], other_shape: tuple[int, int]
) -> tuple[Places, Places] | None:
    """Pixels of an image that show sky of another one, and the nearest pixels there; None if there are none.

    one, other : headers with a celestial WCS
    shape, other_shape : (y, x) of the images
    """
    wcs, other_wcs = WCS(one), WCS(other)
    grid = np.meshgrid(*(np.linspace(-0.5, size - 0.5, 65) for size in other_shape), indexing="ij")
    outline = _through_the_sky(other_wcs, wcs, grid[0].ravel(), grid[1].ravel())
    if not np.isfinite(outline).all():  # the other side of the sky
        return None
    low = [max(int(np.floor(axis.min())), 0) for axis in outline]
    high = [min(int(np.ceil(axis.max())) + 1, size) for axis, size in zip(outline, shape, strict=True)]
    if low[0] >= high[0] or low[1] >= high[1]:
        return None
    y, x = (axis.ravel() for axis in np.mgrid[low[0] : high[0], low[1] : high[1]])
    there = np.rint(_through_the_sky(wcs, other_wcs, y, x)).astype(np.intp)
    inside = ((there >= 0) & (there < np.reshape(other_shape, (2, 1)))).all(axis=0)
    if not inside.any():
        return None
    return (y[inside], x[inside]), (there[0, inside], there[1, inside])


def _through_the_sky(wcs: WCS, other: WCS, y: NDArray, x: NDArray) -> Array:
    """(2, n) y, x in `other` of the sky at y, x in `wcs`; NaN beyond the horizon of its projection."""
    x, y = other.world_to_pixel_values(*wcs.pixel_to_world_values(x, y))
    return np.stack([y, x])


def overlap_sums(one: Pair, other: Pair, noise: NoiseModel) -> dict[str, Array] | None:
    """Sums over the sky that two bricks share, by band, of which `overlap_table` makes its measures.

    Returns
    -------
    (5, blocks) : pixels; sums of the difference of the denoised images, of its square, of the square of the
        difference of the inputs, and of the sum of both claimed variances; all in units of the input's noise.
        None if the bricks do not overlap.
    """
    bricks = (one.brick, other.brick)
    found = overlap_pixels(*(brick.headers[0] for brick in bricks), *(brick.shape for brick in bricks))
    if found is None:
        return None
    index = block_index(one.brick.shape)
    sides = [_side(pair, noise, places) for pair, places in zip((one, other), found, strict=True)]
    good = sides[0]["good"] & sides[1]["good"]
    unit = np.sqrt(np.where(good, sides[0]["noise"] ** 2 + sides[1]["noise"] ** 2, 2) / 2)
    image, input_ = ((sides[0][key] - sides[1][key]) / unit for key in ("image", "input"))
    claimed = (sides[0]["sigma"] ** 2 + sides[1]["sigma"] ** 2) / unit**2
    return {
        name: block_sums(
            index[found[0]],
            good[band],
            [image[band], image[band] ** 2, input_[band] ** 2, claimed[band]],
            int(index[-1, -1]) + 1,
        )
        for band, name in enumerate(noise.bands)
    }


def _side(pair: Pair, noise: NoiseModel, places: Places) -> dict[str, NDArray]:
    """What one brick has at places: (band, n) each, float64."""
    brick, denoised = pair.brick, pair.denoised
    good = sky_pixels(brick, denoised.image, noise) & measured_pixels(brick, denoised)
    planes = {
        "image": denoised.image,
        "input": brick.image,
        "noise": noise.sigma(brick.invvar),
        "sigma": denoised.sigma,
    }
    there = {key: plane[:, *places].astype(np.float64) for key, plane in planes.items()}
    return there | {"good": good[:, *places] & np.isfinite(there["sigma"])}


def shared_noise(input_square: Array) -> Array:
    """Correlation of two inputs' noise from the mean square of their difference in units of the noise."""
    return np.clip(1 - input_square / 2, 0, 1)


def expected_square(input_square: Array, claimed: Array) -> Array:
    """Mean square of the difference of two denoised images that is due to noise which they do not share.

    input_square : mean square of the difference of the inputs: 0 if all noise is shared, 2 if none
    claimed : mean sum of both images' claimed variances; all in units of the input's noise
    """
    return (1 - shared_noise(input_square)) * claimed


def overlap_table(parts: Mapping[str, Sequence[Mapping[str, Array]]]) -> Table:
    """Differences of neighbouring bricks by method and band, over all pairs.

    parts : by method, sums of each pair
    """
    statistics = {
        "mean": mean,
        "rms": lambda sums: np.sqrt(sums[2] / sums[0]),
        "shared": lambda sums: shared_noise(sums[3] / sums[0]),
        "expected": lambda sums: np.sqrt(expected_square(sums[3] / sums[0], sums[4] / sums[0])),
    }
    rows = []
    for method, pairs in parts.items():
        for band in pairs[0] if pairs else ():
            sums = np.concatenate([pair[band] for pair in pairs], axis=1)
            row = {"method": method, "band": band, "pairs": len(pairs), "pixels": int(sums[0].sum())}
            for name, statistic in statistics.items():
                row[name], row[f"{name}_err"] = jackknife(statistic, sums)
            rows.append(row)
    return make_table(OVERLAP_FIELDS, rows, OVERLAP_DEFINITIONS)
