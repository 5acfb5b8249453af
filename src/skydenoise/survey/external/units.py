"""Pixels of any unit in nanomaggies."""

from astropy import units
from astropy.wcs.utils import proj_plane_pixel_area

from skydenoise.io.wcs import celestial_wcs
from skydenoise.survey.external.plane import ImageError, Plane

NANOMAGGY = 3.631e-6 * units.Jy
"""Flux density of AB magnitude 22.5 (legacysurvey.org/dr10/description, Photometry)."""

NANOMAGGY_NAMES = {"nanomaggy", "nanomaggie", "nanomaggies", "nmgy"}

REMEDY = "give the column units: a unit's name, a number of nanomaggies, or native"


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
