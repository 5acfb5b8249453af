"""What the run makes of a brick: images, uncertainties and flags, in files."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from astropy.io import fits

from skydenoise import paths
from skydenoise.config import OutputSettings
from skydenoise.errors import BrickError, SettingsError
from skydenoise.io.brick import Brick, BrickFile, checked, write_files
from skydenoise.io.cards import CARDS, as_product, with_provenance
from skydenoise.io.fitsfile import read_survey_image
from skydenoise.io.verified import intact_header, verify_fits

DENOISE_AGAIN = "snakemake --forcerun predict makes it again and keeps the others"

FLAGS = ("NODATA", "RECOVERED", "INPAINTED", "LOWCOV", "BORROWED")
"""Kinds of flag; each band has one bit of each kind."""

MAX_BANDS = 31 // len(FLAGS)
"""A flags image is int32, and its sign bit stays free."""


def flag_bit(kind: str, band_index: int) -> int:
    """Bit number (0 is the lowest) of a kind of flag in the band at `band_index`; its value is 1 << number.

    Raises SettingsError if flags have no room for so many bands.
    """
    if not 0 <= band_index < MAX_BANDS:
        raise SettingsError(f"survey.bands: flags have room for {MAX_BANDS} bands")
    return len(FLAGS) * band_index + FLAGS.index(kind)


@dataclass(frozen=True, eq=False)
class Denoised:
    """What the run makes of a brick.

    image : (band, y, x) float32, nanomaggies; 0 where there is no data
    sigma : (band, y, x) float32, nanomaggies, 1-sigma uncertainty; NaN where no measurement stands behind
        `image`: no data, or inpainted
    flags : (y, x) int32, bits by `flag_bit`
    """

    image: np.ndarray
    sigma: np.ndarray
    flags: np.ndarray


SIGMA_STEP = 0.1
"""Quantisation step of sigma in units of the image's: a denoised image is surer than a noisy one. It is at
most the least sigma: half of it is then the most that is lost, and none becomes negative."""

LARGEST_STEP = 0.1
"""Quantisation step of an image in units of the input's noise: pixels in small units must not drown in it."""


def write_brick(
    root: Path,
    brick: Brick,
    denoised: Denoised,
    output: OutputSettings,
    provenance: Mapping[str, str | int | float],
) -> list[Path]:
    """Write image and sigma of each band that the brick has, then flags, under `root`/coadd.

    root : folder of the run
    brick : names, bands and headers, of which every card is kept, in order
    output : `step` holds for the image where it is below a tenth of the input's noise; sigma has a tenth
    provenance : what was done: entry -> value. Those in cards.CARDS have a card of that name, others one of
        SD and their first six letters; all stand in a HISTORY too. "key" is what `complete_bands` asks for

    Returns the paths of the files, flags last. Raises BrickError if a file cannot be written, and
    SettingsError if there are too many bands for the flags.
    """
    _check_shapes(brick, denoised)
    provenance = {**provenance, "bands": " ".join(brick.present)}
    files: list[BrickFile] = []
    for index, (band, header) in enumerate(zip(brick.bands, brick.headers, strict=True)):
        products = {kind: paths.coadd_file(root, brick.name, kind, band) for kind in ("image", "sigma")}
        if band not in brick.present:
            for path in products.values():
                path.unlink(missing_ok=True)  # made when the brick had this band
            continue
        noise = float(np.median(brick.invvar[index][brick.invvar[index] > 0])) ** -0.5
        coarse = replace(output, step=min(output.step, LARGEST_STEP * noise))
        sigma = denoised.sigma[index][denoised.sigma[index] > 0]
        fine = replace(output, step=min(SIGMA_STEP * coarse.step, float(sigma.min(initial=math.inf))))
        for kind, data, how in (("image", denoised.image, coarse), ("sigma", denoised.sigma, fine)):
            product = header if kind == "image" else as_product(header, kind, header.get("BUNIT", ""), band)
            files.append((products[kind], data[index], with_provenance(product, kind, provenance), how))
    header = with_provenance(as_product(brick.headers[0], "flags", None), "flags", provenance)
    for index, band in enumerate(brick.bands):
        for flag in FLAGS:
            header.append((f"BITNM{flag_bit(flag, index)}", f"{flag}_{band.upper()}"), bottom=True)
    files.append((paths.coadd_file(root, brick.name, "flags"), denoised.flags, header, output))
    return write_files(brick.name, files)


def _check_shapes(brick: Brick, denoised: Denoised) -> None:
    expected = (len(brick.bands), *brick.shape)
    shapes = (denoised.image.shape, denoised.sigma.shape, (expected[0], *denoised.flags.shape))
    if any(shape != expected for shape in shapes):
        raise ValueError(f"brick {brick.name}: {shapes} where {expected} (band, y, x) is expected")


def product_files(root: Path, name: str, bands: Sequence[str]) -> list[Path]:
    """Files of what was made of a brick in these bands: images, sigmas, flags."""
    files = [paths.coadd_file(root, name, kind, band) for kind in ("image", "sigma") for band in bands]
    return [*files, paths.coadd_file(root, name, "flags")]


def complete_bands(root: Path, name: str, key: str) -> tuple[str, ...]:
    """Bands of a brick that is done: every product is there, unharmed (FITS checksum), and of this `key`.

    Nothing is decompressed: about 0.1 s for seven files of 3600x3600.

    Returns no band if it is not done.
    """
    header = intact_header(paths.coadd_file(root, name, "flags")) or {}
    bands = _denoised_bands(header)
    headers = (intact_header(path) for path in product_files(root, name, bands))
    return bands if all(each is not None and each.get("SDKEY") == key for each in headers) else ()


def _denoised_bands(header: Mapping[str, str]) -> tuple[str, ...]:
    """Bands that a product says it has."""
    return tuple(str(header.get(CARDS["bands"][0], "")).split())


def _intact_product(path: Path) -> tuple[np.ndarray, fits.Header]:
    verify_fits(path)
    return read_survey_image(path)


def read_denoised(root: Path, name: str, bands: Sequence[str]) -> Denoised:
    """Read what `write_brick` wrote; image 0 and sigma NaN in bands that the brick lacks.

    Raises BrickError if a product is missing or damaged (FITS checksums), or they do not fit each other.
    """

    def read(kind: str, band: str | None = None) -> tuple[np.ndarray, fits.Header]:
        path = paths.coadd_file(root, name, kind, band)
        return checked(_intact_product, path, name, band, DENOISE_AGAIN)

    flags, header = read("flags")
    there = _denoised_bands(header)
    image, sigma = (
        [
            read(kind, band)[0] if band in there else np.full(flags.shape, nothing, np.float32)
            for band in bands
        ]
        for kind, nothing in (("image", 0), ("sigma", np.nan))
    )
    if any(plane.shape != flags.shape for plane in (*image, *sigma)):
        raise BrickError("image, sigma and flags have different shapes", brick=name, remedy="make it again")
    return Denoised(np.stack(image), np.stack(sigma), flags)
