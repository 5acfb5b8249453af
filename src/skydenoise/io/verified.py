"""Is a file still what it was? Told by the digest noted when it was fetched, or by its own FITS checksums."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import fitsio
import numpy as np
from astropy.io import fits

from skydenoise.io.atomic import write_text
from skydenoise.io.digest import file_digest

RECORD = "fetched.sha256"
"""In a brick's folder, once it is complete: what `sha256sum -c` reads; comments say what else is known."""

LINES = re.compile(r"# vouched for by: (\w*); version: (.*)\n([0-9a-f]{64})  (.+)\n")
PLACE = re.compile(r"# from: (.+)\n")
ABSENT = re.compile(r"# not at the survey: (.+)\n")

PART = 2**24
"""Bytes that are summed at a time."""

MODULUS = 2**32 - 1
"""Of sums of 32-bit words in ones' complement (FITS 4.0, appendix J)."""


@dataclass(frozen=True)
class Fetched:
    """What is known of a file that was fetched, or asked for.

    sha256 : of its bytes; "" if the survey has no such file
    vouched : whose checksum says that they are right: "survey", "file" (those in it) or "" (nobody's)
    version : size and date, or ETag, of the survey's file; "" of one that was there already
    """

    sha256: str
    vouched: str
    version: str


ABSENT_FILE = Fetched("", "", "")


def write_record(folder: Path, files: Mapping[str, Fetched], place: str = "") -> None:
    """Note what was fetched into `folder`, by file name, what the survey has not, and where it came from."""
    lines = [f"# from: {place}\n"] if place else []
    lines += [
        f"# vouched for by: {file.vouched}; version: {file.version}\n{file.sha256}  {name}\n"
        if file.sha256
        else f"# not at the survey: {name}\n"
        for name, file in sorted(files.items())
    ]
    write_text(folder / RECORD, "".join(lines))


def read_place(folder: Path) -> str:
    """Where `write_record` says that the files came from; "" if it does not say."""
    match = PLACE.search(_text(folder))
    return match[1] if match else ""


def _text(folder: Path) -> str:
    try:
        return (folder / RECORD).read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ""


def read_record(folder: Path) -> dict[str, Fetched]:
    """What `write_record` noted; nothing if it was never called, or did not write what is there."""
    text = _text(folder)
    found = {name: Fetched(sha256, *known) for *known, sha256, name in LINES.findall(text)}
    return found | dict.fromkeys(ABSENT.findall(text), ABSENT_FILE)


def verified_digest(path: Path) -> str:
    """SHA-256 of a file in a brick's raw folder, once its bytes are found to be what was fetched.

    A file that nobody has fetched (imported, simulated, put there by hand) is held against its own FITS
    checksums, if it has any. 0.06 s for the seven files of a brick with SHA instructions, 0.3 s without.

    Raises OSError if the file is not there, or a byte of it has changed.
    """
    digest = file_digest(path)
    fetched = read_record(path.parent).get(path.name, ABSENT_FILE)
    if not fetched.sha256:
        verify_fits(path)
    elif fetched.sha256 != digest:
        raise OSError(f"changed since it was fetched: its sha256 is not the one in {RECORD}")
    return digest


def verify_fits(path: Path) -> bool:
    """Hold every HDU of a FITS file against its CHECKSUM and DATASUM (FITS 4.0, section 4.4.2.7).

    Nothing is decompressed: 5 ms for a brick's image.

    Returns whether each HDU that has data has one of the two. Raises OSError if the file is not there, empty,
    truncated or no FITS file, or if a checksum does not hold.
    """
    size = path.stat().st_size
    if size == 0:
        raise OSError("the file is empty")
    try:
        if not begins_as_fits(path):
            raise ValueError("it does not begin with SIMPLE")
        with fitsio.FITS(str(path)) as file:
            places = [hdu.get_offsets() for hdu in file]
        vouched = sums_hold(path, [(place["data_start"], place["data_end"]) for place in places])
        if places[-1]["data_end"] < size:
            raise ValueError("its last bytes belong to no HDU")
    except Exception as error:  # readers meet damaged bytes with errors of every kind
        if isinstance(error, MemoryError) or getattr(error, "errno", None):
            raise
        raise OSError(f"truncated, damaged or no FITS file ({' '.join(str(error).split())[:100]})") from error
    return all(vouched)


def begins_as_fits(path: Path) -> bool:
    """Whether a file is FITS itself: cfitsio would unpack one in gzip, of whatever name, into memory."""
    with path.open("rb") as stream:
        return stream.read(6) == b"SIMPLE"


def intact_header(path: Path) -> fits.Header | None:
    """Header of HDU 1 as it stands in the file, or None unless checksums vouch for every byte of the file."""
    try:
        if not verify_fits(path):
            return None
        with fits.open(path, disable_image_compression=True) as hdus:
            return hdus[1].header.copy()
    except (OSError, IndexError):
        return None


def sums_hold(path: Path, places: Iterable[tuple[int, int]]) -> list[bool]:
    """Whether checksums vouch for each HDU, False if it has data but none; ValueError if they do not hold.

    places : where the data of each HDU begin and end, in bytes, in their order and without a gap
    """
    with path.open("rb") as stream:
        return [_holds(stream, start - stream.tell(), end - start) for start, end in places]


def _holds(stream: BinaryIO, header_bytes: int, data_bytes: int) -> bool:
    content = stream.read(header_bytes)
    data = 0
    for start in range(0, data_bytes, PART):
        part = stream.read(min(PART, data_bytes - start))
        if len(part) < min(PART, data_bytes - start):
            raise ValueError(f"the file ends {data_bytes - start - len(part)} bytes early")
        data += int(np.frombuffer(part, ">u4").sum(dtype=np.uint64))
    whole = data + int(np.frombuffer(content, ">u4").sum(dtype=np.uint64))
    header = fits.Header.fromstring(content)
    checksum, datasum = (str(header.get(key, "")).strip() for key in ("CHECKSUM", "DATASUM"))
    if checksum.strip("0") and whole % MODULUS:
        raise ValueError("its CHECKSUM does not hold")
    if datasum and (data - int(datasum)) % MODULUS:
        raise ValueError("its DATASUM does not hold")
    return bool(checksum.strip("0") or datasum or not data_bytes)
