"""Tiles of a hierarchical progressive survey: where they lie, and how they are stored (IVOA HiPS 1.0).

A tile is a HEALPix pixel of its order (nested, equatorial) in 512 x 512 pixels, which are the HEALPix pixels
nine orders below. Its columns run north-west and its rows south-west, as HiPS has them.
"""

import warnings
from pathlib import Path

import numpy as np
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.wcs import WCS
from astropy_healpix import healpix_to_lonlat, lonlat_to_healpix
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from skydenoise.io.atomic import atomic_path

WIDTH = 512
"""Pixels along the edge of a tile."""
INSIDE = 32
"""Steps in which the inside of a brick is sampled, pixels of the brick; far below a tile's edge."""

KEY = "skydenoise"
"""Name of the text in a PNG that says what it was made of."""


def tile_path(folder: Path, order: int, tile: int, suffix: str) -> Path:
    """File of a tile; suffix is fits or png."""
    return folder / f"Norder{order}" / f"Dir{tile // 10000 * 10000}" / f"Npix{tile}.{suffix}"


def pixels_of_tile(order: int, tile: int, wcs: WCS) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Where the pixels of a tile lie in an image: its 0-based x and y, (512, 512); NaN off its sky."""
    along = (np.arange(WIDTH) + 0.5) / WIDTH
    west, south = np.meshgrid(along, along)  # north-west along the columns, south-west along the rows
    lon, lat = healpix_to_lonlat(np.full_like(west, tile, int), 2**order, 1 - south, west, order="nested")
    x, y = wcs.world_to_pixel(SkyCoord(lon, lat))
    return np.asarray(x), np.asarray(y)


def tiles_of_image(order: int, wcs: WCS, shape: tuple[int, int]) -> NDArray[np.int64]:
    """Numbers of the tiles that an image of this WCS and `shape` (y, x) touches, rising."""
    rows, columns = (np.unique(np.append(np.arange(0, size, INSIDE), size - 1)) for size in shape)
    x, y = (grid.ravel() for grid in np.meshgrid(columns, rows))
    every_x, every_y = np.arange(shape[1]), np.arange(shape[0])
    x = np.concatenate([x, every_x, every_x, 0 * every_y, 0 * every_y + shape[1] - 1])
    y = np.concatenate([y, 0 * every_x, 0 * every_x + shape[0] - 1, every_y, every_y])
    places = wcs.pixel_to_world(x, y).icrs
    return np.unique(lonlat_to_healpix(places.ra, places.dec, 2**order, order="nested"))


def read_tile(path: Path) -> NDArray[np.float32]:
    """Pixels (plane, y, x) of a tile, NaN where it is empty: one plane of FITS, three colours of PNG."""
    if path.suffix == ".fits":
        return fits.getdata(path, memmap=False)[np.newaxis].astype(np.float32)
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGBA"), dtype=np.float32)[::-1].transpose(2, 0, 1)
    return np.where(pixels[3] > 0, pixels[:3], np.float32(np.nan))


def write_tile(path: Path, pixels: NDArray[np.float32], key: str = "") -> None:
    """Write what `read_tile` reads, whole or not at all; a PNG says what it was made of by `key`."""
    with atomic_path(path) as partial:
        if path.suffix == ".fits":
            fits.PrimaryHDU(pixels[0]).writeto(partial)
            return
        seen = np.isfinite(pixels[:1])
        shown = np.concatenate([np.where(seen, pixels, 0), 255 * seen]).round().astype(np.uint8)
        text = PngInfo()
        text.add_text(KEY, key)
        Image.fromarray(shown.transpose(1, 2, 0)[::-1]).save(partial, pnginfo=text)


def read_key(path: Path) -> str:
    """What a PNG was made of; empty if it is not there."""
    if not path.exists():
        return ""
    with Image.open(path) as image:
        return str(image.info.get(KEY, ""))


def parent_of(children: list[NDArray[np.float32] | None]) -> NDArray[np.float32]:
    """The tile above four others, of which some may be missing: means of 2 x 2 pixels that are seen.

    children : (plane, y, x) in the order of their numbers
    """
    planes = next(len(child) for child in children if child is not None)
    full = np.full((planes, 2, WIDTH, 2, WIDTH), np.nan, np.float32)
    for number, child in enumerate(children):
        if child is not None:
            west, north = divmod(number, 2)
            full[:, 1 - north, :, west] = child
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # four that are not seen
        return np.nanmean(full.reshape(planes, WIDTH, 2, WIDTH, 2), axis=(2, 4))
