"""FITS images and cubes, compressed or not."""

import gzip
import shutil
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from skydenoise.errors import SettingsError
from skydenoise.io.fitsfile import kept_cards
from skydenoise.stacks.axes import Axes, Key
from skydenoise.stacks.pixels import FLOAT, FilePixels, NewPixels, StackFile, StoredArray

Array = NDArray[Any]

BLOCK = 2880
"""Bytes; every part of a FITS file is padded to them (FITS 4.0, section 3.1)."""


@dataclass(frozen=True)
class _Section:
    """An image in physical values, read in parts; NaN where the stored number is BLANK."""

    hdu: Any
    dtype: np.dtype[Any] = FLOAT

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.hdu.shape)

    def __getitem__(self, key: Key) -> Array:
        return np.asarray(self.hdu.section[key])


@contextmanager
def open_array(path: Path, dataset: str) -> Iterator[StoredArray]:
    """Image of a HDU, given by its number or name; empty: the first that holds one.

    A file in gzip is unpacked into a temporary one: else it would be read from its beginning for every frame.
    """
    with ExitStack() as files:
        if path.suffix.lower() == ".gz":
            packed = files.enter_context(gzip.open(path))
            path = Path(files.enter_context(TemporaryDirectory()), "unpacked.fits")
            with path.open("wb") as unpacked:
                shutil.copyfileobj(packed, unpacked)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            hdus = files.enter_context(fits.open(path, memmap=False))
            index = _index(hdus, dataset)
        if any("truncated" in str(warning.message) for warning in caught):
            raise OSError("the file is truncated")
        yield StoredArray(_Section(hdus[index]), "", str(index))


def _index(hdus: fits.HDUList, dataset: str) -> int:
    """Number of the HDU named `dataset`.

    Raises
    ------
    SettingsError : it holds no image
    OSError : there is no image at all, as where a compressed file is cut off
    """
    images = [number for number, hdu in enumerate(hdus) if hdu.is_image and len(hdu.shape) >= 2]
    if not images:
        raise OSError("there is no image in it; is the file whole?")
    if not dataset:
        return images[0]
    for number in images:
        if dataset in (str(number), hdus[number].name):
            return number
    raise SettingsError(f"there is no image in HDU {dataset!r}")


@contextmanager
def create_like(source: StackFile, axes: Axes, path: Path, note: str) -> Iterator[NewPixels]:
    """New FITS file, not compressed: the image's cards, and the first HDU's if the image is not there.

    (Compressing a cube needs all of it at once.)
    """
    with fits.open(source.path, memmap=False) as hdus:
        index = int(source.dataset)
        primary = fits.PrimaryHDU()
        first = fits.ImageHDU if index else fits.PrimaryHDU
        header = first(np.zeros((1,) * len(axes.shape), FLOAT)).header
        for number, length in enumerate(reversed(axes.shape), 1):
            header[f"NAXIS{number}"] = length
        for target, old in ((primary.header, hdus[0].header), (header, hdus[index].header)):
            for card in kept_cards(old):
                target.append(card, bottom=True)
        header.append(("HISTORY", note), bottom=True)
        text = primary.header.tostring() * bool(index) + header.tostring()
    path.write_bytes(text.encode("ascii"))
    pixels = FilePixels(path, len(text), FLOAT.newbyteorder(">"), axes.shape)
    with path.open("r+b") as stream:
        stream.truncate(-(-pixels.end // BLOCK) * BLOCK)
    yield pixels
