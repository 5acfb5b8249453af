"""Bits of the survey's maskbits images: which pixels are saturated or bad in a band."""

import re
from collections.abc import Mapping, Sequence

from astropy.io import fits

KINDS = ("SATUR", "ALLMASK")

SURVEY_BITS = {
    **{"SATUR_G": 2, "SATUR_R": 3, "SATUR_Z": 4, "SATUR_I": 14},
    **{"ALLMASK_G": 5, "ALLMASK_R": 6, "ALLMASK_Z": 7, "ALLMASK_I": 15},
}
"""Bit numbers of the bands g, r, z, i in DR8 to DR11 (legacypipe's bits.py); a header may name others."""

FIRST_FREE = 20
"""Bits below have a name in some release; the highest is 19, WISE_GAIA (DR11)."""

NUMBERED = re.compile(r"(?:MBIT_|BITNM)(\d+)")
VALUED = re.compile(r"MB_(.+)")
SHORT = (("SAT_", "SATUR_"), ("ALL_", "ALLMASK_"))
"""Names in cards such as MB_SAT_G were cut to eight letters until August 2025."""


def named_values(header: fits.Header) -> dict[str, int]:
    """Name -> value of each bit that a header names; empty if it names none.

    legacypipe writes BITNM2 = 'SATUR_G' in DR8 and MBIT_2 = 'SATUR_G' from DR9 on, and beside these
    MB_SAT_G = 4, later MB_SATUR_G = 4; the numbered ones hold where they differ.
    """
    values = {}
    numbered = {}
    for card in header.cards:
        if match := NUMBERED.fullmatch(card.keyword):
            numbered[str(card.value).strip().upper()] = 1 << int(match[1])
        elif (match := VALUED.fullmatch(card.keyword)) and isinstance(card.value, int):
            name = match[1].upper()
            for short, full in SHORT:
                name = re.sub(f"^{short}", full, name)
            values[name] = card.value
    return values | numbered


def bit_name(kind: str, band: str) -> str:
    """Name of a band's bit, as legacypipe makes it: SATUR_G, ALLMASK_I_A_L427."""
    return f"{kind}_{band.upper().replace('-', '_')}"


def band_values(
    values: Mapping[str, int], band: str, kinds: Sequence[str] = KINDS
) -> tuple[int, tuple[str, ...]]:
    """Sum of a band's bits out of `named_values`, and the names of those that are not among them."""
    names = [bit_name(kind, band) for kind in kinds]
    lacking = tuple(name for name in names if name not in values)
    return sum(values.get(name, 0) for name in names), lacking


def numbers_for(bands: Sequence[str]) -> dict[str, int]:
    """Bit numbers of SATUR and ALLMASK of up to seven bands, to be written.

    g, r, i and z have the survey's; others take those of the survey's bands that are absent, as legacypipe
    has it for other surveys, and then the free ones.
    """
    names = [bit_name(kind, band) for band in bands for kind in KINDS]
    free = iter([*(bit for name, bit in SURVEY_BITS.items() if name not in names), *range(FIRST_FREE, 31)])
    return {name: SURVEY_BITS[name] if name in SURVEY_BITS else next(free) for name in names}
