"""Many bricks on one WCS, weighted by inverse variance: one brick in memory at a time, the sums on disk."""

import logging
import math
import os
import tempfile
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy import units
from astropy.io import fits
from astropy.utils.exceptions import AstropyUserWarning
from astropy.wcs import WCS
from reproject.mosaicking import find_optimal_celestial_wcs
from tqdm import tqdm

from skydenoise import __version__
from skydenoise.config import MosaicSettings
from skydenoise.errors import BrickError, SettingsError, StepError, disk_full, one_line
from skydenoise.io.atomic import atomic_path
from skydenoise.io.cards import inverse_square
from skydenoise.io.fitsfile import check_cards, read_survey_image
from skydenoise.io.verified import verified_digest
from skydenoise.io.wcs import celestial_wcs
from skydenoise.paths import hdu_name
from skydenoise.resample import resampled, window_of

log = logging.getLogger(__name__)

COMMON_CARDS = ("MAGZERO", "FILTER", "SURVEY", "DRVERSIO", "TELESCOP", "INSTRUME")
"""Cards that a mosaic takes over from its bricks if all of them agree."""

LAST_RESORT = np.float32(1e-6)
"""Factor of the weight of a value at the rim of a brick or of a hole: it counts only if there is no other."""

STRIP_PIXELS = 2**24
"""Of a mosaic, written at a time."""


@dataclass(frozen=True)
class MosaicInput:
    """One brick in one band; HDU 1 of each file holds the pixels.

    brick, band : names
    image : denoised image, nanomaggies; None if the brick lacks this band
    invvar : inverse variance of the input, nanomaggies^-2, 0 where a pixel is not usable
    place : image of another band or kind on the same pixels, if there is one
    """

    brick: str
    band: str
    image: Path | None
    invvar: Path
    place: Path | None = None


def common_grid(inputs: Sequence[MosaicInput], pixel_scale: float | None = None) -> WCS:
    """Find the best WCS for all bricks, in whatever order: tangent-plane, north up, just large enough.

    A brick's place is read from whatever file of it is whole: all bands have one grid.

    pixel_scale : arcsec; None takes the finest of the inputs

    Returns a WCS with `array_shape` (y, x). Raises SettingsError if no brick has a celestial WCS.
    """
    places = []
    for item in sorted(inputs, key=lambda item: item.brick):
        for path in filter(None, (item.place, item.invvar, item.image)):
            with suppress(BrickError), _opened(item, path) as hdu:
                places.append((hdu.shape, celestial_wcs(hdu.header)))
                break
    if not places:
        raise SettingsError("mosaics: there is no brick to make a mosaic of")
    wcs, shape = find_optimal_celestial_wcs(
        places,
        resolution=None if pixel_scale is None else pixel_scale * units.arcsec,
        negative_lon_cdelt=True,
    )
    return _grid(wcs.to_header(relax=True), shape)  # to the digits that the header of the mosaic will hold


def read_grid(path: Path) -> WCS:
    """Read a WCS with NAXIS1 and NAXIS2 from a FITS header in a text file, one card per line.

    Returns a WCS with `array_shape` (y, x). Raises SettingsError if there is no such file or header.
    """
    try:
        header = fits.Header.fromtextfile(path)
        check_cards(header)
        return _grid(header, (header["NAXIS2"], header["NAXIS1"]))
    except (OSError, EOFError, KeyError, ValueError) as error:
        raise SettingsError(f"mosaics: wcs {path}: {one_line(error)}") from None


def _grid(header: fits.Header, shape: tuple[int, int]) -> WCS:
    if not all(isinstance(size, int | np.integer) and size > 0 for size in shape):
        raise ValueError("NAXIS1 and NAXIS2 leave no pixel")
    wcs = celestial_wcs(header)
    wcs.array_shape = tuple(int(size) for size in shape)
    return wcs


def mosaic_band(
    inputs: Sequence[MosaicInput],
    output: Path,
    invvar: Path,
    settings: MosaicSettings,
    provenance: Mapping[str, str | int | float],
) -> list[str]:
    """Coadd the bricks of one band on one WCS into two plain FITS files, each whole or not at all.

    Each image is resampled with its flux conserved, and the mean is taken, weighted by the inverse variance
    of the input. A damaged brick is left out, and so is one that lacks the band; the log and HISTORY name
    them. If all lack it, the mosaic is 0.

    inputs : one per brick
    output : float32 (y, x), in the unit of the bricks (nanomaggies), 0 where there is no data
    invvar : float32 (y, x), in that unit to the power of -2, 0 where there is no data: the mean of the
        inverse variances of the input, weighted by themselves. Not their sum: where survey bricks overlap,
        both are made of the same exposures, and the second adds no information
    settings : if settings.wcs is None, the WCS is the `common_grid` of the inputs
    provenance : FITS keyword -> value. The bricks are added as HISTORY

    Returns the names of the bricks in the mosaic.

    Raises
    ------
    SettingsError : there is no brick, or none touches the WCS given
    StepError : no brick can be used, or the disk is full
    """
    inputs = sorted(inputs, key=lambda item: item.brick)
    grid = read_grid(settings.wcs) if settings.wcs else common_grid(inputs, settings.pixel_scale)
    lacking = [item.brick for item in inputs if not item.image]
    inputs = [item for item in inputs if item.image]
    headers, left_out = _headers(inputs)
    try:
        sums = _Sums(grid, output.parent)
        added = []
        for item in tqdm(inputs, desc="mosaic", unit="brick", disable=None):
            try:
                if item.brick in headers and sums.add(item):
                    added.append(item.brick)
            except BrickError as error:
                left_out.append(error)
        for reason in left_out:
            log.warning("left out of the mosaic: %s", reason)
        if not added and left_out:
            raise StepError(f"mosaic: no brick can be used, the first: {left_out[0]}")
        if not added and inputs:
            raise SettingsError(f"mosaics: wcs {settings.wcs}: none of the {len(inputs)} bricks touches it")
        header = _header(grid, [headers[name] for name in added], provenance)
        left = [f"left out: {reason.brick}" for reason in left_out]
        lack = [f"not observed in this band: {name}" for name in lacking]
        for text in [*(f"brick {name}" for name in added), *left, *lack]:
            header.add_history(text)
        unit = str(headers[added[0]].get("BUNIT", "")) if added else ""
        _write(output, header, unit, sums.flux, sums.weight)
        _write(invvar, header, inverse_square(unit), sums.squares, sums.weight)
    except OSError as error:
        if disk_full(error):
            needed = f"{error.strerror}, {20e-6 * math.prod(grid.array_shape):.0f} MB are needed"
            raise StepError(f"{output}: {needed} (make room, then run the same command again)") from None
        raise
    log.info(
        "%s: %d bricks, %d without this band, %s pixels", output, len(added), len(lacking), grid.array_shape
    )
    return added


def _headers(inputs: Sequence[MosaicInput]) -> tuple[dict[str, fits.Header], list[BrickError]]:
    """Headers of the images by brick; and what is left out: damaged, or in another unit than most."""
    headers, left_out = {}, []
    for item in inputs:
        try:
            with _opened(item, item.image) as hdu:
                headers[item.brick] = hdu.header.copy()
        except BrickError as error:
            left_out.append(error)
    found = {name: str(header.get("BUNIT", "")) for name, header in headers.items()}
    usual = Counter(found.values()).most_common(1)[0][0] if found else ""
    for item in inputs:
        if (unit := found.get(item.brick, usual)) != usual:
            cause = f"its unit is {unit or 'none'}, that of the others {usual or 'none'}"
            left_out.append(BrickError(cause, brick=item.brick, band=item.band, file=item.image))
            del headers[item.brick]
    return headers, left_out


class _Sums:
    """Sums over the bricks, each (y, x) float32, in files without a name, which end with the process.

    weight : of weights; flux : of image times weight; squares : of invvar times weight
    """

    def __init__(self, grid: WCS, folder: Path) -> None:
        self.grid = grid
        folder.mkdir(parents=True, exist_ok=True)
        self.weight, self.flux, self.squares = (_zeros(folder, grid.array_shape) for _ in range(3))

    def add(self, item: MosaicInput) -> bool:
        """Add a brick; whether it touches the mosaic. Raises BrickError if it cannot be read."""
        with _opened(item, item.image) as hdu:
            image, wcs = np.array(hdu.data, np.float32), celestial_wcs(hdu.header)
        with _opened(item, item.invvar):
            invvar = read_survey_image(item.invvar, hdu_name("invvar", item.band), rounded_to_zero=True)[0]
            invvar = invvar.astype(np.float32, copy=False)
            if invvar.shape != image.shape:
                raise ValueError(f"shape {invvar.shape} is not the image's {image.shape} (y, x)")
        invvar[~(np.isfinite(image) & np.isfinite(invvar) & (invvar > 0))] = 0
        window = window_of(wcs, image.shape, self.grid, self.grid.array_shape)
        touches = False
        for strip, pixels in resampled(image, invvar, wcs, self.grid, window) if window else ():
            weight = pixels.invvar * np.where(pixels.trust == 1, np.float32(1), LAST_RESORT)
            self.weight[strip] += weight
            self.flux[strip] += weight * pixels.image
            self.squares[strip] += weight * pixels.invvar
            touches |= bool(weight.any())
        return touches


def _zeros(folder: Path, shape: tuple[int, int]) -> np.ndarray:
    """Zeros (y, x) float32 on disk, in room that is reserved: a memory map meets a full disk with a crash."""
    with tempfile.TemporaryFile(dir=folder) as stream:
        os.posix_fallocate(stream.fileno(), 0, 4 * math.prod(shape))
        return np.memmap(stream, np.float32, "r+", shape=shape)


@contextmanager
def _opened(item: MosaicInput, path: Path | None) -> Iterator[fits.ImageHDU]:
    """HDU 1 of a file that is as it was written; whatever goes wrong with it becomes a BrickError."""
    try:
        assert path is not None  # of a brick that lacks the band nothing is read
        verified_digest(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", AstropyUserWarning)  # what matters fails, in a moment
            with fits.open(path, memmap=False) as hdus:
                check_cards(hdus[1].header)
                if len(hdus[1].shape) != 2:
                    raise OSError(f"HDU 1 has {len(hdus[1].shape)} axes, not 2")
                yield hdus[1]
    except Exception as error:  # a reader's, of many kinds, by what is damaged
        cause = f"cannot be read, damaged? ({error})"
        raise BrickError(cause, brick=item.brick, band=item.band, file=path) from error


def _header(
    grid: WCS, headers: Sequence[fits.Header], provenance: Mapping[str, str | int | float]
) -> fits.Header:
    """Cards of a mosaic: WCS, calibration, what was done."""
    header = grid.to_header(relax=True)
    for keyword in COMMON_CARDS if headers else ():
        if keyword in headers[0] and all(other.get(keyword) == headers[0][keyword] for other in headers):
            header.append(headers[0].cards[keyword], end=True)
    header.update({"SDVERS": __version__, **provenance})
    header["NBRICKS"] = (len(headers), "bricks in this mosaic")
    return header


def _write(path: Path, cards: fits.Header, unit: str, sums: np.ndarray, weight: np.ndarray) -> None:
    """Write sums / weight, 0 where there is no weight, as a plain FITS image; then its checksums."""
    header = fits.PrimaryHDU().header
    header["BITPIX"], header["NAXIS"] = -32, 2
    header.set("NAXIS1", sums.shape[1], "length of data axis 1", after="NAXIS")
    header.set("NAXIS2", sums.shape[0], "length of data axis 2", after="NAXIS1")
    header.extend(cards, strip=False)
    if unit:
        header["BUNIT"] = unit
    header["CHECKSUM"], header["DATASUM"] = "0" * 16, "0" * 10  # room for the true ones
    rows = max(1, STRIP_PIXELS // sums.shape[1])
    with atomic_path(path) as partial:
        stream = fits.StreamingHDU(partial, header)
        for start in range(0, sums.shape[0], rows):
            part, whole = sums[start : start + rows], weight[start : start + rows]
            stream.write(np.divide(part, whole, out=np.zeros(part.shape, np.float32), where=whole > 0))
        stream.close()
        with fits.open(partial, memmap=True) as hdus:
            hdus[0].add_checksum(when="HDU checksum")  # astropy's own comment holds the time of writing
            summed = hdus[0].header.tostring()
        with partial.open("r+b") as file:
            file.write(summed.encode("ascii"))
