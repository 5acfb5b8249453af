import numpy as np
import pytest
from external_images import header

from skydenoise.survey.external.plane import ImageError, Plane, to_nanomaggies


@pytest.mark.parametrize(
    ("unit", "bunit", "factor"),
    [
        ("", "nanomaggy", 1),
        ("", "nanomaggies", 1),
        ("nMgy", "adu", 1),
        ("", "uJy", 1 / 3.631),
        ("", "mJy/pixel", 1000 / 3.631),
        ("Jy/pix", "", 1e6 / 3.631),
        ("", "MJy/sr", 1e12 / 3.631e0 * (np.deg2rad(7.28e-5)) ** 2),
        ("0.25", "adu", 0.25),
        ("native", "adu", 1),
    ],
)
def test_units_become_nanomaggies(unit: str, bunit: str, factor: float) -> None:
    cards = header()
    cards["BUNIT"], cards["MAGZERO"] = bunit, 25.0
    plane, found = to_nanomaggies(Plane(np.ones((4, 5)), cards), unit)
    assert found == pytest.approx(factor, rel=1e-6)
    np.testing.assert_allclose(plane.pixels, factor, rtol=1e-6)
    if factor != 1:
        assert (plane.header["BUNIT"], plane.header["MAGZERO"]) == ("nanomaggy", 22.5)
    else:
        assert plane.header["BUNIT"] == bunit


@pytest.mark.parametrize(
    "unit", ["", "adu", "Jy/beam", "furlong", "0", "-1", "nan", "erg/s/cm2/AA", "mag", "mag(AB)", "dex(Jy)"]
)
def test_unknown_units_are_refused_with_a_remedy(unit: str) -> None:
    cards = header()
    del cards["BUNIT"]
    with pytest.raises(ImageError, match="units") as caught:
        to_nanomaggies(Plane(np.ones((4, 5)), cards), unit)
    assert "give the column units" in str(caught.value.remedy)


def test_native_pixels_keep_their_unit() -> None:
    cards = header()
    cards["BUNIT"] = "adu"
    plane, factor = to_nanomaggies(Plane(np.ones((4, 5)), cards), "native")
    assert (plane.header["BUNIT"], factor) == ("adu", 1)
    del cards["BUNIT"]
    assert "BUNIT" not in to_nanomaggies(Plane(np.ones((4, 5)), cards), "native")[0].header
