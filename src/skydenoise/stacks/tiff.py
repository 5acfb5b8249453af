"""TIFF of ImageJ, OME and any other kind."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from logging.handlers import BufferingHandler
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from tifffile import COMPRESSION, PHOTOMETRIC

from skydenoise.errors import SettingsError
from skydenoise.stacks.axes import BY_DIMENSIONS, FRAME_LETTERS, Axes, Key
from skydenoise.stacks.pixels import FLOAT, FilePixels, StackFile, StoredArray

Array = NDArray[Any]

CLASSIC = 2**32 - 2**25
"""Bytes of pixels up to which a file can be addressed with 32 bits, its pages' headers included."""
LIGHT = (PHOTOMETRIC.MINISBLACK, PHOTOMETRIC.MINISWHITE, PHOTOMETRIC.RGB)
"""What numbers mean as colours, where they are amounts of light."""
JPEG = (COMPRESSION.OJPEG, COMPRESSION.JPEG)
"""Compressions whose decoder makes RGB of YCbCr."""
LAYOUT = {"ImageJ", "images", "channels", "slices", "frames", "hyperstack", "axes", "shape"}
"""Metadata of ImageJ and tifffile that say how pixels lie: the writer makes them anew."""


@dataclass(frozen=True)
class _Pages:
    """An array whose pages are compressed, or lie apart: they are decoded one by one.

    pages : the images along all axes but the last ones, `page_axes` in number
    """

    pages: Sequence[Any]
    page_axes: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def __getitem__(self, key: Key) -> Array:
        leading = len(self.shape) - self.page_axes
        numbers = np.arange(len(self.pages)).reshape(self.shape[:leading])[key[:leading]]
        pages = [self.pages[int(number)] for number in numbers.ravel()]
        if None in pages:
            raise OSError("a page is missing")
        blocks = [page.asarray()[key[leading:]] for page in pages]
        return np.stack(blocks).reshape([*numbers.shape, *blocks[0].shape])


@dataclass(frozen=True)
class _NewSeries:
    """New series of one shape, taken as one array whose first axis counts them."""

    series: Sequence[FilePixels]

    def __setitem__(self, key: Key, values: Array) -> None:
        if isinstance(key[0], int):
            self.series[key[0]][key[1:]] = values
        else:
            for series, value in zip(self.series, values, strict=True):
                series[key[1:]] = value


@contextmanager
def open_array(path: Path, dataset: str) -> Iterator[StoredArray]:
    """A series, given by its number; empty: all of the file, as frames, if they are alike."""
    with ExitStack() as files:
        with _no_complaint():
            file = files.enter_context(tifffile.TiffFile(path))
            chosen = [file.series[number] for number in _numbers(file, dataset)]
        for series in {series.keyframe.compression: series for series in chosen}.values():
            _check_decoder(series.keyframe)
        letters, dataset = _letters(chosen[0]), dataset or "0"
        if len(chosen) > 1:
            unused = next(letter for letter in FRAME_LETTERS if letter not in letters)
            letters, dataset = letters and unused + letters, ""
        yield StoredArray(_pixels(path, chosen), letters, dataset)


@contextmanager
def _no_complaint() -> Iterator[None]:
    """Raise OSError for what tifffile only logs as an error, such as pages that are cut off."""
    listener = BufferingHandler(capacity=1000)
    listener.setLevel(logging.ERROR)
    logger = logging.getLogger("tifffile")
    logger.addHandler(listener)
    try:
        yield
    finally:
        logger.removeHandler(listener)
    if listener.buffer:
        raise OSError(listener.buffer[0].getMessage())


def _numbers(file: tifffile.TiffFile, dataset: str) -> list[int]:
    """Numbers of the series that make the stack; raises SettingsError if they cannot."""
    count = len(file.series)
    if dataset and not (dataset.isdecimal() and int(dataset) < count):
        raise SettingsError(f"there is no series {dataset!r}, only 0 to {count - 1}")
    numbers = [int(dataset)] if dataset else list(range(count))
    kinds: dict[Any, int] = {}
    for number in numbers:
        series = file.series[number]
        kinds.setdefault((series.shape, series.dtype, series.axes, series.keyframe.photometric), number)
    if len(kinds) > 1:
        found = ", ".join(f"{number} of shape {shape}" for (shape, *_), number in kinds.items())
        raise SettingsError(
            f"it holds {count} series that are not alike ({found}): say which by its number, as dataset"
        )
    _interpretation(file, file.series[numbers[0]].keyframe)
    return numbers


def _interpretation(file: tifffile.TiffFile, page: tifffile.TiffPage) -> PHOTOMETRIC:
    """What the new file's numbers mean as colours; raises SettingsError if pixels are no amounts of light."""
    if page.photometric == PHOTOMETRIC.PALETTE and file.is_imagej:
        return PHOTOMETRIC.MINISBLACK  # ImageJ's pixels are amounts of light, its palette is for display
    if page.photometric == PHOTOMETRIC.YCBCR and page.compression in JPEG:
        return PHOTOMETRIC.RGB
    if page.photometric not in LIGHT:
        raise SettingsError(f"pixels are {page.photometric!r}: save it as grey or RGB")
    return PHOTOMETRIC(page.photometric)


def _check_decoder(page: tifffile.TiffPage) -> None:
    """Decode one strip or tile: raises SettingsError if this needs a package that is not there."""
    try:
        next(page.segments(maxworkers=1, buffersize=1), None)
    except ValueError as error:
        if "imagecodecs" not in str(error):
            raise
        raise SettingsError(
            f"compression {page.compression!r} needs the package imagecodecs: pip install imagecodecs, "
            "or save the stack without compression"
        ) from None


def _pixels(path: Path, chosen: Sequence[tifffile.TiffPageSeries]) -> FilePixels | _Pages:
    first, dtype = chosen[0], np.dtype(chosen[0].dtype)
    if len(chosen) == 1 and first.dataoffset is not None:
        stored = dtype.newbyteorder(first.keyframe.parent.byteorder)
        return FilePixels(path, first.dataoffset, stored, first.shape)
    shape = (len(chosen),) * (len(chosen) > 1) + tuple(first.shape)
    return _Pages([page for series in chosen for page in series.pages], first.keyframe.ndim, shape, dtype)


def _letters(series: tifffile.TiffPageSeries) -> str:
    """Letters of `Axes`; by the number of dimensions if the file does not know (I, Q) what an axis is."""
    text = series.axes.lower().replace("s", "c")
    known = set(text) <= set("tzcyx") and len(set(text)) == len(text)
    return text if known else BY_DIMENSIONS.get(len(text), "")


@contextmanager
def create_like(source: StackFile, axes: Axes, path: Path, note: str) -> Iterator[FilePixels | _NewSeries]:
    """New TIFF, not compressed; of ImageJ or OME if the source is, with what it says of itself."""
    large = FLOAT.itemsize * int(np.prod(axes.shape)) > CLASSIC
    with tifffile.TiffFile(source.path) as file:
        numbers = _numbers(file, source.dataset)
        first = file.series[numbers[0]]
        imagej = bool(file.is_imagej) and not (large or "S" in first.axes or len(numbers) > 1)
        ome = bool(file.is_ome) and not imagej
        described = [_description(file, number, imagej, note) for number in numbers]
    with tifffile.TiffWriter(path, byteorder="<", bigtiff=large, imagej=imagej, ome=ome) as writer:
        how: dict[str, Any] = {"shape": first.shape, "dtype": FLOAT, "returnoffset": True}
        places: list[Any] = [writer.write(None, **how, **each) for each in described]
    new = [FilePixels(path, place[0], FLOAT.newbyteorder("<"), first.shape).reserved() for place in places]
    yield new[0] if len(new) == 1 else _NewSeries(new)


def _description(file: tifffile.TiffFile, number: int, imagej: bool, note: str) -> dict[str, Any]:
    """What `TiffWriter.write` is told of a series: colours, resolution, sizes and times."""
    series = file.series[number]
    page = series.keyframe
    colours = "S" in series.axes
    return {
        "photometric": _interpretation(file, page),
        "resolution": page.resolution,
        **({} if imagej else {"resolutionunit": page.resolutionunit, "software": note}),
        "metadata": {"axes": series.axes, **_metadata(file, number, imagej)},
        "planarconfig": ("contig" if series.axes.endswith("S") else "separate") if colours else None,
        "extrasamples": page.extrasamples if colours else None,
    }


def _metadata(file: tifffile.TiffFile, number: int, imagej: bool) -> dict[str, Any]:
    """What the source says of a series, in the words of the kind of TIFF that is written."""
    if imagej:
        kept = {key: value for key, value in (file.imagej_metadata or {}).items() if key not in LAYOUT}
        colours = file.series[number].keyframe.colormap
        return kept if colours is None else {"LUTs": (colours >> 8).astype(np.uint8), **kept}
    if file.is_ome and file.ome_metadata is not None:
        images = tifffile.xml2dict(file.ome_metadata)["OME"]["Image"]
        pixels = (images[number] if isinstance(images, list) else images)["Pixels"]
        known = ("PhysicalSize", "TimeIncrement")
        return {key: value for key, value in pixels.items() if key.startswith(known)}
    shaped = file.shaped_metadata
    return {key: value for key, value in shaped[number].items() if key not in LAYOUT} if shaped else {}
