"""What denoising took away, measured without any truth: input - denoised should be noise."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import torch
from astropy.table import Table
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_cdt

from skydenoise.evaluate.scene import Mask, measured_pixels
from skydenoise.evaluate.statistics import Array, block_index, block_sums, jackknife, mean, rms
from skydenoise.evaluate.tables import Field, make_table
from skydenoise.io import Brick, Denoised
from skydenoise.noise import NoiseModel
from skydenoise.starlet import planes, reach

FAINT_BELOW = 1.0
"""A pixel is sky where the denoised image is below this many sigma of the sky."""
LAGS = (1, 2)

_JACKKNIFE = "delete-one jackknife over blocks of 64 x 64 pixels"

RESIDUAL_DEFINITIONS = {
    "residual": "input - denoised, where measured: with coverage, neither saturated, bad nor INPAINTED",
    "sigma": "noise of the pixel in the input: scale / sqrt(invvar) of the noise model",
    "zone": f"sky: denoised below {FAINT_BELOW:g} sigma of the sky noise; source: above; all: both",
    "correlation": "mean product of neighbours along x and along y over the mean square; expected_*: that of "
    "the measured noise",
    "starlet": "rms of the starlet coefficients of residual / sigma over that of the measured noise: 1 if "
    "the residual is noise; only where the filter sees measured pixels alone",
    "errors": _JACKKNIFE,
}


def residual_fields(scales: int) -> list[Field]:
    """Columns of the table of residuals for a noise model with that many starlet scales."""
    fields = [
        Field("band", "filter", dtype=str),
        Field("zone", "sky, source or all", dtype=str),
        Field("pixels", "pixels measured", "pix", int),
        *Field("mean", "mean residual", "nmgy").with_error(_JACKKNIFE),
        *Field("mean_sigma", "mean of residual / sigma").with_error(_JACKKNIFE),
        *Field("rms", "rms of residual / sigma: 1 if all noise and nothing else was taken").with_error(
            _JACKKNIFE
        ),
    ]
    for lag in LAGS:
        fields += Field(f"correlation_{lag}", f"autocorrelation at lag {lag} pixels").with_error(_JACKKNIFE)
        fields.append(Field(f"expected_{lag}", f"autocorrelation of the noise at lag {lag} pixels"))
    for scale in range(1, scales + 1):
        fields += Field(
            f"starlet_{scale}", f"rms of starlet plane {scale} (about {2**scale} pixels) over the noise's"
        ).with_error(_JACKKNIFE)
    return fields


def residual_sums(
    brick: Brick, denoised: Denoised, noise: NoiseModel
) -> dict[tuple[str, str], dict[str, Array]]:
    """Sums per block by band and zone, of which `residual_table` makes its measures."""
    index = block_index(brick.shape)
    measured, sigma = measured_pixels(brick, denoised), noise.sigma(brick.invvar)
    result: dict[tuple[str, str], dict[str, Array]] = {}
    for band, name in enumerate(noise.bands):
        residual = np.where(measured[band], brick.image[band] - denoised.image[band], np.float32(0))
        normal = np.divide(residual, sigma[band], out=np.zeros_like(residual), where=measured[band])
        faint = denoised.image[band] < FAINT_BELOW * noise.sigma_sky[band]
        zones = {"sky": faint, "source": ~faint, "all": np.ones_like(faint)}
        for zone, where in zones.items():
            result[name, zone] = _pixel_sums(index, residual, normal, measured[band] & where)
        for scale, (plane, clear) in enumerate(_clear_planes(normal, measured[band], noise.levels.shape[1])):
            square = (plane / noise.levels[band, scale]) ** 2
            for zone, where in zones.items():
                result[name, zone][f"starlet_{scale + 1}"] = block_sums(index, clear & where, [square])
    return result


def _pixel_sums(index: NDArray, residual: NDArray, normal: NDArray, where: Mask) -> dict[str, Array]:
    sums = {
        "mean": block_sums(index, where, [residual]),
        "mean_sigma": block_sums(index, where, [normal]),
        "rms": block_sums(index, where, [normal**2]),
    }
    for lag in LAGS:
        pairs = [
            block_sums(
                index[: -lag if axis == 0 else None, : -lag if axis == 1 else None],
                *_neighbours(normal, where, lag, axis),
                blocks=int(index[-1, -1]) + 1,
            )
            for axis in (0, 1)
        ]
        sums[f"correlation_{lag}"] = pairs[0] + pairs[1]
    return sums


def _neighbours(normal: NDArray, where: Mask, lag: int, axis: int) -> tuple[Mask, list[NDArray]]:
    """Pairs of pixels `lag` apart along an axis: where both count; their product and their mean square."""
    near = (slice(None, -lag),) if axis == 0 else (slice(None), slice(None, -lag))
    far = (slice(lag, None),) if axis == 0 else (slice(None), slice(lag, None))
    one, other = normal[near], normal[far]
    return where[near] & where[far], [one * other, (one**2 + other**2) / 2]


def _clear_planes(normal: NDArray, measured: Mask, scales: int) -> Iterable[tuple[NDArray, Mask]]:
    """Detail planes of the normalised residual, each with the pixels that depend on measured ones alone."""
    distance = distance_transform_cdt(np.pad(measured, 1), metric="chessboard")[1:-1, 1:-1]
    for scale, plane in zip(range(scales), planes(torch.from_numpy(normal), scales), strict=False):
        yield plane.numpy(), distance > reach(scale + 1)


def _ratio_of_sums(sums: Array) -> Array:
    return sums[1] / sums[2]


def residual_table(
    parts: Sequence[Mapping[tuple[str, str], Mapping[str, Array]]], noise: NoiseModel
) -> Table:
    """Measures of the residual by band and zone, over all bricks."""
    rows = []
    for band, zone in parts[0] if parts else ():
        pooled = {
            key: np.concatenate([part[band, zone][key] for part in parts], axis=1)
            for key in parts[0][band, zone]
        }
        row: dict[str, object] = {"band": band, "zone": zone, "pixels": int(pooled["rms"][0].sum())}
        for key, sums in pooled.items():
            statistic = {"mean": mean, "mean_sigma": mean}.get(key, rms)
            row[key], row[f"{key}_err"] = jackknife(
                _ratio_of_sums if key.startswith("correlation") else statistic, sums
            )
        correlation = noise.correlation[noise.bands.index(band)]
        centre = noise.max_lag
        for lag in LAGS:
            along = (correlation[centre, centre + lag], correlation[centre + lag, centre])
            row[f"expected_{lag}"] = float(np.mean(along)) if lag <= centre else 0.0
        rows.append(row)
    return make_table(residual_fields(noise.levels.shape[1]), rows, RESIDUAL_DEFINITIONS)
