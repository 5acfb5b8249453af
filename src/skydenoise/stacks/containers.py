"""The files that hold stacks, opened so that a part can be read without the rest."""

import gzip
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from itertools import product
from math import prod
from pathlib import Path
from typing import Any, Protocol

import h5py
import mrcfile
import numpy as np
import tifffile
from astropy.io import fits
from numpy.typing import NDArray

from skydenoise.errors import SettingsError
from skydenoise.stacks.axes import Key
from skydenoise.stacks.rawfile import RawPixels

Array = NDArray[Any]


class Pixels(Protocol):
    """What can be sliced without being read as a whole."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of the axes."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of a pixel."""

    def __getitem__(self, key: Key) -> Array: ...


@dataclass(frozen=True)
class Opened:
    """An array in an open file.

    axes : letters as in `Axes`, if the file says what they are, else empty
    dataset : name of the array in the file, if it holds several
    """

    pixels: Pixels
    axes: str = ""
    dataset: str = ""


@contextmanager
def open_npy(path: Path, dataset: str) -> Iterator[Opened]:
    """NumPy's own format; in Fortran order too. Raises ValueError for arrays of objects."""
    mapped = np.load(path, mmap_mode="r", allow_pickle=False)
    if mapped.flags.c_contiguous:
        yield Opened(RawPixels(path, mapped.offset, mapped.dtype, mapped.shape))
    else:
        yield Opened(mapped)


@contextmanager
def open_mrc(path: Path, dataset: str) -> Iterator[Opened]:
    """MRC2014 of electron microscopy."""
    with mrcfile.mmap(path, mode="r") as file:
        offset = file.header.nbytes + file.extended_header.nbytes
        yield Opened(RawPixels(path, offset, file.data.dtype, file.data.shape))


@contextmanager
def open_hdf5(path: Path, dataset: str) -> Iterator[Opened]:
    """HDF5; `dataset` may be empty if only one of the file's datasets has two or more dimensions."""
    with h5py.File(path, "r") as file:
        name = dataset or _only_dataset(file)
        if not isinstance(file.get(name), h5py.Dataset):
            raise SettingsError(f"there is no dataset {name!r}, only {', '.join(_datasets(file))}")
        yield Opened(file[name], "", name)


def _datasets(file: h5py.File) -> list[str]:
    names: list[str] = []

    def visit(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset) and item.ndim >= 2:
            names.append(name)

    file.visititems(visit)
    return names


def _only_dataset(file: h5py.File) -> str:
    names = _datasets(file)
    if len(names) != 1:
        raise SettingsError(f"it holds {len(names)} datasets ({', '.join(names)}): say which")
    return names[0]


@dataclass(frozen=True)
class _Section:
    """An image of a FITS file, scaled by BSCALE and BZERO, read in parts."""

    hdu: Any
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def __getitem__(self, key: Key) -> Array:
        return np.asarray(self.hdu.section[key])


@dataclass(frozen=True)
class _Unpacked:
    """The same of a file in gzip, read forwards: a section unpacks it from its beginning for every frame."""

    stream: gzip.GzipFile
    raw: RawPixels
    section: _Section

    @property
    def shape(self) -> tuple[int, ...]:
        return self.section.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.section.dtype

    def __getitem__(self, key: Key) -> Array:
        place = self.raw.place(key)
        if place is None:
            return self.section[key]
        start, shape = place
        self.stream.seek(start)
        content = self.stream.read(prod(shape) * self.raw.dtype.itemsize)
        header = self.section.hdu.header
        pixels = np.frombuffer(content, self.raw.dtype).reshape(shape)
        return pixels * np.float64(header.get("BSCALE", 1)) + header.get("BZERO", 0)


@contextmanager
def open_fits(path: Path, dataset: str) -> Iterator[Opened]:
    """FITS image or cube, compressed or not; `dataset` is the HDU's number or name; empty: the first one."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        hdus = fits.open(path, memmap=False)
        len(hdus)  # reads all headers
    with ExitStack() as files:
        files.enter_context(hdus)
        if any("truncated" in str(warning.message) for warning in caught):
            raise OSError(f"{path}: the file is truncated")
        index = fits_index(hdus, dataset)
        hdu = hdus[index]
        scaled = hdu.header.get("BSCALE", 1) != 1 or hdu.header.get("BZERO", 0) != 0
        kind = np.float32 if scaled else fits.BITPIX2DTYPE[hdu.header["BITPIX"]]
        section = _Section(hdu, hdu.shape, np.dtype(kind))
        pixels: Pixels = section
        if path.suffix.lower() == ".gz":
            stored = np.dtype(fits.BITPIX2DTYPE[hdu.header["BITPIX"]]).newbyteorder(">")
            raw = RawPixels(path, hdu.fileinfo()["datLoc"], stored, hdu.shape)
            pixels = _Unpacked(files.enter_context(gzip.open(path)), raw, section)
        yield Opened(pixels, "", str(index))


def fits_index(hdus: fits.HDUList, dataset: str) -> int:
    """Number of the HDU named `dataset`.

    Raises
    ------
    SettingsError : it holds no image
    OSError : there is no image at all, as where a compressed file is cut off
    """
    images = [number for number, hdu in enumerate(hdus) if hdu.is_image and len(hdu.shape) >= 2]
    if not dataset and images:
        return images[0]
    for number in images:
        if dataset in (str(number), hdus[number].name):
            return number
    if not images:
        raise OSError("there is no image in it; is the file whole?")
    raise SettingsError(f"there is no image in HDU {dataset!r}")


@dataclass(frozen=True)
class _Pages:
    """A TIFF series whose pages are compressed, or lie apart: they are decoded one by one."""

    series: tifffile.TiffPageSeries

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.series.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(self.series.dtype)

    def __getitem__(self, key: Key) -> Array:
        leading = len(self.shape) - self.series.keyframe.ndim
        choices = [
            (part,) if isinstance(part, int) else range(size)
            for part, size in zip(key[:leading], self.shape, strict=False)
        ]
        kept = [
            size for part, size in zip(key[:leading], self.shape, strict=False) if not isinstance(part, int)
        ]
        pages = [self._page(place)[key[leading:]] for place in product(*choices)]
        return np.stack(pages).reshape([*kept, *pages[0].shape])

    def _page(self, place: tuple[int, ...]) -> Array:
        leading = self.shape[: len(place)]
        number = int(np.ravel_multi_index(place, leading)) if place else 0
        page = self.series.pages[number]
        if page is None:
            raise OSError(f"page {number} is missing")
        return np.asarray(page.asarray())


@contextmanager
def open_tiff(path: Path, dataset: str) -> Iterator[Opened]:
    """TIFF, of ImageJ, OME or any other kind; `dataset` is the number of the series, or empty: the first."""
    with ExitStack() as files:
        with _no_complaint(path):
            file = files.enter_context(tifffile.TiffFile(path))
            number = _series_number(file, dataset)
            series = file.series[number]
        pixels: Pixels = _Pages(series)
        if series.dataoffset is not None:
            dtype = np.dtype(series.dtype).newbyteorder(file.byteorder)
            pixels = RawPixels(path, series.dataoffset, dtype, pixels.shape)
        yield Opened(pixels, _letters(series.axes), str(number))


def _series_number(file: tifffile.TiffFile, dataset: str) -> int:
    number = int(dataset or 0) if dataset.isdecimal() or not dataset else len(file.series)
    if number >= len(file.series):
        raise SettingsError(f"there is no series {dataset!r}, only 0 to {len(file.series) - 1}")
    return number


@contextmanager
def _no_complaint(path: Path) -> Iterator[None]:
    """Raise OSError for what tifffile only logs as an error, such as pages that are cut off."""
    heard: list[str] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            heard.append(record.getMessage())

    listener = Listener(logging.ERROR)
    logger = logging.getLogger("tifffile")
    logger.addHandler(listener)
    try:
        yield
    finally:
        logger.removeHandler(listener)
    if heard:
        raise OSError(f"{path}: {heard[0]}")


def _letters(axes: str) -> str:
    """Letters of `Axes` for those of tifffile; empty if it does not know (I, Q) what an axis is."""
    text = axes.lower().replace("s", "c")
    return text if set(text) <= set("tzcyx") and len(set(text)) == len(text) else ""


OPENERS: dict[str, Callable[[Path, str], AbstractContextManager[Opened]]] = {
    ".tif": open_tiff,
    ".tiff": open_tiff,
    ".npy": open_npy,
    ".mrc": open_mrc,
    ".mrcs": open_mrc,
    ".h5": open_hdf5,
    ".hdf5": open_hdf5,
    ".fits": open_fits,
    ".fits.gz": open_fits,
    ".fits.fz": open_fits,
}
"""How a file is opened, by the end of its name."""
