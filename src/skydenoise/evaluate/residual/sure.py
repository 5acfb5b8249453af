"""The error of a denoised image without any truth: Stein's unbiased risk estimate (`predict.stein`)."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from astropy.table import Table

from skydenoise.evaluate.images import Image, Method
from skydenoise.evaluate.statistics import Array, Blocks, Statistic, jackknife_row, joined, mean
from skydenoise.evaluate.tables import declared_table
from skydenoise.io import Brick
from skydenoise.noise import NoiseModel
from skydenoise.noise.sky import empty_sky
from skydenoise.predict.stein import STRENGTH, passed, squared_error

Sums = Mapping[tuple[str, str], Array]
"""By band and zone: (4, blocks); pixels, then sums of risk, passed and squared residual."""

MEASURES: Mapping[str, Statistic] = {"risk": mean, "passed": lambda sums: sums[2] / sums[0]}


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
    return declared_table("risk", rows)
