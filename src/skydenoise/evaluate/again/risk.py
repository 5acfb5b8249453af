"""The error of a denoised image without any truth, by Stein's estimate (`stein`)."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from astropy.table import Table

from skydenoise.evaluate.scene import Image, Mask, Method
from skydenoise.evaluate.statistics import Array, block_index, block_sums, jackknife, mean
from skydenoise.evaluate.tables import Field, make_table
from skydenoise.io import Brick
from skydenoise.noise import NoiseModel
from skydenoise.noise.sky import empty_sky
from skydenoise.predict.stein import STRENGTH, passed, squared_error

Sums = Mapping[tuple[str, str], Array]
"""By band and zone: (6, blocks); pixels, then sums of risk, passed, squared residual, mse and variance."""

_JACKKNIFE = "delete-one jackknife over blocks of 64 x 64 pixels"
_SCALE = "standard error of {} that comes from how well the strength of the noise is known"

RISK_FIELDS = (
    Field("method", "what was made of the noisy brick", dtype=str),
    Field("band", "filter", dtype=str),
    Field("zone", "sky, source or all", dtype=str),
    Field("pixels", "pixels measured", "pix", int),
    *Field("risk", "estimated mean of (x - truth)^2 / sigma^2").with_error(_JACKKNIFE),
    Field("risk_scale_err", _SCALE.format("risk")),
    Field("error", "root of risk, with its sign: rms error in units of the input's noise"),
    *Field("mse", "estimated mean of (x - truth)^2", "nmgy2").with_error(_JACKKNIFE),
    Field("mse_scale_err", _SCALE.format("mse")),
    *Field("passed", "share of the noise that is let through: 1 if nothing is done").with_error(_JACKKNIFE),
)

RISK_DEFINITIONS = {
    "risk": "mean of residual^2 - 1 + 2 passed, unbiased for Gaussian noise as strong and as correlated "
    "as the noise model says; may come out below 0 within its errors. Sources too faint to be seen count as "
    "noise in that model, by some 0.005 of its variance at the survey's depth: so much is risk too low",
    "residual": "(input - x) / sigma",
    "passed": f"z (f(input + t z) - f(input)) / t, t = {STRENGTH:g}, z drawn with the measured covariance",
    "sigma": "noise of the pixel in the input: scale / sqrt(invvar) of the noise model",
    "zone": "sky: without a source in a smoothed map of the input, in any band, where invvar is that of the "
    "sky; source: the rest; all: both. Noise that invvar leaves out, such as that of bright sources' photons "
    "in some surveys, counts as error",
    "measured": "pixels with coverage, neither saturated nor bad",
    "errors": _JACKKNIFE,
}


def risk_sums(
    cutout: Brick,
    method: Method,
    noise: NoiseModel,
    generator: np.random.Generator,
    *,
    denoised: Image | None = None,
    strength: float = STRENGTH,
) -> dict[tuple[str, str], Array]:
    """Sums per block, of which `risk_table` makes its measures; the method runs twice.

    Parameters
    ----------
    cutout
        a brick or a part of one
    method
        what is measured
    noise
        of the brick's bands
    generator
        of the second draw of noise
    denoised
        what the method makes of the cutout, if that is known: then it runs once
    strength
        of the second draw, in units of the noise
    """
    sigma = noise.sigma(cutout.invvar)
    probe = noise.draw(cutout.image.shape, generator)
    first = method(cutout) if denoised is None else denoised
    second = method(replace(cutout, image=cutout.image + np.float32(strength) * probe * sigma))
    index, zones = block_index(cutout.shape), _zones(cutout)
    result = {}
    for band, name in enumerate(noise.bands):
        usable = cutout.usable[band]
        residual, change = (
            np.divide(difference[band], sigma[band], out=np.zeros_like(sigma[band]), where=usable)
            for difference in (cutout.image - first, second - first)
        )
        risk = squared_error(residual, probe[band], change, strength)
        variance = sigma[band].astype(np.float64) ** 2
        columns = [risk, passed(probe[band], change, strength), residual**2, risk * variance, variance]
        for zone, where in zones.items():
            result[name, zone] = block_sums(index, usable & where, columns)
    return result


def _zones(cutout: Brick) -> dict[str, Mask]:
    """(y, x) bool by name. Read from the input, not from the denoised image, so that they suit any method."""
    _, empty = empty_sky(cutout.image, cutout.invvar, cutout.usable, cutout.masked)
    sky = (empty | ~cutout.usable).all(axis=0)
    return {"sky": sky, "source": ~sky, "all": np.ones_like(sky)}


def risk_table(parts: Mapping[str, Sequence[Sums]], noise: NoiseModel) -> Table:
    """Estimated errors by method, band and zone, over all cutouts.

    parts : by method, sums of each cutout
    """
    rows = []
    for method, cutouts in parts.items():
        for band, zone in cutouts[0] if cutouts else ():
            sums = np.concatenate([part[band, zone] for part in cutouts], axis=1)
            rows.append({"method": method, "band": band, "zone": zone} | _measures(sums, band, noise))
    return make_table(RISK_FIELDS, rows, RISK_DEFINITIONS)


def _measures(sums: Array, band: str, noise: NoiseModel) -> dict[str, float]:
    row: dict[str, float] = {"pixels": int(sums[0].sum())}
    for name, column in (("risk", 1), ("passed", 2), ("mse", 4)):
        row[name], row[f"{name}_err"] = jackknife(mean, sums[[0, column]])
    residual, variance = (jackknife(mean, sums[[0, column]])[0] for column in (3, 5))
    doubt = _relative_scale_error(band, noise)
    row["error"] = float(np.sign(row["risk"]) * np.sqrt(np.abs(row["risk"])))
    # If the noise is stronger by a share e, residual^2 falls by 2e of it and `passed` stays as it is.
    row["risk_scale_err"] = float(2 * doubt * residual)
    row["mse_scale_err"] = float(2 * doubt * variance * abs(1 - 2 * row["passed"]))
    return row


def _relative_scale_error(band: str, noise: NoiseModel) -> float:
    """Of the noise's strength; NaN if it was not measured."""
    number = noise.bands.index(band)
    return noise.scale_error[number] / noise.scale[number] if noise.scale_error else float("nan")
