"""MRC2014 of electron microscopy (Cheng et al. 2015, J. Struct. Biol. 192, 146), and what IMOD adds."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mrcfile
import numpy as np

from skydenoise.errors import SettingsError
from skydenoise.stacks.axes import Axes
from skydenoise.stacks.pixels import FilePixels, StackFile, StoredArray

BYTES, FLOATS = 0, 2
"""Modes: pixels of one byte, of float32."""
IMOD_STAMP, IMOD_PLACE = 1146047817, 40
"""What IMOD writes into bytes 153-156 of a header, 40 bytes into the field `extra2`; flags follow
(bio3d.colorado.edu/imod, mrc_format.txt)."""
SIGNED_BYTES, HALF_BYTES = 1, 16
"""Flags of IMOD: bytes are signed; a byte holds two pixels."""


@contextmanager
def open_array(path: Path, dataset: str) -> Iterator[StoredArray]:
    """Array of an MRC file: sections are frames, whichever axes mapc, mapr and maps name."""
    with mrcfile.mmap(path, mode="r") as file:
        dtype = file.data.dtype
        if file.header.mode == BYTES and _unsigned(file.header):
            dtype = np.dtype(np.uint8)
        pixels = FilePixels(path, file.data.offset, dtype, file.data.shape)
        yield StoredArray(pixels, "nzyx" if file.is_volume_stack() else "")


def _unsigned(header: Any) -> bool:
    """Whether bytes count from 0 to 255: by IMOD's flag, else by a maximum that signed bytes cannot have."""
    stamp, flags = np.frombuffer(header.extra2.tobytes(), header.dtype["nx"], 2, IMOD_PLACE)
    if stamp != IMOD_STAMP:
        return bool(header.dmax > np.iinfo(np.int8).max)
    if flags & HALF_BYTES:
        raise SettingsError("pixels of 4 bits: unpack them first, by IMOD's newstack -mode 0")
    return not flags & SIGNED_BYTES


@contextmanager
def create_like(source: StackFile, axes: Axes, path: Path, note: str) -> Iterator[FilePixels]:
    """New MRC file of float32 with the source's header, byte order, extended header; no statistics."""
    with mrcfile.mmap(source.path, mode="r") as file:
        header, extended = file.header.copy(), file.extended_header.tobytes()
    header.mode = FLOATS
    header.dmin, header.dmax, header.dmean, header.rms = 0, -1, -2, -1  # MRC2014's way to say so
    if header.nlabl < len(header.label):
        header.label[header.nlabl] = note.encode("ascii")[:80].ljust(80)
        header.nlabl += 1
    path.write_bytes(header.tobytes() + extended)
    yield FilePixels(path, path.stat().st_size, header.dtype["dmin"], axes.shape).reserved()
