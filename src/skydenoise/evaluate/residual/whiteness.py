"""What denoising took away: input - denoised should be noise, as strong and as correlated as was measured."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from astropy.table import Table
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_cdt

from skydenoise.evaluate.images import Image, Mask, measured_pixels
from skydenoise.evaluate.statistics import JACKKNIFE, Array, Blocks, jackknife_row, joined, mean, rms
from skydenoise.evaluate.tables import BAND, Field, make_table, with_errors
from skydenoise.io import Brick, Denoised
from skydenoise.noise import NoiseModel
from skydenoise.starlet import planes, reach

FAINT_BELOW = 1.0
"""A pixel is sky where the denoised image is below this many sigma of the sky."""
LAGS = (1, 2)
ZONE = Field("zone", "sky, source or all", dtype=str)

Sums = Mapping[tuple[str, str], Mapping[str, Array]]
"""By band and zone, and by measure: sums per block."""

RESIDUAL_DEFINITIONS = {
    "residual": "input - denoised, where measured: with coverage, neither saturated, bad nor INPAINTED",
    "sigma": "noise of the pixel in the input: scale / sqrt(invvar) of the noise model",
    "zone": f"sky: denoised below {FAINT_BELOW:g} sigma of the sky noise; source: above; all: both",
    "correlation": "mean product of neighbours along x and along y over the mean square; expected_*: that of "
    "the measured noise",
    "starlet": "rms of the starlet coefficients of residual / sigma over that of the measured noise: 1 if "
    "the residual is noise; only where the filter sees measured pixels alone",
    "errors": JACKKNIFE,
}


def residual_fields(scales: int) -> list[Field]:
    """Columns of the table of residuals for a noise model with that many starlet scales."""
    fields = [BAND, ZONE, Field("pixels", "pixels measured", "pix", int)]
    fields += with_errors(
        JACKKNIFE,
        Field("mean", "mean residual", "nmgy"),
        Field("mean_sigma", "mean of residual / sigma"),
        Field("rms", "rms of residual / sigma: 1 if all noise and nothing else was taken"),
    )
    for lag in LAGS:
        fields += Field(f"correlation_{lag}", f"autocorrelation at lag {lag} pixels").with_error(JACKKNIFE)
        fields.append(Field(f"expected_{lag}", f"autocorrelation of the noise at lag {lag} pixels"))
    for scale in range(1, scales + 1):
        what = f"rms of starlet plane {scale} (about {2**scale} pixels) over the noise's"
        fields += Field(f"starlet_{scale}", what).with_error(JACKKNIFE)
    return fields


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
        zones = {"sky": faint[band], "source": ~faint[band], "all": np.ones_like(faint[band])}
        for zone, inside in zones.items():
            result[name, zone] = _pixel_sums(blocks, residual, normal, measured[band] & inside)
        for number, (plane, clear) in enumerate(_clear_planes(normal, measured[band], noise.levels[band]), 1):
            for zone, inside in zones.items():
                result[name, zone][f"starlet_{number}"] = blocks.sums(clear & inside, plane**2)
    return result


def _pixel_sums(blocks: Blocks, residual: NDArray, normal: NDArray, where: Mask) -> dict[str, Array]:
    sums = {
        "mean": blocks.sums(where, residual),
        "mean_sigma": blocks.sums(where, normal),
        "rms": blocks.sums(where, normal**2),
    }
    for lag in LAGS:
        pairs = []
        for near, far in ((np.s_[:-lag], np.s_[lag:]), (np.s_[:, :-lag], np.s_[:, lag:])):
            one, other = normal[near], normal[far]
            products = one * other, (one**2 + other**2) / 2
            pairs.append(blocks.sums(where[near] & where[far], *products, part=near))
        sums[f"correlation_{lag}"] = pairs[0] + pairs[1]
    return sums


def _clear_planes(normal: NDArray, measured: Mask, levels: Array) -> Iterator[tuple[NDArray, Mask]]:
    """Starlet planes over the noise's `levels`, each with the pixels that depend on measured ones alone."""
    distance = distance_transform_cdt(np.pad(measured, 1), metric="chessboard")[1:-1, 1:-1]
    details = planes(torch.from_numpy(normal), len(levels))
    for number, (level, plane) in enumerate(zip(levels, details, strict=False), start=1):
        yield plane.numpy() / level, distance > reach(number)


def residual_table(parts: Sequence[Sums], noise: NoiseModel) -> Table:
    """Measures of the residual by band and zone, over all bricks."""
    statistics = {"mean": mean, "correlation": lambda s: s[1] / s[2], "rms": rms, "starlet": rms}
    rows = []
    for (band, zone), sums in joined(parts).items():
        row = jackknife_row(sums, {name: statistics[name.split("_")[0]] for name in sums})
        correlation, centre = noise.correlation[noise.bands.index(band)], noise.max_lag
        for lag in LAGS:
            along = (correlation[centre, centre + lag], correlation[centre + lag, centre])
            row[f"expected_{lag}"] = float(np.mean(along))
        rows.append({"band": band, "zone": zone, "pixels": int(sums["rms"][0].sum()), **row})
    return make_table(residual_fields(noise.levels.shape[1]), rows, RESIDUAL_DEFINITIONS)
