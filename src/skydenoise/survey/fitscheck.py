"""Is a FITS file whole? Found from its headers, without reading the pixels."""

import math
from pathlib import Path

from astropy.io import fits

from skydenoise.survey.download import UnfitError

BLOCK = 2880
"""Length in bytes that headers and data are padded to (FITS 4.0, section 3.1)."""


def check_fits(path: Path, *, pixels: bool) -> None:
    """Check that a file is a whole FITS file with a 2-D image, compressed or not, in HDU 1.

    path : the file
    pixels : whether to read and decompress every pixel too, which finds damage that the headers do not show

    Raises
    ------
    UnfitError : it is not
    FileNotFoundError : there is no such file
    """
    if path.stat().st_size == 0:
        raise UnfitError("the file is empty")
    try:
        headers = _headers(path)
        if pixels:
            fits.getdata(path, 1)
    except UnfitError:
        raise
    except Exception as error:  # readers meet damaged bytes with errors of every kind
        raise UnfitError(f"truncated or no FITS file ({' '.join(str(error).split())[:100]})") from error
    if len(headers) < 2 or _image_axes(headers[1]) != 2:
        raise UnfitError("no 2-D image in HDU 1")


def _headers(path: Path) -> list[fits.Header]:
    """Header of each HDU; raises UnfitError if the file is shorter than they say."""
    size, end, headers = path.stat().st_size, 0, []
    with path.open("rb") as stream:
        while end < size:
            stream.seek(end)
            headers.append(fits.Header.fromfile(stream))
            end = stream.tell() + _data_length(headers[-1])
            if end > size:
                raise UnfitError(f"truncated: {size} bytes of at least {end}")
    return headers


def _data_length(header: fits.Header) -> int:
    """Bytes of a HDU's data with padding (FITS 4.0, equation 2)."""
    axes = [header[f"NAXIS{axis}"] for axis in range(1, header["NAXIS"] + 1)]
    values = header.get("GCOUNT", 1) * (header.get("PCOUNT", 0) + math.prod(axes)) if axes else 0
    return math.ceil(abs(header["BITPIX"]) // 8 * values / BLOCK) * BLOCK


def _image_axes(header: fits.Header) -> int:
    """Axes of the image in a HDU, 0 if it holds none."""
    if header.get("ZIMAGE", False):
        return int(header["ZNAXIS"])
    return int(header["NAXIS"]) if header.get("XTENSION", "").strip() == "IMAGE" else 0
