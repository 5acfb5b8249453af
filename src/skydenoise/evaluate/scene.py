"""What is compared: a brick as observed, as denoised and, in a simulation, as it truly is."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS
from astropy.wcs.utils import proj_plane_pixel_area
from numpy.typing import NDArray

from skydenoise.errors import BrickError
from skydenoise.io import Brick, Denoised, flag_bit, read_brick, read_denoised
from skydenoise.io.fitsfile import read_survey_image
from skydenoise.paths import truth_catalogue, truth_file

Image = NDArray[np.float32]
Mask = NDArray[np.bool_]
Method = Callable[[Brick], Image]
"""What makes a denoised image, nanomaggies, (band, y, x) float32, of a brick."""


@dataclass(frozen=True)
class Scene:
    """A brick and its restorations, nanomaggies, (band, y, x) float32.

    brick : as observed
    methods : images by name of the method; "noisy" is the observed one
    measured : (band, y, x) bool, pixels that count
    inpainted : (band, y, x) bool, pixels that the network had to invent; reported apart
    denoised : the product itself, with its uncertainty
    truth : noise-free sky
    sources : catalogue of the truth
    psf_fwhm : width of the point spread function in each band, pixels; empty if it is not known
    """

    brick: Brick
    methods: Mapping[str, Image]
    measured: Mask
    inpainted: Mask
    denoised: Denoised
    truth: Image
    sources: Table
    psf_fwhm: tuple[float, ...] = ()


def flagged(denoised: Denoised, kind: str, bands: int) -> Mask:
    """Pixels of each band with a flag of one kind: (band, y, x) bool."""
    return np.stack([(denoised.flags >> flag_bit(kind, band)) & 1 == 1 for band in range(bands)])


def measured_pixels(brick: Brick, denoised: Denoised) -> Mask:
    """Pixels with a measurement that is neither saturated, bad nor inpainted: (band, y, x) bool."""
    bands = len(brick.bands)
    return brick.usable & ~flagged(denoised, "NODATA", bands) & ~flagged(denoised, "INPAINTED", bands)


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
    images = []
    for band in bands:
        file = truth_file(root, name, band)
        try:
            images.append(read_survey_image(file)[0].astype(np.float32, copy=False))
        except OSError as error:
            raise BrickError(f"no truth: {error}", brick=name, band=band, file=file) from error
    catalogue = truth_catalogue(root, name)
    try:
        sources = Table.read(catalogue, format="ascii.ecsv")
    except (OSError, ValueError) as error:
        raise BrickError(f"no truth: {error}", brick=name, file=catalogue) from error
    for band in bands:
        if f"flux_{band}" not in sources.colnames:
            raise BrickError(f"no column flux_{band}", brick=name, band=band, file=catalogue)
    if len({image.shape for image in images}) != 1:
        raise BrickError("truth images differ in shape", brick=name)
    return np.stack(images), sources


def read_psf_fwhm(root: Path, name: str, bands: Sequence[str]) -> tuple[float, ...]:
    """Width of the point spread function by band, pixels: the truth's card PSFFWHM; empty if one lacks it."""
    headers = [fits.getheader(truth_file(root, name, band), 1) for band in bands]
    if not all("PSFFWHM" in header for header in headers):
        return ()
    return tuple(float(header["PSFFWHM"] / np.sqrt(pixel_area(header))) for header in headers)


def pixel_area(header: fits.Header) -> float:
    """Area of a pixel on the sky, arcsec^2."""
    return float(proj_plane_pixel_area(WCS(header).celestial) * 3600**2)


def read_scene(
    name: str, cache: Path, root: Path, bands: Sequence[str], others: Mapping[str, Path] | None = None
) -> Scene:
    """Read a brick, its products and its truth.

    Parameters
    ----------
    name, bands
        which
    cache
        folder of the observed bricks
    root
        folder of the run
    others
        folders of further runs over the same bricks by method, such as that of the bare network

    Raises
    ------
    BrickError : something is missing or damaged, or shapes disagree
    """
    brick = read_brick(cache, name, bands)
    denoised = read_denoised(root, name, bands)
    truth, sources = read_truth(root, name, bands)
    methods = {"noisy": brick.image}
    methods |= {key: read_denoised(folder, name, bands).image for key, folder in (others or {}).items()}
    methods["denoised"] = denoised.image
    for key, image in (methods | {"truth": truth}).items():
        if image.shape != brick.image.shape:
            raise BrickError(f"{key} has the shape {image.shape}, not {brick.image.shape}", brick=name)
    return Scene(
        brick=brick,
        methods=methods,
        measured=measured_pixels(brick, denoised),
        inpainted=flagged(denoised, "INPAINTED", len(brick.bands)),
        denoised=denoised,
        truth=truth,
        sources=sources,
        psf_fwhm=read_psf_fwhm(root, name, bands),
    )
