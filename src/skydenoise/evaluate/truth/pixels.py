"""Errors of pixels against the truth: stretched, in the sky, of bright pixels; coverage of sigma."""

from collections.abc import Mapping, Sequence

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

from skydenoise.evaluate.images import Image
from skydenoise.evaluate.statistics import JACKKNIFE, Array, Blocks, jackknife_row, joined, mean, rms
from skydenoise.evaluate.tables import BAND, METHOD, Field, make_table, with_errors
from skydenoise.evaluate.truth.known import KnownBrick
from skydenoise.noise import NoiseModel

SOFTENING = 3.0
"""beta of the error's stretch, in units of the sky noise."""
SKY_BELOW = 0.1
"""A pixel is sky where the truth is below this many sigma of the sky."""
BRIGHT_ABOVE = 5.0
"""A pixel is bright where the truth is above this many sigma of the sky."""
BLANK_BELOW, DISTINCT_ABOVE = 0.3, 2.0
"""Borders between blank, dim and distinct pixels: denoised value over the noise of the input pixel."""

Sums = Mapping[str, Mapping[str, Array]]
"""By band and measure, sums per block."""

QUALITY_FIELDS = (
    METHOD,
    BAND,
    Field("smoothing", "standard deviation of the Gaussian; NaN for other methods", "pix"),
    *with_errors(
        JACKKNIFE,
        Field("error", "rms of 3 asinh(x / 3 sigma) - 3 asinh(truth / 3 sigma)"),
        Field("sky_rms", "rms of (x - truth) / sigma of the pixel, in the sky"),
        Field("background", "mean of x - truth in the sky", "nmgy"),
        Field("background_sigma", "mean of (x - truth) / sigma of the pixel, in the sky"),
        Field("bright_bias_percent", "sum of x over sum of truth in bright pixels, minus 1", "%"),
    ),
    Field("pixels", "pixels measured", "pix", int),
    Field("sky_pixels", "those in the sky", "pix", int),
    Field("inpainted_pixels", "pixels flagged INPAINTED, in no other column", "pix", int),
    *with_errors(JACKKNIFE, Field("inpainted_error", "as error, of the inpainted pixels")),
)

QUALITY_DEFINITIONS = {
    "sigma": "rms noise of a sky pixel of the input (sigma_sky of the noise model), unless said of the pixel",
    "stretched units": "3 asinh(x / 3 sigma): for faint pixels the error in units of sigma, for bright ones "
    "logarithmic",
    "sky": f"pixels where the truth is below {SKY_BELOW} sigma",
    "bright": f"pixels where the truth is above {BRIGHT_ABOVE} sigma",
    "measured": "pixels with coverage, neither saturated, bad nor flagged INPAINTED",
    "errors": JACKKNIFE,
}

COVERAGE_FIELDS = (
    BAND,
    Field("zone", "by what is seen: blank, dim, distinct or all", dtype=str),
    Field("pixels", "pixels with a sigma", "pix", int),
    *with_errors(
        JACKKNIFE,
        Field("within_1", "share with |x - truth| < sigma; 0.683 if Gaussian"),
        Field("within_2", "share with |x - truth| < 2 sigma; 0.954 if Gaussian"),
    ),
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
        square = stretched_error(image[band], truth, sigma) ** 2
        sky, bright = measured & (truth < SKY_BELOW * sigma), measured & (truth > BRIGHT_ABOVE * sigma)
        difference = image[band] - truth
        normal = np.divide(difference, pixel_sigma[band], out=np.zeros_like(difference), where=measured)
        result[name] = {
            "error": blocks.sums(measured, square),
            "sky_rms": blocks.sums(sky, normal**2),
            "background": blocks.sums(sky, difference),
            "background_sigma": blocks.sums(sky, normal),
            "bright_bias_percent": blocks.sums(bright, image[band], truth),
            "inpainted_error": blocks.sums(known.inpainted[band], square),
        }
    return result


def quality_row(sums: Mapping[str, Array]) -> dict[str, float]:
    """The measures of one method in one band, from the sums of all bricks (`joined`)."""
    statistics = {
        "error": rms,
        "sky_rms": rms,
        "background": mean,
        "background_sigma": mean,
        "bright_bias_percent": lambda s: 100 * (s[1] / s[2] - 1),
        "inpainted_error": rms,
    }
    counts = {"pixels": "error", "sky_pixels": "sky_rms", "inpainted_pixels": "inpainted_error"}
    return jackknife_row(sums, statistics) | {name: int(sums[of][0].sum()) for name, of in counts.items()}


def quality_table(parts: Sequence[Mapping[str, Sums]], smoothing: Mapping[tuple[str, str], float]) -> Table:
    """Errors of pixels by band and method, over all bricks.

    parts : of each brick, `pixel_sums` by method
    smoothing : by method and band, of those that smooth, the width in pixels
    """
    sums = joined(parts)
    rows = []
    for band in next(iter(sums.values()), {}):
        for method in sums:
            head = {"method": method, "band": band, "smoothing": smoothing.get((method, band), np.nan)}
            rows.append({**head, **quality_row(sums[method][band])})
    return make_table(QUALITY_FIELDS, rows, {**QUALITY_DEFINITIONS, "bricks": str(len(parts))})


def coverage_sums(known: KnownBrick, noise: NoiseModel) -> dict[tuple[str, str], Array]:
    """By band and zone: pixels, those within 1 sigma and within 2 sigma of the truth, per block."""
    blocks, noise_sigma = Blocks(known.brick.shape), noise.sigma(known.brick.invvar)
    result = {}
    for band, name in enumerate(noise.bands):
        sigma, image = known.denoised.sigma[band], known.denoised.image[band]
        distance = np.abs(image - known.truth[band])
        good = known.measured[band] & np.isfinite(sigma) & (sigma > 0)
        blank, distinct = (
            image < BLANK_BELOW * noise_sigma[band],
            image > DISTINCT_ABOVE * noise_sigma[band],
        )
        zones = {"blank": blank, "dim": ~(blank | distinct), "distinct": distinct, "all": True}
        for zone, where in zones.items():
            result[name, zone] = blocks.sums(good & where, distance < sigma, distance < 2 * sigma)
    return result


def coverage_table(parts: Sequence[Mapping[tuple[str, str], Array]]) -> Table:
    """Share of pixels within one and two sigma of the truth, over all bricks."""
    statistics = {"within_1": mean, "within_2": lambda s: s[2] / s[0]}
    rows = [
        {"band": band, "zone": zone, "pixels": int(sums[0].sum()), **jackknife_row(sums, statistics)}
        for (band, zone), sums in joined(parts).items()
    ]
    return make_table(COVERAGE_FIELDS, rows, COVERAGE_DEFINITIONS)
