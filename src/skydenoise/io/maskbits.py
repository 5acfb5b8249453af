"""Bits of the survey's maskbits images: which pixels are saturated or bad in a band."""

import re
from collections.abc import Sequence

from astropy.io import fits

MASKBITS = {
    "SATUR": {"g": 2, "r": 3, "z": 4, "i": 14},
    "ALLMASK": {"g": 5, "r": 6, "z": 7, "i": 15},
}
"""Bit numbers of DR8 to DR10 (legacysurvey.org/dr10/bitmasks), for headers that do not name them."""


def mask_value(header: fits.Header, band: str, kinds: Sequence[str] = tuple(MASKBITS)) -> int:
    """Sum of the SATUR and ALLMASK bits of a band, or of one of the two; 0 if there are none.

    legacypipe names the bits in cards such as MBIT_2 = 'SATUR_G'; without such cards MASKBITS holds.
    """
    named = {
        str(card.value).strip(): int(match[1])
        for card in header.cards
        if (match := re.fullmatch(r"MBIT_(\d+)", card.keyword))
    }
    if named:
        bits = [named[key] for kind in kinds if (key := f"{kind}_{band.upper()}") in named]
    else:
        bits = [numbers[band] for kind in kinds if band in (numbers := MASKBITS[kind])]
    return sum(1 << bit for bit in bits)


def named_bits(bands: Sequence[str]) -> dict[str, int]:
    """Bit numbers of SATUR_b and ALLMASK_b; bands that the survey has no bits for take those from 16 on."""
    free = iter(range(16, 31))
    return {
        f"{kind}_{band.upper()}": numbers[band] if band in numbers else next(free)
        for kind, numbers in MASKBITS.items()
        for band in bands
    }
