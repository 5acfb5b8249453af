"""FITS bricks: the only room that knows how pixels, headers and masks lie in files.

`brick` reads bricks, `product` writes what was made of them, `rawbrick` the survey's layout (for simulated
and imported images), `readable` yields many bricks. `fitsfile` knows single images, `cards` headers,
`maskbits` the survey's masks. `atomic`, `lock` and `verified` keep files whole, to one writer at a time, and
as they were.
"""

from skydenoise.io.brick import Brick, raw_digests, read_brick
from skydenoise.io.fitsfile import write_survey_image
from skydenoise.io.product import (
    Denoised,
    complete_bands,
    flag_bit,
    product_files,
    read_denoised,
    write_brick,
)
from skydenoise.io.readable import readable

__all__ = [
    "Brick",
    "Denoised",
    "complete_bands",
    "flag_bit",
    "product_files",
    "raw_digests",
    "read_brick",
    "read_denoised",
    "readable",
    "write_brick",
    "write_survey_image",
]
