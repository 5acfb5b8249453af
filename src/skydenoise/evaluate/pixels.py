"""Errors of pixels against the truth: stretched, in the sky, of bright pixels; coverage of sigma."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

from skydenoise.evaluate.scene import Image, Mask, Scene
from skydenoise.evaluate.statistics import Array, block_index, block_sums, jackknife, mean, rms
from skydenoise.evaluate.tables import Field, make_table
from skydenoise.noise import NoiseModel

SOFTENING = 3.0
"""beta of the error's stretch, in units of the sky noise."""
SKY_BELOW = 0.1
"""A pixel is sky where the truth is below this many sigma of the sky."""
BRIGHT_ABOVE = 5.0
"""A pixel is bright where the truth is above this many sigma of the sky."""
BLANK_BELOW, DISTINCT_ABOVE = 0.3, 2.0
"""Borders between blank, dim and distinct pixels: denoised value over the noise of the input pixel."""

_JACKKNIFE = "delete-one jackknife over blocks of 64 x 64 pixels"

QUALITY_FIELDS = (
    Field("method", "what was made of the noisy brick", dtype=str),
    Field("band", "filter", dtype=str),
    Field("smoothing", "standard deviation of the Gaussian; NaN for other methods", "pix"),
    *Field("error", "rms of 3 asinh(x / 3 sigma) - 3 asinh(truth / 3 sigma)").with_error(_JACKKNIFE),
    *Field("sky_rms", "rms of (x - truth) / sigma of the pixel, in the sky").with_error(_JACKKNIFE),
    *Field("background", "mean of x - truth in the sky", "nmgy").with_error(_JACKKNIFE),
    *Field("background_sigma", "mean of (x - truth) / sigma of the pixel, in the sky").with_error(_JACKKNIFE),
    *Field("bright_bias_percent", "sum of x over sum of truth in bright pixels, minus 1", "%").with_error(
        _JACKKNIFE
    ),
    Field("pixels", "pixels measured", "pix", int),
    Field("sky_pixels", "those in the sky", "pix", int),
    Field("inpainted_pixels", "pixels flagged INPAINTED, in no other column", "pix", int),
    *Field("inpainted_error", "as error, of the inpainted pixels").with_error(_JACKKNIFE),
)

QUALITY_DEFINITIONS = {
    "sigma": "rms noise of a sky pixel of the input (sigma_sky of the noise model), unless said of the pixel",
    "stretched units": "3 asinh(x / 3 sigma): for faint pixels the error in units of sigma, for bright ones "
    "logarithmic",
    "sky": f"pixels where the truth is below {SKY_BELOW} sigma",
    "bright": f"pixels where the truth is above {BRIGHT_ABOVE} sigma",
    "measured": "pixels with coverage, neither saturated, bad nor flagged INPAINTED",
    "errors": _JACKKNIFE,
}

COVERAGE_FIELDS = (
    Field("band", "filter", dtype=str),
    Field("zone", "by what is seen: blank, dim, distinct or all", dtype=str),
    Field("pixels", "pixels with a sigma", "pix", int),
    *Field("within_1", "share with |x - truth| < sigma; 0.683 if Gaussian").with_error(_JACKKNIFE),
    *Field("within_2", "share with |x - truth| < 2 sigma; 0.954 if Gaussian").with_error(_JACKKNIFE),
)

COVERAGE_DEFINITIONS = {
    "sigma": "the denoised product's own 1-sigma uncertainty of the pixel",
    "zones": f"blank: denoised value below {BLANK_BELOW} times the noise of the input pixel; dim: up to "
    f"{DISTINCT_ABOVE}; distinct: above. By the denoised image, not by the truth: an interval has to hold "
    "given what is seen, and only so can a user choose pixels",
    "errors": _JACKKNIFE,
}


def stretched_error(image: NDArray, truth: NDArray, sigma: float) -> NDArray:
    """3 asinh(image / 3 sigma) - 3 asinh(truth / 3 sigma): in units of sigma where both are faint."""
    softening = SOFTENING * sigma
    return SOFTENING * (np.arcsinh(image / softening) - np.arcsinh(truth / softening))


def pixel_sums(scene: Scene, image: Image, noise: NoiseModel) -> list[dict[str, Array]]:
    """What `quality_row` needs of one method's image (band, y, x), nanomaggies: sums per block, per band."""
    index = block_index(scene.brick.shape)
    pixel_sigma = noise.sigma(scene.brick.invvar)
    result = []
    for band, sigma in enumerate(noise.sigma_sky):
        truth, measured, inpainted = scene.truth[band], scene.measured[band], scene.inpainted[band]
        square = stretched_error(image[band], truth, sigma) ** 2
        sky = measured & (truth < SKY_BELOW * sigma)
        difference = image[band] - truth
        normal = np.divide(difference, pixel_sigma[band], out=np.zeros_like(difference), where=measured)
        result.append(
            {
                "error": block_sums(index, measured, [square]),
                "inpainted": block_sums(index, inpainted, [square]),
                "sky_rms": block_sums(index, sky, [normal**2]),
                "background": block_sums(index, sky, [difference]),
                "background_sigma": block_sums(index, sky, [normal]),
                "bright": block_sums(index, measured & (truth > BRIGHT_ABOVE * sigma), [image[band], truth]),
            }
        )
    return result


def quality_row(method: str, band: str, smoothing: float, sums: Mapping[str, Array]) -> dict[str, object]:
    """One row of the table of quality, from the sums of all bricks side by side."""
    measures = {
        "error": jackknife(rms, sums["error"]),
        "sky_rms": jackknife(rms, sums["sky_rms"]),
        "background": jackknife(mean, sums["background"]),
        "background_sigma": jackknife(mean, sums["background_sigma"]),
        "bright_bias_percent": jackknife(lambda s: 100 * (s[1] / s[2] - 1), sums["bright"]),
        "inpainted_error": jackknife(rms, sums["inpainted"]),
    }
    row: dict[str, object] = {"method": method, "band": band, "smoothing": smoothing}
    for name, (value, error) in measures.items():
        row |= {name: value, f"{name}_err": error}
    counts = {"pixels": "error", "sky_pixels": "sky_rms", "inpainted_pixels": "inpainted"}
    return row | {name: int(sums[key][0].sum()) for name, key in counts.items()}


def pool(parts: Sequence[Mapping[str, Array]]) -> dict[str, Array]:
    """Sums of several bricks side by side."""
    return {name: np.concatenate([part[name] for part in parts], axis=1) for name in parts[0]}


def _zones(denoised: NDArray, noise_sigma: NDArray) -> dict[str, Mask]:
    blank, distinct = denoised < BLANK_BELOW * noise_sigma, denoised > DISTINCT_ABOVE * noise_sigma
    return {"blank": blank, "dim": ~(blank | distinct), "distinct": distinct, "all": np.ones_like(blank)}


def coverage_sums(scene: Scene, noise: NoiseModel) -> dict[tuple[str, str], Array]:
    """By band and zone: pixels, those within 1 sigma and within 2 sigma of the truth, per block."""
    index = block_index(scene.brick.shape)
    noise_sigma = noise.sigma(scene.brick.invvar)
    result = {}
    for band, name in enumerate(noise.bands):
        sigma, image = scene.denoised.sigma[band], scene.denoised.image[band]
        distance = np.abs(image - scene.truth[band])
        known = scene.measured[band] & np.isfinite(sigma) & (sigma > 0)
        inside = [(distance < reach * sigma).astype(np.float64) for reach in (1, 2)]
        for zone, where in _zones(image, noise_sigma[band]).items():
            result[name, zone] = block_sums(index, known & where, inside)
    return result


def coverage_table(parts: Iterable[Mapping[tuple[str, str], Array]]) -> Table:
    """Share of pixels within one and two sigma of the truth, over all bricks."""
    pooled: dict[tuple[str, str], list[Array]] = {}
    for part in parts:
        for key, sums in part.items():
            pooled.setdefault(key, []).append(sums)
    rows = []
    for (band, zone), blocks in pooled.items():
        sums = np.concatenate(blocks, axis=1)
        row: dict[str, object] = {"band": band, "zone": zone, "pixels": int(sums[0].sum())}
        for reach in (1, 2):
            share, error = jackknife(mean, sums[[0, reach]])
            row |= {f"within_{reach}": share, f"within_{reach}_err": error}
        rows.append(row)
    return make_table(COVERAGE_FIELDS, rows, COVERAGE_DEFINITIONS)
