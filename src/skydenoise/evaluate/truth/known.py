"""A brick whose sky is known: as observed, as denoised and, in a simulation, as it truly is."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.table import Table

from skydenoise.errors import BrickError
from skydenoise.evaluate.images import Image, Mask, measured_pixels, pixel_scale
from skydenoise.io import Brick, Denoised, read_brick, read_denoised
from skydenoise.io.fitsfile import read_survey_image
from skydenoise.io.verified import verify_fits
from skydenoise.paths import truth_catalogue, truth_file


@dataclass(frozen=True, eq=False)
class KnownBrick:
    """A brick, what was made of it, and its truth.

    brick : as observed
    measured : (band, y, x) bool, pixels that count
    denoised : the product, with its uncertainty
    truth : noise-free sky, (band, y, x) float32, nanomaggies
    sources : catalogue of the truth
    psf_fwhm : width of the point spread function in each band, pixels
    """

    brick: Brick
    measured: Mask
    denoised: Denoised
    truth: Image
    sources: Table
    psf_fwhm: tuple[float, ...] = ()

    @property
    def places(self) -> tuple[np.ndarray, np.ndarray]:
        """X and y of the sources: (n,) float64 each, 0-based pixels."""
        x, y = (np.asarray(self.sources[key], dtype=np.float64) for key in ("x", "y"))
        return x, y

    @property
    def fluxes(self) -> np.ndarray:
        """Total fluxes of the sources: (band, n) float64, nanomaggies."""
        columns = [self.sources[f"flux_{band}"] for band in self.brick.bands]
        return np.stack([np.asarray(column, dtype=np.float64) for column in columns])


def has_truth(root: Path, name: str, bands: Sequence[str]) -> bool:
    """True if the noise-free images and the catalogue of a brick are there."""
    files = [truth_file(root, name, band) for band in bands] + [truth_catalogue(root, name)]
    return all(file.is_file() for file in files)


def read_truth(root: Path, name: str, bands: Sequence[str]) -> tuple[Image, Table]:
    """Noise-free images (band, y, x) float32, nanomaggies, and the catalogue of sources.

    Raises
    ------
    BrickError : a file is missing or damaged, or the catalogue lacks the flux of a band
    """
    planes = []
    try:
        for file in (truth_file(root, name, band) for band in bands):
            verify_fits(file)
            planes.append(read_survey_image(file)[0])
        file = truth_catalogue(root, name)
        sources = Table.read(file, format="ascii.ecsv")
    except (OSError, ValueError) as error:
        raise BrickError(f"no truth: {error}", brick=name, file=file) from error
    if missing := [f"flux_{band}" for band in bands if f"flux_{band}" not in sources.colnames]:
        raise BrickError(f"no columns {', '.join(missing)}", brick=name, file=file)
    if len({plane.shape for plane in planes}) != 1:
        raise BrickError("truth images differ in shape", brick=name)
    return np.stack(planes).astype(np.float32, copy=False), sources


def read_psf_fwhm(root: Path, name: str, bands: Sequence[str]) -> tuple[float, ...]:
    """Width of the point spread function by band, pixels, by the truth's card PSFFWHM.

    Raises
    ------
    BrickError : an image has no such card
    """
    files = [truth_file(root, name, band) for band in bands]
    headers = [fits.getheader(file, 1) for file in files]
    for header, file in zip(headers, files, strict=True):
        if "PSFFWHM" not in header:
            raise BrickError("no card PSFFWHM", brick=name, file=file)
    return tuple(float(header["PSFFWHM"] / pixel_scale(header)) for header in headers)


def read_known(cache: Path, root: Path, name: str, bands: Sequence[str]) -> KnownBrick:
    """Read a brick under `cache`, its products and its truth under `root`.

    Raises
    ------
    BrickError : something is missing or damaged, or shapes disagree
    """
    brick, denoised = read_brick(cache, name, bands), read_denoised(root, name, bands)
    truth, sources = read_truth(root, name, bands)
    for key, image in (("denoised image", denoised.image), ("truth", truth)):
        if image.shape != brick.image.shape:
            raise BrickError(f"{key} has the shape {image.shape}, not {brick.image.shape}", brick=name)
    measured = measured_pixels(brick, denoised)
    return KnownBrick(brick, measured, denoised, truth, sources, read_psf_fwhm(root, name, bands))
