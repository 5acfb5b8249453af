"""Neighbouring bricks where they overlap: both have denoised the same sky, so their difference is a seam.

What is expected. Bricks that share their exposures share their noise, and whatever differs is the method's
doing. If the noise is not shared, or only in part, two perfect results still differ by their errors: with rho
the correlation of the two inputs' noise, seen in the mean square of the difference of the inputs (2 - 2 rho
in units of the noise), the denoised images differ by about

    (1 - rho) (sigma_1^2 + sigma_2^2)

in the mean square, sigma being the uncertainty that each claims for its pixels.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from astropy.io import fits
from astropy.table import Table
from numpy.typing import NDArray

from skydenoise.evaluate.images import measured_pixels
from skydenoise.evaluate.residual.whiteness import faint_pixels
from skydenoise.evaluate.statistics import JACKKNIFE, Array, Blocks, jackknife_row, joined, mean
from skydenoise.evaluate.tables import BAND, PIXELS, Field, Measure, make_table, with_errors
from skydenoise.io import Brick, Denoised
from skydenoise.io.wcs import celestial_wcs
from skydenoise.noise import NoiseModel
from skydenoise.resample import pixels_in, window_of

Product = tuple[Brick, Denoised]
"""A brick and what was made of it."""
Outline = tuple[fits.Header, tuple[int, int]]
"""Header with a celestial WCS, and shape (y, x) of an image."""
Places = tuple[NDArray[np.intp], NDArray[np.intp]]
"""y and x of pixels."""


def shared_noise(sums: Array) -> Array:
    """Correlation of two inputs' noise from the mean square of their difference in units of the noise."""
    return np.clip(1 - sums[3] / sums[0] / 2, 0, 1)


MEASURES = (
    Measure("mean", "mean difference of the denoised bricks", of=mean),
    Measure("rms", "rms difference of the denoised bricks", of=lambda s: np.sqrt(s[2] / s[0])),
    Measure("shared", "correlation of the noise of their inputs", of=shared_noise),
    Measure(
        "expected",
        "rms difference that is due to noise which is not shared",
        of=lambda s: np.sqrt((1 - shared_noise(s)) * s[4] / s[0]),
    ),
)
FIELDS = (
    BAND,
    Field("pairs", "pairs of bricks that overlap", "", int),
    PIXELS,
    *with_errors(JACKKNIFE, *MEASURES),
)
DEFINITIONS = {
    "unit": "differences are in units of the input's noise, the rms over both bricks",
    "pixels": "those of sky (see seams.ecsv) in both; the nearest ones, so details differ by half a pixel",
    "shared": "1 - half the mean square of the difference of the inputs, between 0 and 1; too low where "
    "pixels of the two lie apart by a part of a pixel",
    "expected": "root of (1 - shared) times the sum of both images' claimed variances",
    "errors": JACKKNIFE,
}


def overlap_pixels(one: Outline, other: Outline) -> tuple[Places, Places] | None:
    """Pixels of an image that show sky of another one, and the nearest ones there; None if there are none."""
    wcs, other_wcs = celestial_wcs(one[0]), celestial_wcs(other[0])
    window = window_of(other_wcs, other[1], wcs, one[1])
    if window is None:
        return None
    y, x = np.mgrid[window].reshape(2, -1)
    there = np.rint(pixels_in(wcs, other_wcs, x, y)[::-1])
    inside = ((there >= 0) & (there < np.reshape(other[1], (2, 1)))).all(axis=0)
    return ((y[inside], x[inside]), tuple(there[:, inside].astype(np.intp))) if inside.any() else None


def overlap_sums(
    one: Product, other: Product, places: tuple[Places, Places], noise: NoiseModel
) -> dict[str, Array]:
    """Sums over the sky that two bricks share, by band, of which `overlap_table` makes its measures.

    places : as from `overlap_pixels`

    Returns (5, blocks): pixels; sums of the difference of the denoised images, of its square, of the square
    of the difference of the inputs, and of both claimed variances; all in units of the input's noise.
    """
    blocks = Blocks(one[0].shape)
    here, there = (_at(*side, noise, pixels) for side, pixels in zip((one, other), places, strict=True))
    good = here["good"] & there["good"]
    unit = np.sqrt(np.where(good, here["noise"] ** 2 + there["noise"] ** 2, 2) / 2)
    image, input_ = ((here[key] - there[key]) / unit for key in ("image", "input"))
    planes = image, image**2, input_**2, (here["sigma"] ** 2 + there["sigma"] ** 2) / unit**2
    return {
        name: blocks.sums(good[band], *(plane[band] for plane in planes), part=places[0])
        for band, name in enumerate(noise.bands)
    }


def _at(brick: Brick, denoised: Denoised, noise: NoiseModel, places: Places) -> dict[str, NDArray]:
    """What a brick has at n places: (band, n) each, float64."""
    good = faint_pixels(denoised.image, noise) & measured_pixels(brick, denoised)
    planes = {"image": denoised.image, "input": brick.image, "sigma": denoised.sigma}
    planes["noise"] = noise.sigma(brick.invvar)
    there = {key: plane[:, *places].astype(np.float64) for key, plane in planes.items()}
    return there | {"good": good[:, *places] & np.isfinite(there["sigma"])}


def overlap_table(pairs: Sequence[Mapping[str, Array]]) -> Table:
    """Differences of neighbouring bricks by band, over all pairs.

    pairs : sums of each
    """
    rows = [
        {"band": band, "pairs": len(pairs), "pixels": int(sums[0].sum()), **jackknife_row(sums, MEASURES)}
        for band, sums in joined(pairs).items()
    ]
    return make_table(FIELDS, rows, DEFINITIONS)
