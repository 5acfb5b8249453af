"""FITS bricks: the only room that knows how pixels, headers and masks lie in files.

`brick` reads and writes bricks, `fitsfile` single images, `cards` headers, `maskbits` the survey's masks,
`rawbrick` the survey's layout (for simulated and imported images), `readable` many bricks. `atomic`, `lock`
and `verified` keep files whole, to one writer at a time, and as they were.
"""

from skydenoise.io.brick import (
    Brick,
    Denoised,
    flag_bit,
    is_complete,
    raw_digests,
    read_brick,
    read_denoised,
    write_brick,
)
from skydenoise.io.fitsfile import write_survey_image
from skydenoise.io.readable import readable

__all__ = [
    "Brick",
    "Denoised",
    "flag_bit",
    "is_complete",
    "raw_digests",
    "read_brick",
    "read_denoised",
    "readable",
    "write_brick",
    "write_survey_image",
]
