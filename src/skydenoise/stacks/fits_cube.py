"""FITS images and cubes, compressed or not."""

import gzip
import shutil
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from astropy.io import fits

from skydenoise.errors import SettingsError
from skydenoise.io.fitsfile import kept_cards
from skydenoise.io.verified import sums_hold
from skydenoise.stacks.axes import Axes
from skydenoise.stacks.pixels import FLOAT, FilePixels, StackFile, StoredArray

BLOCK = 2880
"""Bytes; every part of a FITS file is padded to them (FITS 4.0, section 3.1)."""


@contextmanager
def open_array(path: Path, dataset: str) -> Iterator[StoredArray]:
    """Image of a HDU, given by its number or name; empty: the first that holds one.

    A file in gzip is unpacked into a temporary one: else it would be read from its beginning for every frame.
    One with checksums is read once to hold it against them.
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
            _hold_against_sums(path)
        if any("truncated" in str(warning.message) for warning in caught):
            raise OSError("the file is truncated")
        yield StoredArray(hdus[index].section, "", str(index))


def _hold_against_sums(path: Path) -> None:
    """Raise ValueError if a checksum in the file does not hold."""
    with fits.open(path, disable_image_compression=True) as hdus:
        if any({"CHECKSUM", "DATASUM"} & set(hdu.header) for hdu in hdus):
            places = [hdu.fileinfo() for hdu in hdus]
            sums_hold(path, [(place["datLoc"], place["datLoc"] + place["datSpan"]) for place in places])


def _index(hdus: fits.HDUList, dataset: str) -> int:
    """Number of the HDU named `dataset`; raises SettingsError if it holds no image."""
    images = [number for number, hdu in enumerate(hdus) if hdu.is_image and len(hdu.shape) >= 2]
    if not images:  # as where a compressed file is cut off
        raise OSError("there is no image in it; is the file whole?")
    for number in images:
        if dataset in ("", str(number), hdus[number].name):
            return number
    raise SettingsError(f"there is no image in HDU {dataset!r}")


@contextmanager
def create_like(source: StackFile, axes: Axes, path: Path, note: str) -> Iterator[FilePixels]:
    """New FITS file, not compressed: the image's cards, and the first HDU's if the image is not there.

    (Compressing a cube needs all of it at once.)
    """
    with fits.open(source.path, memmap=False) as hdus:
        index = int(source.dataset)
        new = [fits.PrimaryHDU(), fits.ImageHDU()] if index else [fits.PrimaryHDU()]
        new[-1].data = np.broadcast_to(FLOAT.type(0), axes.shape)
        headers = [hdu.header for hdu in new]
        for header, old in zip(headers, [hdus[0].header, hdus[index].header][-len(new) :], strict=True):
            for card in kept_cards(old):
                header.append(card, bottom=True)
        headers[-1].append(("HISTORY", note), bottom=True)
        text = "".join(header.tostring() for header in headers)
    path.write_bytes(text.encode("ascii"))
    yield FilePixels(path, len(text), FLOAT.newbyteorder(">"), axes.shape).reserved(BLOCK)
