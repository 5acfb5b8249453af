"""Bricks of a known sky, their mosaic, and what is measured on it."""

from pathlib import Path

import numpy as np
import sep
from astropy.io import fits
from astropy.wcs import WCS
from small_brick import LOSSLESS

from skydenoise.config import MosaicSettings
from skydenoise.io import write_survey_image
from skydenoise.mosaic import MosaicInput, mosaic_band

SIZE, SCALE = 160, 0.262 / 3600
SIGMA = 2.2  # pixels of the survey: seeing of 1.36 arcsec
ANY = MosaicSettings()


def brick_wcs(ra: float, dec: float) -> WCS:
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = [ra, dec]
    wcs.wcs.crpix = [SIZE / 2 + 0.5] * 2
    wcs.wcs.cd = [[-SCALE, 0], [0, SCALE]]
    return wcs


def sky(wcs: WCS, shape: tuple[int, int], sources: np.ndarray, sigma: float = SIGMA) -> np.ndarray:
    y, x = np.indices(shape)
    image = np.zeros(shape)
    for ra, dec, flux in sources:
        x0, y0 = wcs.all_world2pix(ra, dec, 0)
        image += flux * np.exp(-((x - x0) ** 2 + (y - y0) ** 2) / 2 / sigma**2) / (2 * np.pi * sigma**2)
    return image.astype(np.float32)


def write(
    folder: Path, name: str, wcs: WCS, image: np.ndarray, invvar: np.ndarray, unit: str = "nanomaggy"
) -> MosaicInput:
    header = wcs.to_header()
    header["BUNIT"], header["MAGZERO"], header["FILTER"] = unit, 22.5, "g"
    item = MosaicInput(name, "g", folder / name / "image.fits.fz", folder / name / "invvar.fits.fz")
    for path, data in ((item.image, image), (item.invvar, invvar)):
        write_survey_image(path, data.astype(np.float32), header, output=LOSSLESS)
    return item


def make(
    inputs: list[MosaicInput], folder: Path, settings: MosaicSettings = ANY
) -> tuple[np.ndarray, np.ndarray, WCS]:
    output, invvar = folder / "mosaic.fits", folder / "invvar.fits"
    mosaic_band(inputs, output, invvar, settings, {"SDMODEL": "abc"})
    with fits.open(output, checksum=True) as hdus, fits.open(invvar, checksum=True) as weights:
        return hdus[0].data.astype(np.float32), weights[0].data.astype(np.float32), WCS(hdus[0].header)


def text_header(wcs: WCS, shape: tuple[int, int], path: Path) -> Path:
    header = wcs.to_header(relax=True)
    header["NAXIS2"], header["NAXIS1"] = shape
    header.totextfile(path)
    return path


def fluxes(mosaic: np.ndarray, wcs: WCS, sources: np.ndarray, radius: float = 14.0) -> np.ndarray:
    x, y = wcs.all_world2pix(sources[:, 0], sources[:, 1], 0)
    return sep.sum_circle(mosaic, x, y, radius, subpix=0)[0]
