"""The header's names decide which bits are a band's, in every form that a release has."""

import pytest
from astropy.io import fits

from skydenoise.io.maskbits import band_values, bit_name, named_values, numbers_for

DR8 = {"BITNM0": "NPRIMARY", "BITNM3": "SATUR_R", "BITNM6": "ALLMASK_R", "SATUR_R": 8, "ALLM_R": 64}
DR9 = {"MB_SAT_R": 8, "MB_ALL_R": 64, "MBIT_3": "SATUR_R", "MBIT_6": "ALLMASK_R"}
DR11 = {"HIERARCH MB_SATUR_R": 8, "HIERARCH MB_ALLMASK_R": 64, "MBIT_3": "SATUR_R", "MBIT_6": "ALLMASK_R"}
VALUES = {"HIERARCH MB_SATUR_R": 8, "HIERARCH MB_ALLMASK_R": 64, "HIERARCH MB_SAT_M411": 4}
MOVED = {"MBIT_20": "SATUR_R  ", "MBIT_21": "ALLMASK_R", "MB_SAT_R": 8}
IBIS = {
    "MBIT_2": "SATUR_I_A_L427",
    "MBIT_5": "ALLMASK_I_A_L427",
    "MBIT_14": "SATUR_I",
    "MBIT_15": "ALLMASK_I",
}


@pytest.mark.parametrize(
    ("cards", "band", "value"),
    [
        (DR8, "r", 8 + 64),
        (DR9, "r", 8 + 64),
        (DR11, "r", 8 + 64),
        (VALUES, "r", 8 + 64),
        (MOVED, "r", 3 << 20),
        (IBIS, "I-A-L427", 4 + 32),
        (IBIS, "i", 3 << 14),
    ],
)
def test_a_band_s_bits_are_those_that_the_header_names(cards: dict, band: str, value: int) -> None:
    assert band_values(named_values(fits.Header(cards)), band) == (value, ())


def test_what_the_header_does_not_name_is_told() -> None:
    assert band_values(named_values(fits.Header(DR9)), "i") == (0, ("SATUR_I", "ALLMASK_I"))
    assert band_values(named_values(fits.Header({"MBIT_3": "SATUR_R"})), "r") == (8, ("ALLMASK_R",))
    assert band_values(named_values(fits.Header(VALUES)), "M411") == (4, ("ALLMASK_M411",))
    assert named_values(fits.Header({"MBIT_X": "SATUR_R", "MB_SAT_R": "8", "SATUR_R": 8})) == {}


@pytest.mark.parametrize(
    "bands", ["griz", ("i", "u", "N708"), ("I-A-L427", "M411"), ("g", "a", "b", "c", "d", "e", "f")]
)
def test_bits_that_are_written_are_all_different_and_no_other_s(bands: tuple[str, ...]) -> None:
    numbers = numbers_for(bands)
    assert set(numbers) == {bit_name(kind, band) for band in bands for kind in ("SATUR", "ALLMASK")}
    assert len(set(numbers.values())) == 2 * len(bands)
    others = {
        0,
        1,
        *range(8, 14),
        *range(16, 20),
    }  # NPRIMARY, BRIGHT, WISEM1 ... CLUSTER, SUB_BLOB ... WISE_GAIA
    assert not others & set(numbers.values())
    assert max(numbers.values()) <= 30
    assert numbers.get("SATUR_I", 14) == 14
