"""Images as other surveys might give them, small and with known truth."""

from pathlib import Path

import numpy as np
from astropy.io import fits

SHAPE = (90, 110)
SIGMA = 0.02
STARS = ((30.0, 40.0, 50.0), (70.0, 62.0, 20.0))
"""x, y in pixels of the common grid, total flux in nanomaggies."""


def header(shift: tuple[float, float] = (0, 0), scale: float = 1.0) -> fits.Header:
    """TAN, north up, 0.262 arcsec / scale; a place at x of the common grid is at scale * (x + shift)."""
    wcs = fits.Header()
    for axis, ctype, value in ((1, "RA---TAN", 10.0), (2, "DEC--TAN", 20.0)):
        wcs[f"CTYPE{axis}"], wcs[f"CRVAL{axis}"] = ctype, value
        wcs[f"CRPIX{axis}"] = scale * (50 + shift[axis - 1]) + 1
    wcs["CD1_1"], wcs["CD1_2"], wcs["CD2_1"], wcs["CD2_2"] = -7.28e-5 / scale, 0.0, 0.0, 7.28e-5 / scale
    wcs["BUNIT"] = "nanomaggy"
    return wcs


def scene(
    shape: tuple[int, int] = SHAPE, shift: tuple[float, float] = (0, 0), scale: float = 1.0, seed: int = 0
) -> np.ndarray:
    """Two Gaussian stars of the same total flux on any grid, and white noise."""
    y, x = np.indices(shape)
    image = np.random.default_rng(seed).normal(0, SIGMA, shape)
    width = 2.0 * scale
    for x0, y0, flux in STARS:
        radius2 = (x - scale * (x0 + shift[0])) ** 2 + (y - scale * (y0 + shift[1])) ** 2
        image += flux * np.exp(-radius2 / (2 * width**2)) / (2 * np.pi * width**2)
    return image.astype(np.float32)


def write(path: Path, data: np.ndarray, cards: fits.Header) -> Path:
    fits.PrimaryHDU(data, cards).writeto(path)
    return path
