"""A brick of noise, and what it might look like denoised."""

import numpy as np
from astropy.io import fits

from skydenoise.config import OutputSettings
from skydenoise.io import (
    Brick,
    Denoised,
)

NAME = "1410m032"
BANDS = ("g", "r", "z")
LOSSLESS = OutputSettings("lossless")
PROVENANCE = {"model": "0123456789abcdef", "key": "k1", "tile": 128}


def wcs_header() -> fits.Header:
    header = fits.Header()
    for axis, ctype, value in ((1, "RA---TAN", 141.0), (2, "DEC--TAN", -3.25)):
        header[f"CTYPE{axis}"], header[f"CRVAL{axis}"], header[f"CRPIX{axis}"] = ctype, value, 60.5
    header["CD1_1"], header["CD1_2"], header["CD2_1"], header["CD2_2"] = -7.2e-5, 0.0, 0.0, 7.2e-5
    header["IMTYPE"], header["BUNIT"], header["MAGZERO"] = "image", "nanomaggy", 22.5
    header["HISTORY"] = "taken on a clear night"
    return header


def brick(name: str = NAME, bands: tuple[str, ...] = BANDS, shape: tuple[int, int] = (110, 125)) -> Brick:
    generator = np.random.default_rng(1)
    image = generator.normal(0, 0.01, (len(bands), *shape)).astype(np.float32)
    invvar = generator.uniform(5e3, 1e4, image.shape).astype(np.float32)
    invvar[:, :20, :30] = 0
    image[invvar == 0] = 0
    return Brick(name, bands, image, invvar, np.zeros(image.shape, bool), (wcs_header(),) * len(bands))


def denoised(of: Brick) -> Denoised:
    sigma = np.where(of.invvar > 0, np.float32(0.001234567), np.float32(np.nan))
    flags = np.random.default_rng(2).integers(0, 1 << 12, of.shape).astype(np.int32)
    return Denoised(of.image, sigma, flags)
