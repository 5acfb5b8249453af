import numpy as np
import pytest
from astropy.io import fits

from skydenoise.io.wcs import celestial_wcs, grid_distance

SIDE = 7.28e-5


def header(**cards: object) -> fits.Header:
    plain = {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 150.0, "CRVAL2": 2.0}
    plain |= {"CRPIX1": 50.0, "CRPIX2": 50.0}
    plain |= {"CD1_1": -SIDE, "CD1_2": 0.0, "CD2_1": 0.0, "CD2_2": SIDE}
    return fits.Header({key: value for key, value in {**plain, **cards}.items() if value is not None})


@pytest.mark.parametrize(
    "cards",
    [
        {},
        {"CTYPE1": "RA---TPV", "CTYPE2": "DEC--TPV"},
        {"CTYPE1": "RA---TAN-SIP", "CTYPE2": "DEC--TAN-SIP", "A_ORDER": 2, "B_ORDER": 2, "A_2_0": 1e-4},
        {"CTYPE3": "FREQ", "CRVAL3": 1.4e9, "CDELT3": 1e6, "CRPIX3": 1.0},
        {"CTYPE1": "GLON-CAR", "CTYPE2": "GLAT-CAR", "CRVAL2": 0.0},
        {"DATE-OBS": "31/12/99", "RADECSYS": "FK5"},
    ],
)
def test_a_place_on_the_sky(cards: dict[str, object]) -> None:
    wcs = celestial_wcs(header(**cards))
    assert wcs.naxis == 2
    assert np.isfinite(wcs.all_pix2world([[1, 1]], 0)).all()
    assert (wcs.sip is not None) == ("A_ORDER" in cards)


@pytest.mark.parametrize(
    ("cards", "cause"),
    [
        ({"CTYPE1": None}, "CTYPE1 missing"),
        ({"CD1_1": None, "CD1_2": None}, "CD1_1, PC1_1 and CDELT1 missing"),
        ({"CRPIX1": "none"}, "not all finite numbers"),
        ({"CTYPE1": "LINEAR", "CTYPE2": "LINEAR"}, "axes LINEAR LINEAR are not celestial"),
        ({"CD1_1": 0.0, "CD2_2": 0.0}, "singular"),
        ({"CD1_1": 0.0}, "singular"),
        ({"CD1_2": SIDE, "CD2_1": -SIDE}, "singular"),
        ({"CD1_1": "text"}, "singular"),
        ({"CD1_1": 1e300}, "singular"),
        ({"CD1_1": -1e-30, "CD2_2": 1e-30}, "pixels of 1e-30 x 1e-30 degrees"),
        ({"CTYPE1": "RA---XYZ", "CTYPE2": "DEC--XYZ"}, "Unrecognized projection code"),
        ({"CTYPE2": "DEC--SIN"}, "Inconsistent projection types"),
        ({"CRVAL1": 1e9}, "no place on the sky"),
        ({"CRVAL2": 200.0}, "Ill-conditioned"),
    ],
)
def test_what_is_no_place_on_the_sky_is_one_line(cards: dict[str, object], cause: str) -> None:
    with pytest.raises(ValueError, match=cause) as caught:
        celestial_wcs(header(**cards))
    assert "\n" not in str(caught.value)


def test_distance_of_grids_is_in_pixels() -> None:
    first = celestial_wcs(header())
    assert grid_distance(first, celestial_wcs(header(CRPIX1=53.0, CRPIX2=54.0)), (80, 90)) == pytest.approx(5)
    assert grid_distance(first, celestial_wcs(header(CRVAL1=330.0)), (80, 90)) == float("inf")
