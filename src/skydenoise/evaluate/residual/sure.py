"""The error of a denoised image without any truth: Stein's unbiased risk estimate (`predict.stein`)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

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


@dataclass(frozen=True, eq=False)
class Probed:
    """A cutout that was denoised once more with a second draw of noise; every array (band, y, x) float32.

    sigma : noise of a pixel, nanomaggies
    denoised : what the method made of the cutout, nanomaggies
    residual, change : (input - denoised), and by how much the second result differs, in units of sigma; 0
        where the cutout is not usable
    probe : the second draw, of unit variance
    """

    cutout: Brick
    sigma: Image
    denoised: Image
    residual: Image
    change: Image
    probe: Image


def probed(
    cutout: Brick, method: Method, denoised: Image, noise: NoiseModel, generator: np.random.Generator
) -> Probed:
    """Run the method once more, on a cutout with STRENGTH times another draw of its noise.

    cutout : a brick or a part of one
    denoised : what the method makes of it
    """
    sigma, probe = noise.sigma(cutout.invvar), noise.draw(cutout.image.shape, generator)
    second = method(replace(cutout, image=cutout.image + np.float32(STRENGTH) * probe * sigma))
    residual, change = (
        np.divide(difference, sigma, out=np.zeros_like(sigma), where=cutout.usable)
        for difference in (cutout.image - denoised, second - denoised)
    )
    return Probed(cutout, sigma, denoised, residual, change, probe)


def sure_sums(part: Probed, bands: Sequence[str]) -> dict[tuple[str, str], Array]:
    """Sums per block, of which `sure_table` makes its measures; the bands have names."""
    cutout = part.cutout
    # read from the input, not from the denoised image, so that zones suit any method
    _, empty = empty_sky(cutout.image, cutout.invvar, cutout.usable, cutout.masked)
    sky = (empty | ~cutout.usable).all(axis=0)
    blocks, result = Blocks(cutout.shape), {}
    planes = zip(bands, cutout.usable, part.residual, part.probe, part.change, strict=True)
    for name, usable, residual, probe, change in planes:
        columns = squared_error(residual, probe, change), passed(probe, change), residual**2
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
