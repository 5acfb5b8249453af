"""New files for stacks of float32, laid out and described like their sources, to be filled in parts."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Protocol

import h5py
import mrcfile
import numpy as np
import tifffile
from astropy.io import fits
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from skydenoise import __version__
from skydenoise.io.fitsfile import kept_cards
from skydenoise.stacks.axes import Key
from skydenoise.stacks.rawfile import RawPixels
from skydenoise.stacks.stack import Stack

Array = NDArray[Any]

FLOAT = np.dtype(np.float32)
CLASSIC_TIFF = 2**32 - 2**25
"""Bytes of pixels up to which a TIFF file can be addressed with 32 bits, its pages' headers included."""
FITS_BLOCK = 2880
"""Bytes; every part of a FITS file is padded to them (FITS 4.0, section 3.1)."""


class Sink(Protocol):
    """What takes parts of an array."""

    def __setitem__(self, key: Key, values: Array) -> None: ...


@contextmanager
def npy_sink(stack: Stack, path: Path, note: str) -> Iterator[Sink]:
    """NumPy's own format, in C order."""
    mapped = open_memmap(path, mode="w+", dtype=FLOAT, shape=stack.axes.shape)
    offset = mapped.offset
    del mapped
    yield RawPixels(path, offset, FLOAT, stack.axes.shape)


@contextmanager
def mrc_sink(stack: Stack, path: Path, note: str) -> Iterator[Sink]:
    """MRC2014; voxel size, origin, kind of data, extended header and labels are the source's."""
    with (
        mrcfile.mmap(stack.path, mode="r") as source,
        mrcfile.new_mmap(path, stack.axes.shape, mrc_mode=2) as file,
    ):
        if source.extended_header.nbytes:
            file.set_extended_header(source.extended_header)
        for key in ("cella", "cellb", "origin", "ispg", "mz", "nxstart", "nystart", "nzstart", "exttyp"):
            file.header[key] = source.header[key]
        file.header.nlabl, file.header.label = source.header.nlabl, source.header.label
        if file.header.nlabl < len(file.header.label):
            file.add_label(note)
        file.reset_header_stats()  # as MRC2014 marks what is not known
        offset = file.header.nbytes + file.extended_header.nbytes
        dtype = file.data.dtype
    yield RawPixels(path, offset, dtype, stack.axes.shape)


@contextmanager
def hdf5_sink(stack: Stack, path: Path, note: str) -> Iterator[Sink]:
    """HDF5 with this one dataset, compressed as the source is; its attributes and those of its groups."""
    with h5py.File(stack.path, "r") as source, h5py.File(path, "w") as file:
        old = source[stack.dataset]
        chunks = tuple(
            1 if isinstance(part, int) else size
            for part, size in zip(stack.axes.key(0), stack.axes.shape, strict=True)
        )
        new = file.create_dataset(
            stack.dataset,
            stack.axes.shape,
            FLOAT,
            chunks=chunks,
            compression=old.compression if old.compression in ("gzip", "lzf") else None,
            shuffle=old.shuffle,
        )
        here, there = old, new
        while True:
            for key, value in here.attrs.items():
                if not isinstance(value, np.ndarray) or value.dtype != object:  # links to other datasets
                    there.attrs[key] = value
            if here.name == "/":
                break
            here, there = here.parent, there.parent
        new.attrs["skydenoise"] = note
        yield new


@contextmanager
def fits_sink(stack: Stack, path: Path, note: str) -> Iterator[Sink]:
    """FITS, not compressed: the image's cards, and the first HDU's if the image is not there."""
    with fits.open(stack.path, memmap=False) as hdus:
        index = int(stack.dataset)
        primary = fits.PrimaryHDU()
        first = fits.ImageHDU if index else fits.PrimaryHDU
        header = first(np.zeros((1,) * len(stack.axes.shape), np.float32)).header
        for number, length in enumerate(reversed(stack.axes.shape), 1):
            header[f"NAXIS{number}"] = length
        for target, source in ((primary.header, hdus[0].header), (header, hdus[index].header)):
            for card in kept_cards(source):
                target.append(card, bottom=True)
        header.append(("HISTORY", note), bottom=True)
        text = primary.header.tostring() * bool(index) + header.tostring()
    path.write_bytes(text.encode("ascii"))
    pixels = RawPixels(path, len(text), FLOAT.newbyteorder(">"), stack.axes.shape)
    with path.open("r+b") as stream:
        stream.truncate(-(-pixels.end // FITS_BLOCK) * FITS_BLOCK)
    yield pixels


@contextmanager
def tiff_sink(stack: Stack, path: Path, note: str) -> Iterator[Sink]:
    """TIFF, not compressed: of ImageJ or OME if the source is, with its resolution and the sizes it gives."""
    with tifffile.TiffFile(stack.path) as source:
        series = source.series[int(stack.dataset)]
        large = 4 * int(np.prod(series.shape)) > CLASSIC_TIFF
        colours = "S" in series.axes
        imagej = bool(source.is_imagej) and not large and not colours
        how: dict[str, Any] = {
            "resolution": series.keyframe.resolution,
            "metadata": {"axes": series.axes, **_tiff_metadata(source, imagej)},
            "photometric": "rgb"
            if series.axes.endswith("S") and series.shape[-1] in (3, 4)
            else "minisblack",
        }
        if colours:
            how["planarconfig"] = "contig" if series.axes.endswith("S") else "separate"
        if not imagej:
            how |= {"resolutionunit": series.keyframe.resolutionunit, "software": note}
        ome = bool(source.is_ome) and not imagej
        shape = series.shape
    with tifffile.TiffWriter(path, byteorder="<", bigtiff=large, imagej=imagej, ome=ome) as writer:
        place = writer.write(None, shape=shape, dtype=FLOAT, returnoffset=True, **how)
    assert place is not None  # it is for compressed pages alone
    yield RawPixels(path, place[0], FLOAT.newbyteorder("<"), stack.axes.shape)


def _tiff_metadata(source: tifffile.TiffFile, imagej: bool) -> dict[str, Any]:
    """Sizes of pixels, spacings and times, in the words of the kind of TIFF that is written."""
    if imagej:
        kept = {"spacing", "unit", "finterval", "fps", "Info", "Labels"}
        return {key: value for key, value in (source.imagej_metadata or {}).items() if key in kept}
    if not source.is_ome or source.ome_metadata is None:
        return {}
    pixels = tifffile.xml2dict(source.ome_metadata)["OME"]["Image"]
    pixels = (pixels[0] if isinstance(pixels, list) else pixels)["Pixels"]
    known = ("PhysicalSize", "TimeIncrement")
    return {key: value for key, value in pixels.items() if key.startswith(known)}


SINKS: dict[str, Callable[[Stack, Path, str], AbstractContextManager[Sink]]] = {
    ".tif": tiff_sink,
    ".tiff": tiff_sink,
    ".npy": npy_sink,
    ".mrc": mrc_sink,
    ".mrcs": mrc_sink,
    ".h5": hdf5_sink,
    ".hdf5": hdf5_sink,
    ".fits": fits_sink,
}
"""How a stack is written, by the end of the new file's name."""


def made_by(extra: str) -> str:
    """What the new file says about itself."""
    return f"skydenoise {__version__}" + (f", {extra}" if extra else "")
