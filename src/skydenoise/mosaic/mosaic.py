"""Many bricks on one WCS, weighted by inverse variance; block by block, so larger than memory."""

import logging
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from astropy import units
from astropy.io import fits
from astropy.wcs import WCS
from reproject.mosaicking import find_optimal_celestial_wcs
from tqdm import tqdm

from skydenoise import __version__
from skydenoise.errors import SettingsError, StepError
from skydenoise.io.atomic import atomic_path
from skydenoise.mosaic.coadd import Source, Window, celestial_wcs, coadd_block, pixel_side, projected
from skydenoise.mosaic.settings import MosaicSettings

__all__ = [
    "Grid",
    "MosaicInput",
    "MosaicSettings",
    "MosaicSummary",
    "common_wcs",
    "mosaic_band",
    "read_grid",
]

log = logging.getLogger(__name__)

COMMON_CARDS = ("MAGZERO", "FILTER", "SURVEY", "DRVERSIO", "TELESCOP", "INSTRUME")
"""Cards that a mosaic takes over from its bricks if all of them agree."""


@dataclass(frozen=True)
class MosaicInput:
    """One brick in one band; HDU 1 holds the pixels.

    image : denoised or raw image, nanomaggies
    invvar : inverse variance, nanomaggies^-2, 0 where a pixel is not usable
    """

    image: Path
    invvar: Path


@dataclass(frozen=True)
class Grid:
    """Pixels of a mosaic.

    wcs : celestial
    shape : (y, x)
    """

    wcs: WCS
    shape: tuple[int, int]

    def __post_init__(self) -> None:
        # to the digits that a header holds, so that every process and every reader has the same pixels
        object.__setattr__(self, "wcs", celestial_wcs(self.wcs.to_header(relax=True)))

    def header(self) -> fits.Header:
        """Cards of the WCS, then NAXIS1 and NAXIS2; in a text file it is what MosaicSettings.wcs wants."""
        header = self.wcs.to_header(relax=True)
        header["NAXIS1"], header["NAXIS2"] = self.shape[1], self.shape[0]
        return header


@dataclass(frozen=True)
class MosaicSummary:
    """What was made.

    shape : (y, x) of the mosaic
    bricks : how many went in
    covered : fraction of its pixels that have data
    seconds : time spent
    """

    shape: tuple[int, int]
    bricks: int
    covered: float
    seconds: float


def common_wcs(images: Sequence[Path], pixel_scale: float | None = None) -> Grid:
    """Find the best WCS for all images, in whatever order: tangent-plane, north up, just large enough.

    images : FITS files with the image in HDU 1; any one band will do, as the bands of a brick share its WCS
    pixel_scale : arcsec; None takes the finest of the inputs

    Raises
    ------
    SettingsError : there is no image
    BrickError : an image cannot be read or has no celestial WCS
    """
    return _common_grid([Source.open(path, path) for path in images], pixel_scale)


def _common_grid(sources: Sequence[Source], pixel_scale: float | None) -> Grid:
    if not sources:
        raise SettingsError("mosaics: there is no brick to make a mosaic of")
    wcs, shape = find_optimal_celestial_wcs(
        [(source.shape, source.wcs) for source in sorted(sources, key=lambda source: source.brick)],
        resolution=None if pixel_scale is None else pixel_scale * units.arcsec,
        negative_lon_cdelt=True,
    )
    return Grid(wcs, (int(shape[0]), int(shape[1])))


def read_grid(path: Path) -> Grid:
    """Read a WCS with NAXIS1 and NAXIS2 from a FITS header in a text file, one card per line.

    Raises
    ------
    SettingsError : there is no such file, or it holds no such header
    """
    try:
        header = fits.Header.fromtextfile(path)
        shape = (int(header["NAXIS2"]), int(header["NAXIS1"]))
        if min(shape) < 1:
            raise ValueError("NAXIS1 and NAXIS2 leave no pixel")
        return Grid(celestial_wcs(header), shape)
    except (OSError, EOFError, KeyError, ValueError) as error:
        raise SettingsError(f"mosaics: wcs {path}: {' '.join(str(error).split()) or 'is empty'}") from None


def mosaic_band(
    inputs: Sequence[MosaicInput],
    output: Path,
    footprint: Path,
    settings: MosaicSettings,
    provenance: Mapping[str, str | int | float],
) -> MosaicSummary:
    """Coadd the bricks of one band on one WCS into two plain FITS files, each whole or not at all.

    Each image is interpolated, its unusable pixels filled from their neighbours so that they spread nothing,
    and the mean is taken, weighted by the inverse variance of the nearest input pixel: 0 where that is
    unusable. Values are scaled by the local ratio of pixel areas, so that they stay nanomaggies per pixel and
    the sum over a source stays its flux. Where output pixels are larger than input pixels, they average finer
    samples.

    inputs : one per brick
    output : float32 (y, x), nanomaggies per pixel, 0 where there is no data
    footprint : float32 (y, x), nanomaggies^-2, 0 where there is no data: the weights of the input pixels
        below, averaged with themselves as weights. Not their sum: where survey bricks overlap, both are made
        of the same exposures, and the second adds no information
    settings : if settings.wcs is None, the WCS is the `common_wcs` of the inputs
    provenance : FITS keyword -> value; HISTORY holds lines, separated by newlines. The bricks are added

    Raises
    ------
    BrickError : an input cannot be read
    SettingsError : there is none, or none touches the WCS given
    StepError : the disk is full
    """
    started = time.perf_counter()
    sources = sorted(
        (Source.open(item.image, item.invvar) for item in inputs), key=lambda source: source.brick
    )
    grid = read_grid(settings.wcs) if settings.wcs else _common_grid(sources, settings.pixel_scale)
    placed = [(source, window) for source in sources if not (window := _extent(source, grid)).empty]
    if not placed:
        raise SettingsError(f"mosaics: wcs {settings.wcs}: none of the {len(sources)} bricks touches it")
    header = _header(grid, [source for source, _ in placed], provenance)
    covered = 0
    with (
        _mapped_image(output, header, grid.shape, "nanomaggy") as mosaic,
        _mapped_image(footprint, header, grid.shape, "1/nanomaggy^2") as weights,
    ):
        for block, values, weight in _blocks(grid, placed, settings):
            where = slice(block.y0, block.y1), slice(block.x0, block.x1)
            mosaic[where], weights[where] = values, weight
            covered += int(np.count_nonzero(weight))
    seconds = time.perf_counter() - started
    summary = MosaicSummary(grid.shape, len(placed), covered / math.prod(grid.shape), seconds)
    log.info("%s: %d bricks, %s pixels, %.1f s", output, summary.bricks, summary.shape, summary.seconds)
    return summary


def _extent(source: Source, grid: Grid) -> Window:
    """Part of the mosaic that a brick covers."""
    return projected(
        Window(0, source.shape[0], 0, source.shape[1]), source.wcs, grid.wcs, grid.shape, margin=1
    )


def _blocks(
    grid: Grid, placed: Sequence[tuple[Source, Window]], settings: MosaicSettings
) -> Iterator[tuple[Window, np.ndarray, np.ndarray]]:
    """Block, mosaic and footprint (y, x) of every block that a brick touches.

    One row of blocks is in work at a time, so that results do not pile up before they are written.
    """
    ratio = pixel_side(grid.wcs) / min(pixel_side(source.wcs) for source, _ in placed)
    fine = max(1, math.ceil(ratio - 0.01))
    size = max(1, settings.block // fine)
    work = partial(coadd_block, grid.wcs, settings.order, fine)
    count = math.ceil(grid.shape[0] / size) * math.ceil(grid.shape[1] / size)
    with (
        _mapper(settings.workers) as mapper,
        tqdm(total=count, desc="mosaic", unit="block", disable=None) as bar,
    ):
        for y0 in range(0, grid.shape[0], size):
            y1 = min(y0 + size, grid.shape[0])
            row = [Window(y0, y1, x0, min(x0 + size, grid.shape[1])) for x0 in range(0, grid.shape[1], size)]
            members = [[source for source, window in placed if window.touches(block)] for block in row]
            busy = [(block, inside) for block, inside in zip(row, members, strict=True) if inside]
            results = mapper(work, [block for block, _ in busy], [inside for _, inside in busy])
            for (block, _), (values, weight) in zip(busy, results, strict=True):
                yield block, values, weight
            bar.update(len(row))


@contextmanager
def _mapper(workers: int) -> Iterator[Callable[..., Iterator[tuple[np.ndarray, np.ndarray]]]]:
    """The built-in map, or one over processes."""
    if workers == 1:
        yield map
        return
    with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        yield pool.map


def _header(
    grid: Grid, sources: Sequence[Source], provenance: Mapping[str, str | int | float]
) -> fits.Header:
    """Cards of a mosaic: WCS, calibration, what was done, and the bricks as HISTORY."""
    header = grid.wcs.to_header(relax=True)
    first = sources[0].header
    for keyword in COMMON_CARDS:
        if keyword in first and all(source.header.get(keyword) == first[keyword] for source in sources):
            header.append(first.cards[keyword], end=True)
    cards = {"SDVERS": __version__, **provenance}
    history = str(cards.pop("HISTORY", "")).splitlines()
    for keyword, value in cards.items():
        header[keyword] = value
    header["NBRICKS"] = (len(sources), "bricks in this mosaic")
    for line in [*history, *(f"brick {source.brick}" for source in sources)]:
        header.add_history(line)
    return header


@contextmanager
def _mapped_image(path: Path, cards: fits.Header, shape: tuple[int, int], unit: str) -> Iterator[np.ndarray]:
    """Yield the pixels (y, x) of a new FITS image, all 0, as a memory map; whole at the end or not there.

    Not compressed: a tile-compressed file cannot be written in pieces. Its room is reserved at the start,
    because a memory map would meet a full disk with a crash.
    """
    header = fits.PrimaryHDU().header
    header["BITPIX"], header["NAXIS"] = -32, 2
    header.set("NAXIS1", shape[1], "length of data axis 1", after="NAXIS")
    header.set("NAXIS2", shape[0], "length of data axis 2", after="NAXIS1")
    header.extend(cards, strip=False)
    header["BUNIT"] = unit
    header["CHECKSUM"], header["DATASUM"] = "0" * 16, "0" * 10  # room for the true ones
    with atomic_path(path) as partial:
        header.tofile(partial)
        start = partial.stat().st_size
        length = 4 * math.prod(shape)
        with partial.open("r+b") as stream:
            try:
                os.posix_fallocate(stream.fileno(), 0, start + math.ceil(length / 2880) * 2880)
            except OSError as error:
                needed = f"{error.strerror}, {length / 1e6:.0f} MB are needed"
                raise StepError(f"{path}: {needed} (make room, then run the same command again)") from None
        pixels = np.memmap(partial, ">f4", "r+", start, shape)
        yield pixels
        pixels.flush()
        with fits.open(partial, memmap=True) as hdus:
            hdus[0].add_checksum(when="HDU checksum")  # astropy's own comment holds the time of writing
            summed = hdus[0].header.tostring()
        with partial.open("r+b") as stream:
            stream.write(summed.encode("ascii"))
