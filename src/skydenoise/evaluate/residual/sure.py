"""The error of a denoised image without any truth: Stein's unbiased risk estimate (`predict.stein`)."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from astropy.table import Table

from skydenoise.evaluate.images import Image, Method
from skydenoise.evaluate.residual.whiteness import ZONE
from skydenoise.evaluate.statistics import JACKKNIFE, Array, Blocks, jackknife_row, joined
from skydenoise.evaluate.tables import BAND, METHOD, Field, make_table
from skydenoise.io import Brick
from skydenoise.noise import NoiseModel
from skydenoise.noise.sky import empty_sky
from skydenoise.predict.stein import STRENGTH, passed, squared_error

Sums = Mapping[tuple[str, str], Array]
"""By band and zone: (6, blocks); pixels, then sums of risk, passed, squared residual, mse and variance."""

_SCALE = "standard error of {} that comes from how well the strength of the noise is known"

RISK_FIELDS = (
    METHOD,
    BAND,
    ZONE,
    Field("pixels", "pixels measured", "pix", int),
    *Field("risk", "estimated mean of (x - truth)^2 / sigma^2").with_error(JACKKNIFE),
    Field("risk_scale_err", _SCALE.format("risk")),
    Field("error", "root of risk, with its sign: rms error in units of the input's noise"),
    *Field("mse", "estimated mean of (x - truth)^2", "nmgy2").with_error(JACKKNIFE),
    Field("mse_scale_err", _SCALE.format("mse")),
    *Field("passed", "share of the noise that is let through: 1 if nothing is done").with_error(JACKKNIFE),
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
    "errors": JACKKNIFE,
}


def sure_sums(
    cutout: Brick, method: Method, denoised: Image, noise: NoiseModel, generator: np.random.Generator
) -> dict[tuple[str, str], Array]:
    """Sums per block, of which `sure_table` makes its measures; the method runs once.

    cutout : a brick or a part of one
    denoised : what the method makes of it
    generator : of the second draw of noise
    """
    sigma, probe = noise.sigma(cutout.invvar), noise.draw(cutout.image.shape, generator)
    second = method(replace(cutout, image=cutout.image + np.float32(STRENGTH) * probe * sigma))
    # read from the input, not from the denoised image, so that zones suit any method
    _, empty = empty_sky(cutout.image, cutout.invvar, cutout.usable, cutout.masked)
    sky = (empty | ~cutout.usable).all(axis=0)
    blocks, result = Blocks(cutout.shape), {}
    for band, name in enumerate(noise.bands):
        usable = cutout.usable[band]
        residual, change = (
            np.divide(difference[band], sigma[band], out=np.zeros_like(sigma[band]), where=usable)
            for difference in (cutout.image - denoised, second - denoised)
        )
        risk = squared_error(residual, probe[band], change)
        variance = sigma[band].astype(np.float64) ** 2
        columns = risk, passed(probe[band], change), residual**2, risk * variance, variance
        for zone, inside in (("sky", sky), ("source", ~sky), ("all", True)):
            result[name, zone] = blocks.sums(usable & inside, *columns)
    return result


def sure_table(parts: Mapping[str, Sequence[Sums]], noise: NoiseModel) -> Table:
    """Estimated errors by method, band and zone, over all cutouts.

    parts : by method, sums of each cutout
    """
    doubts = np.divide(noise.scale_error or np.nan, noise.scale)  # of the noise's strength
    rows = [
        {"method": method, "band": band, "zone": zone, **_measures(sums, doubts[noise.bands.index(band)])}
        for method, cutouts in parts.items()
        for (band, zone), sums in joined(cutouts).items()
    ]
    return make_table(RISK_FIELDS, rows, RISK_DEFINITIONS)


def _measures(sums: Array, doubt: float) -> dict[str, float]:
    """Columns from the sums and the relative error of the noise's strength."""
    columns = {"risk": 1, "passed": 2, "residual": 3, "mse": 4, "variance": 5}
    row = jackknife_row(sums, {name: partial(_mean_of, number) for name, number in columns.items()})
    row["pixels"] = int(sums[0].sum())
    row["error"] = float(np.sign(row["risk"]) * np.sqrt(np.abs(row["risk"])))
    # If the noise is stronger by a share e, residual^2 falls by 2e of it and `passed` stays as it is.
    row["risk_scale_err"] = float(2 * doubt * row["residual"])
    row["mse_scale_err"] = float(2 * doubt * row["variance"] * abs(1 - 2 * row["passed"]))
    return row


def _mean_of(column: int, sums: Array) -> Array:
    return sums[column] / sums[0]
