"""Bricks written in the survey's own layout: images of other surveys, and simulations."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from skydenoise import paths
from skydenoise.config import OutputSettings
from skydenoise.io.brick import Brick, BrickFile, write_files
from skydenoise.io.cards import as_product, inverse_square
from skydenoise.io.maskbits import bit_name, numbers_for


def write_raw(
    cache: Path, brick: Brick, output: OutputSettings, maskbits: np.ndarray | None = None
) -> list[Path]:
    """Write a brick in the survey's own layout, for images of other surveys and for simulations.

    cache : folder of the raw bricks
    brick : what `read_brick` shall give back; a band that it lacks gets no file
    output : `step` holds for the image; invvar is kept to 1e-4 of its median if quantised
    maskbits : (y, x) int16 or int32 with the survey's bits; None makes them of `brick.masked`, if any is

    Raises BrickError if a file cannot be written.
    """
    files: list[BrickFile] = []
    for band, image, invvar, header in zip(
        brick.bands, brick.image, brick.invvar, brick.headers, strict=True
    ):
        path, path_of_invvar = (paths.raw_file(cache, brick.name, kind, band) for kind in ("image", "invvar"))
        if not invvar.any():
            for earlier in (path, path_of_invvar):
                earlier.unlink(missing_ok=True)
            continue
        files.append((path, image, header, output))
        of_invvar = as_product(header, "invvar", inverse_square(str(header.get("BUNIT", ""))), band)
        fine = replace(output, step=1e-4 * float(np.median(invvar[invvar > 0])))
        files.append((path_of_invvar, invvar, of_invvar, fine))
    bits = numbers_for(brick.bands)
    if maskbits is None and brick.masked.any():
        maskbits = np.zeros(brick.shape, np.int32)
        for band, masked in zip(brick.bands, brick.masked, strict=True):
            maskbits |= np.int32(1 << bits[bit_name("ALLMASK", band)]) * masked
    if maskbits is not None:
        header = as_product(brick.headers[0], "maskbits", None)
        for name, bit in bits.items():
            header.append((f"MBIT_{bit}", name), bottom=True)
        files.append((paths.raw_file(cache, brick.name, "maskbits"), maskbits, header, output))
    else:
        paths.raw_file(cache, brick.name, "maskbits").unlink(missing_ok=True)  # an earlier brick's
    return write_files(brick.name, files)
