"""One plane of a FITS image of any survey: which HDU, which plane, linear pixels, its cards, its unit."""

import logging
import math
import re
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy import units
from astropy.io import fits
from astropy.wcs.utils import proj_plane_pixel_area

from skydenoise.io.fitsfile import check_cards, kept_cards
from skydenoise.io.memory import too_large
from skydenoise.io.wcs import celestial_wcs

log = logging.getLogger(__name__)

FURTHER_AXES = re.compile(
    r"(CTYPE|CRVAL|CRPIX|CDELT|CUNIT|CROTA|CNAME|CRDER|CSYER)[3-9]|(CD|PC|PV|PS)([3-9]_\d+|\d_[3-9])"
    r"|PC(00[3-9]\d{3}|\d{3}00[3-9])|WCSAXES"
)
"""WCS cards that are wrong for one plane of an image with more axes."""

ASINH = 2.5 / np.log(10)
"""Pan-STARRS stacks hold ASINH * asinh((flux - BOFFSET) / (2 * BSOFTEN)) (Waters et al. 2020, ApJS 251, 4;
asinh_compression in the wiki of its pipeline)."""

NANOMAGGY = 3.631e-6 * units.Jy
"""Flux density of AB magnitude 22.5 (legacysurvey.org/dr10/description, Photometry)."""

NANOMAGGY_NAMES = {"nanomaggy", "nanomaggie", "nanomaggies", "nmgy"}

REMEDY = "give the column units: a unit's name, a number of nanomaggies, or native"


class ImageError(Exception):
    """An image that cannot be used: what is wrong, and what the user can do about it."""

    def __init__(self, cause: str, remedy: str | None = None) -> None:
        self.remedy = remedy
        super().__init__(cause)


@dataclass(frozen=True, eq=False)
class Plane:
    """One image of two axes.

    pixels : (y, x) float64, linear in flux; NaN where there is no data
    header : cards of its HDU
    blank : whether the file itself says which pixels have no data (integers, with a BLANK): 0 is a flux then
    """

    pixels: np.ndarray
    header: fits.Header
    blank: bool = False


def read_plane(path: Path, hdu: int | None, plane: int | None) -> Plane:
    """Read one image plane.

    hdu : index of the HDU; None takes the first with an image of two axes (or three, if `plane` is given)
    plane : index from 0 in a cube (plane, y, x); of no effect on a plain image

    Raises ImageError for no such HDU or plane, a truncated file, a wrong checksum, half of an asinh scaling,
    or more pixels than fit into the job's memory, and OSError for no such file, or no FITS file.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with fits.open(path, memmap=False) as hdus:  # to hold it against its checksums takes all its pixels
            for shape in (each.shape for each in hdus if each.is_image):
                if cause := too_large(math.prod(shape)):
                    raise ImageError(cause, "more memory, or smaller images")
        with fits.open(path, memmap=False, checksum=True) as hdus:
            index = _image_hdu(hdus, plane) if hdu is None else hdu
            if any("truncated" in str(warning.message) for warning in caught):
                raise ImageError("the file is truncated")
            if index >= len(hdus) or not hdus[index].is_image or not hdus[index].shape:
                raise ImageError(f"there is no image in HDU {index}", "give the column hdu")
            check_cards(hdus[index].header)
            header = hdus[index].header.copy()
            blank = header["BITPIX"] > 0 and ("BLANK" in header or "ZBLANK" in header)
            data = hdus[index].data
    for warning in caught:
        if "verification failed" in str(warning.message):
            cause = "a checksum in the file does not hold"
            raise ImageError(cause, "if it is right, remove CHECKSUM and DATASUM")
        log.info("%s: %s", path, warning.message)
    pixels = _two_axes(data, plane).astype(np.float64)
    return _linear(Plane(pixels, _cards(header), blank))


def _image_hdu(hdus: fits.HDUList, plane: int | None) -> int:
    axes = {2} if plane is None else {2, 3}
    for index, hdu in enumerate(hdus):
        if hdu.is_image and np.count_nonzero(np.array(hdu.shape) > 1) in axes:
            return index
    if any(hdu.is_image and len(hdu.shape) == 3 for hdu in hdus):
        raise ImageError("there are only cubes in the file", "give the column plane, from 0")
    raise ImageError("no HDU holds an image")


def _two_axes(data: np.ndarray, plane: int | None) -> np.ndarray:
    while data.ndim > 2 and data.shape[0] == 1:
        data = data[0]
    if plane is not None and data.ndim == 3:
        if plane >= data.shape[0]:
            raise ImageError(f"there is no plane {plane} among {data.shape[0]}", "planes count from 0")
        data = data[plane]
    if data.ndim != 2:
        raise ImageError(f"{data.shape} is no image of two axes", "give the column plane, from 0")
    return data


def _cards(header: fits.Header) -> fits.Header:
    flat = not any(FURTHER_AXES.fullmatch(key) for key in header if key != "WCSAXES")
    return fits.Header([c for c in kept_cards(header) if flat or not FURTHER_AXES.fullmatch(c.keyword)])


def _linear(plane: Plane) -> Plane:
    """The same plane, an asinh scaling of its pixels undone."""
    header = plane.header.copy()
    scaling = {key: header.pop(key) for key in ("BOFFSET", "BSOFTEN") if key in header}
    if not scaling:
        return plane
    if len(scaling) < 2 or not all(isinstance(value, int | float) for value in scaling.values()):
        cause = f"pixels are scaled by asinh, and only {scaling} is known of it"
        raise ImageError(cause, "linearise them first")
    header.append(("HISTORY", f"skydenoise: asinh scaling undone, {scaling}"), bottom=True)
    log.info("asinh scaling undone: %s", scaling)
    with np.errstate(over="ignore"):
        pixels = scaling["BOFFSET"] + 2 * scaling["BSOFTEN"] * np.sinh(plane.pixels / ASINH)
    return Plane(pixels, header, plane.blank)


def to_nanomaggies(plane: Plane, unit: str) -> tuple[Plane, float]:
    """The same plane in nanomaggies, and how many of them its unit was.

    `unit` is as in ListedImage.units. If the numbers change, BUNIT and MAGZERO say what they are now, and a
    HISTORY card what they were. Raises ImageError if the unit is unknown or logarithmic, or none is given and
    BUNIT is missing.
    """
    header = plane.header.copy()
    name = unit or str(header.get("BUNIT", "")).strip()
    if name == "native":
        return plane, 1.0
    factor = _nanomaggies_per(name, plane)
    if factor != 1:
        header.append(("HISTORY", f"skydenoise: pixels were in units of {factor:g} nanomaggies"), bottom=True)
        if "MAGZERO" in header:
            header["MAGZERO"] = 22.5
    if factor != 1 or "BUNIT" not in header:
        header["BUNIT"] = "nanomaggy"
    return Plane(plane.pixels * factor, header, plane.blank), factor


def _nanomaggies_per(name: str, plane: Plane) -> float:
    if name.lower() in NANOMAGGY_NAMES:
        return 1.0
    if not name:
        raise ImageError("units are not given and BUNIT is missing", REMEDY)
    try:
        factor = float(name)
    except ValueError:
        return _by_unit(name, plane)
    if not 0 < factor < float("inf"):
        raise ImageError(f"units {name} are not a number above 0", REMEDY)
    return factor


def _by_unit(name: str, plane: Plane) -> float:
    area = proj_plane_pixel_area(celestial_wcs(plane.header)) * units.deg**2 / units.pix
    try:
        unit = units.Unit(name)
        for per_pixel in (1 * unit, 1 * unit * units.pix, unit * area * units.pix):
            if isinstance(per_pixel.unit, units.UnitBase) and per_pixel.unit.is_equivalent(units.Jy):
                return float((per_pixel / NANOMAGGY).to_value(units.dimensionless_unscaled))
    except (ValueError, TypeError, units.UnitsError):
        pass
    raise ImageError(f"unknown or logarithmic units {name!r}", REMEDY)
