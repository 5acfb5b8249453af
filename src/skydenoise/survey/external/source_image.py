"""One FITS image of any survey: which HDU, which units, how noisy."""

import logging
import re
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import sep
from astropy import units
from astropy.io import fits
from astropy.stats import mad_std, sigma_clip
from astropy.wcs.utils import proj_plane_pixel_area

from skydenoise.io.fitsfile import kept_cards
from skydenoise.survey.external.align import celestial_wcs

log = logging.getLogger(__name__)

NANOMAGGY = 3.631e-6 * units.Jy
"""Flux density of AB magnitude 22.5 (legacysurvey.org/dr10/description, Photometry)."""

NANOMAGGY_NAMES = {"nanomaggy", "nanomaggie", "nanomaggies", "nmgy"}

THIRD_AXIS = re.compile(
    r"(CTYPE|CRVAL|CRPIX|CDELT|CUNIT|CROTA|CNAME)[3-9]|(CD|PC)([3-9]_\d|\d_[3-9])|WCSAXES"
)
"""WCS cards that are wrong for one plane of a cube."""

BACKGROUND_MESH = 64
"""Pixels; the coarse background is smooth on this scale."""


class SourceError(Exception):
    """An image that cannot be used: what is wrong, and what the user can do about it."""

    def __init__(self, cause: str, remedy: str | None = None) -> None:
        self.remedy = remedy
        super().__init__(cause)


@dataclass(frozen=True, eq=False)
class Plane:
    """Pixels (y, x) float64 (NaN where there is no data), and the cards of their HDU."""

    pixels: np.ndarray
    header: fits.Header


def read_plane(path: Path, hdu: int | None, plane: int | None) -> Plane:
    """Read one image plane.

    Parameters
    ----------
    path
        FITS file, compressed or not
    hdu
        index of the HDU; None takes the first with an image of two axes (or three, if `plane` is given)
    plane
        index from 0 in a cube (plane, y, x); of no effect on a plain image

    Raises
    ------
    SourceError : no such HDU or plane, or a truncated file
    OSError : no such file, or no FITS file
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with fits.open(path, memmap=False) as hdus:
            index = _image_hdu(hdus, plane) if hdu is None else hdu
            if any("truncated" in str(warning.message) for warning in caught):
                raise SourceError("the file is truncated")
            if index >= len(hdus) or not hdus[index].is_image or not hdus[index].shape:
                raise SourceError(f"there is no image in HDU {index}", "give the column hdu")
            header, data = hdus[index].header.copy(), hdus[index].data
    for warning in caught:
        log.info("%s: %s", path, warning.message)
    return Plane(_two_axes(data, plane).astype(np.float64), _cards(header, cube=plane is not None))


def _image_hdu(hdus: fits.HDUList, plane: int | None) -> int:
    axes = {2} if plane is None else {2, 3}
    for index, hdu in enumerate(hdus):
        if hdu.is_image and np.count_nonzero(np.array(hdu.shape) > 1) in axes:
            return index
    if any(hdu.is_image and len(hdu.shape) == 3 for hdu in hdus):
        raise SourceError("there are only cubes in the file", "give the column plane, from 0")
    raise SourceError("no HDU holds an image")


def _two_axes(data: np.ndarray, plane: int | None) -> np.ndarray:
    while data.ndim > 2 and data.shape[0] == 1:
        data = data[0]
    if plane is not None and data.ndim == 3:
        if plane >= data.shape[0]:
            raise SourceError(f"there is no plane {plane} among {data.shape[0]}", "planes count from 0")
        data = data[plane]
    if data.ndim != 2:
        raise SourceError(f"{data.shape} is no image of two axes", "give the column plane, from 0")
    return data


def _cards(header: fits.Header, *, cube: bool) -> fits.Header:
    kept = fits.Header()
    for card in kept_cards(header):
        if not (cube and THIRD_AXIS.fullmatch(card.keyword)):
            kept.append(card, bottom=True)
    return kept


def to_nanomaggies(plane: Plane, unit: str) -> tuple[Plane, float]:
    """The same plane in nanomaggies, and how many of them its unit was.

    `unit` is as in ForeignImage.units. If the numbers change, BUNIT and MAGZERO say what they are now, and
    a HISTORY card what they were.

    Raises
    ------
    SourceError : the unit is unknown, or none is given and BUNIT is missing
    """
    header = plane.header.copy()
    name = unit or str(header.get("BUNIT", "")).strip()
    factor = _nanomaggies_per(name, header)
    if unit == "native":
        return plane, 1.0
    if factor != 1:
        header.append(("HISTORY", f"skydenoise: pixels were in units of {factor:g} nanomaggies"), bottom=True)
        if "MAGZERO" in header:
            header["MAGZERO"] = 22.5
    if factor != 1 or "BUNIT" not in header:
        header["BUNIT"] = "nanomaggy"
    return Plane(plane.pixels * factor, header), factor


def _nanomaggies_per(name: str, header: fits.Header) -> float:
    remedy = "give the column units: a unit's name, a number of nanomaggies, or native"
    if name == "native" or name.lower() in NANOMAGGY_NAMES:
        return 1.0
    if not name:
        raise SourceError("units are not given and BUNIT is missing", remedy)
    try:
        factor = float(name)
    except ValueError:
        pass
    else:
        if not 0 < factor < float("inf"):
            raise SourceError(f"units {name} are not a number above 0", remedy)
        return factor
    area = proj_plane_pixel_area(celestial_wcs(header)) * units.deg**2 / units.pix
    try:
        unit = units.Unit(name)
        for per_pixel in (1 * unit, 1 * unit * units.pix, unit * area * units.pix):
            if per_pixel.unit.is_equivalent(units.Jy):
                return float((per_pixel / NANOMAGGY).to_value(units.dimensionless_unscaled))
    except ValueError:
        pass
    raise SourceError(f"unknown units {name!r}", remedy)


def constant_invvar(pixels: np.ndarray) -> np.ndarray:
    """Constant invvar (y, x) from the noise of the image's background; 0 where a pixel is NaN or exactly 0.

    The noise is the standard deviation after the median absolute deviation of the pixels that are left when a
    background, smooth over BACKGROUND_MESH pixels, is subtracted and sources are clipped at 3 sigma. It is an
    approximation: real noise rises with the light of bright sources and varies with exposure.

    Raises
    ------
    SourceError : there is no noise
    """
    valid = np.isfinite(pixels) & (pixels != 0)
    if not valid.any():
        raise SourceError("no valid pixel (all are 0 or NaN)")
    data = np.ascontiguousarray(np.where(valid, pixels, 0), np.float32)
    mesh = {"bw": min(BACKGROUND_MESH, data.shape[1]), "bh": min(BACKGROUND_MESH, data.shape[0])}
    background = sep.Background(data, mask=~valid, **mesh).back()
    noise = float(mad_std(sigma_clip((data - background)[valid], sigma=3, stdfunc=mad_std, masked=False)))
    if not noise > 0:
        raise SourceError("no noise can be measured in the image", "give the column invvar")
    return np.where(valid, noise**-2, 0)
