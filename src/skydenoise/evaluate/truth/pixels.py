"""Errors of pixels against the truth: stretched, and in the sky; coverage of sigma; the simplest peer."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from skydenoise.evaluate.images import Image, Mask
from skydenoise.evaluate.statistics import JACKKNIFE, Array, Blocks, jackknife_row, joined, mean, rms
from skydenoise.evaluate.tables import BAND, METHOD, PIXELS, Field, Measure, make_table, with_errors
from skydenoise.evaluate.truth.known import KnownBrick
from skydenoise.io import Brick
from skydenoise.noise import NoiseModel

SOFTENING = 3.0
"""beta of the error's stretch, in units of the sky noise."""
SKY_BELOW = 0.1
"""A pixel is sky where the truth is below this many sigma of the sky."""
BLANK_BELOW, DISTINCT_ABOVE = 0.3, 2.0
"""Borders between blank, dim and distinct pixels: denoised value over the noise of the input pixel."""
WIDTHS = (0.5, 0.75, 1.0, 1.5, 2.0, 3.0)
"""Standard deviations that are tried for the Gaussian peer, pixels."""

Sums = Mapping[str, Mapping[str, Array]]
"""By band and measure, sums per block."""

QUALITY_MEASURES = (
    Measure("error", "rms of 3 asinh(x / 3 sigma) - 3 asinh(truth / 3 sigma)", of=rms),
    Measure("sky_rms", "rms of (x - truth) / sigma of the pixel, in the sky", of=rms),
    Measure("background", "mean of x - truth in the sky", "nmgy", of=mean),
)
QUALITY_FIELDS = (
    METHOD,
    BAND,
    *with_errors(JACKKNIFE, *QUALITY_MEASURES),
    PIXELS,
    Field("sky_pixels", "those in the sky", "pix", int),
)
QUALITY_DEFINITIONS = {
    "sigma": "rms noise of a sky pixel of the input (sigma_sky of the noise model), unless said of the pixel",
    "stretched units": "3 asinh(x / 3 sigma): for faint pixels the error in units of sigma, for bright ones "
    "logarithmic",
    "sky": f"pixels where the truth is below {SKY_BELOW} sigma",
    "measured": "pixels with coverage, neither saturated, bad nor flagged INPAINTED",
    "errors": JACKKNIFE,
}
COVERAGE_MEASURES = (
    Measure("within_1", "share with |x - truth| < sigma; 0.683 if Gaussian", of=mean),
    Measure("within_2", "share with |x - truth| < 2 sigma; 0.954 if Gaussian", of=lambda s: s[2] / s[0]),
)
COVERAGE_FIELDS = (
    BAND,
    Field("zone", "by what is seen: blank, dim, distinct or all", dtype=str),
    Field("pixels", "pixels with a sigma", "pix", int),
    *with_errors(JACKKNIFE, *COVERAGE_MEASURES),
)
COVERAGE_DEFINITIONS = {
    "sigma": "the denoised product's own 1-sigma uncertainty of the pixel",
    "zones": f"blank: denoised value below {BLANK_BELOW} times the noise of the input pixel; dim: up to "
    f"{DISTINCT_ABOVE}; distinct: above. By the denoised image, not by the truth: an interval has to hold "
    "given what is seen, and only so can a user choose pixels",
    "errors": JACKKNIFE,
}


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
    row = jackknife_row(sums, QUALITY_MEASURES)
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
    return make_table(QUALITY_FIELDS, rows, {**QUALITY_DEFINITIONS, "bricks": str(len(parts))})


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


def coverage_table(parts: Sequence[Mapping[tuple[str, str], Array]]) -> Table:
    """Share of pixels within one and two sigma of the truth, over all bricks."""
    rows = [
        {"band": band, "zone": zone, "pixels": int(sums[0].sum()), **jackknife_row(sums, COVERAGE_MEASURES)}
        for (band, zone), sums in joined(parts).items()
    ]
    return make_table(COVERAGE_FIELDS, rows, COVERAGE_DEFINITIONS)


def smooth(image: Image, usable: Mask, width: float) -> Image:
    """Smooth one band (y, x) by a Gaussian of standard deviation `width` pixels over its usable pixels.

    Normalised convolution (Knutsson & Westin 1993): unusable pixels neither give nor dilute flux. Borders
    are mirrored. Where no usable pixel is in reach (4 widths) the result is 0.
    """
    weight = gaussian_filter(usable.astype(np.float32), width)
    flux = gaussian_filter(np.where(usable, image, np.float32(0)), width)
    return np.divide(flux, weight, out=np.zeros_like(flux), where=weight > 1e-3)


def smooth_bands(brick: Brick, widths: Sequence[float]) -> Image:
    """The noisy brick with each band smoothed by its own width: (band, y, x), nanomaggies."""
    planes = zip(brick.image, brick.usable, widths, strict=True)
    return np.stack([smooth(*plane) for plane in planes])


def best_widths(bricks: Iterable[KnownBrick], noise: NoiseModel) -> tuple[float, ...]:
    """Width out of `WIDTHS` with the least stretched error over all bricks, for each band; pixels."""
    squares = np.zeros((len(noise.bands), len(WIDTHS)))
    for known in bricks:
        for band, sigma in enumerate(noise.sigma_sky):
            measured, truth = known.measured[band], known.truth[band]
            for trial, width in enumerate(WIDTHS):
                smoothed = smooth(known.brick.image[band], known.brick.usable[band], width)
                error = stretched_error(smoothed[measured], truth[measured], sigma)
                squares[band, trial] += np.sum(error**2, dtype=np.float64)
    return tuple(WIDTHS[best] for best in squares.argmin(axis=1))
