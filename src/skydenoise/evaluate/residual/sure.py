"""The error of a denoised image without any truth: Stein's unbiased risk estimate (`predict.stein`)."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from astropy.table import Table

from skydenoise.evaluate.images import Image, Method
from skydenoise.evaluate.statistics import JACKKNIFE, Array, Blocks, jackknife_row, joined, mean
from skydenoise.evaluate.tables import BAND, PIXELS, ZONE, Field, Measure, make_table, with_errors
from skydenoise.io import Brick
from skydenoise.noise import NoiseModel
from skydenoise.noise.sky import empty_sky
from skydenoise.predict.stein import STRENGTH, passed, squared_error

Sums = Mapping[tuple[str, str], Array]
"""By band and zone: (4, blocks); pixels, then sums of risk, passed and squared residual."""

MEASURES = (
    Measure("risk", "estimated mean of (x - truth)^2 / sigma^2", of=mean),
    Measure(
        "passed", "share of the noise that is let through: 1 if nothing is done", of=lambda s: s[2] / s[0]
    ),
)
FIELDS = (
    BAND,
    ZONE,
    PIXELS,
    *with_errors(JACKKNIFE, *MEASURES),
    Field("risk_scale_err", "error of risk that comes from how well the strength of the noise is known"),
    Field("error", "root of risk, with its sign: rms error in units of the input's noise"),
)
DEFINITIONS = {
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
        columns = squared_error(residual, probe[band], change), passed(probe[band], change), residual**2
        for zone, inside in (("sky", sky), ("source", ~sky), ("all", True)):
            result[name, zone] = blocks.sums(usable & inside, *columns)
    return result


def sure_table(parts: Sequence[Sums], noise: NoiseModel) -> Table:
    """Estimated errors by band and zone, over all cutouts.

    parts : sums of each cutout
    """
    doubts = np.divide(noise.scale_error or np.nan, noise.scale) * np.ones(len(noise.bands))
    rows = []
    for (band, zone), sums in joined(parts).items():
        pixels, *_, residual = sums.sum(axis=1)
        row = jackknife_row(sums, MEASURES)
        error = np.sign(row["risk"]) * np.sqrt(np.abs(row["risk"]))
        # If the noise is stronger by a share e, residual^2 falls by 2e of it and `passed` stays as it is.
        scale = 2 * doubts[noise.bands.index(band)] * residual / pixels if pixels else np.nan
        head = {"band": band, "zone": zone, "pixels": int(pixels)}
        rows.append({**head, **row, "error": error, "risk_scale_err": scale})
    return make_table(FIELDS, rows, DEFINITIONS)
