"""Sources that are put into images: points and exponential discs, of the colours of galaxies."""

from collections.abc import Sequence

import galsim
import numpy as np
from numpy.typing import NDArray

from skydenoise.evaluate.aperture import aperture_sums
from skydenoise.evaluate.psf import moffat
from skydenoise.evaluate.statistics import Array

BLUE = {"u": 1.0, "g": 0.3, "r": 0.0, "i": -0.1, "z": -0.2, "y": -0.2}
RED = {"u": 3.2, "g": 1.4, "r": 0.0, "i": -0.55, "z": -1.0, "y": -1.2}
"""Magnitudes relative to r of a star-forming and of an old galaxy at redshift 0.3 to 0.5 (the colours of
`simulate.sky`, from the counts and colours cited there); sources lie between. Other bands: as r."""

REACH = 40
"""Pixels from a source's centre to the edge of what is drawn."""


def draw_sources(
    shape: tuple[int, int], x: Array, y: Array, flux: Array, fwhm: float, radius: Array
) -> NDArray[np.float32]:
    """Noise-free image (y, x) of one band with sources of total `flux`, nanomaggies.

    fwhm : of the point spread function, pixels
    radius : half-light radii of exponential discs, pixels; 0 for points
    """
    image = np.zeros(shape, np.float32)
    canvas = galsim.Image(image, xmin=0, ymin=0, scale=1)
    for column, row, total, size in zip(x, y, flux, radius, strict=True):
        if total <= 0:
            continue
        low, high = round(column) - REACH, round(row) - REACH
        bounds = galsim.BoundsI(low, low + 2 * REACH, high, high + 2 * REACH) & canvas.bounds
        profile = moffat(fwhm)
        if size:
            profile = galsim.Convolve(galsim.Exponential(half_light_radius=float(size)), profile)
        how = {"method": "no_pixel", "center": galsim.PositionD(column, row), "add_to_image": True}
        (profile * float(total)).drawImage(canvas[bounds], **how)
    return image


def aperture_share(fwhm: float, radius: float) -> float:
    """Share of a source's flux in the aperture, if it is centred on a pixel."""
    middle, shape = np.array([float(REACH)]), (2 * REACH + 1, 2 * REACH + 1)
    stamp = draw_sources(shape, middle, middle, np.ones(1), fwhm, np.array([radius]))
    return float(aperture_sums([stamp], middle, middle)[0, 0])


def colours(bands: Sequence[str], count: int, generator: np.random.Generator) -> Array:
    """Fluxes relative to r, (band, count): each source somewhere between BLUE and RED, 0.1 mag of scatter."""
    age = generator.uniform(0, 1, count)
    scatter = generator.normal(0, 0.1, (len(bands), count))
    blue, red = (np.array([table.get(band, 0.0) for band in bands])[:, None] for table in (BLUE, RED))
    return np.asarray(10 ** (-0.4 * (blue + (red - blue) * age + scatter)))
