"""One image in one compressed FITS file, as the survey stores it: cards, compression, checksums."""

import io
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import fitsio
import numpy as np
from astropy.io import fits

from skydenoise.config import OutputSettings
from skydenoise.io.atomic import atomic_path
from skydenoise.io.memory import too_large

TILE = 100
"""Edge of a compression tile in pixels; the survey's ZTILE1 and ZTILE2."""

MOST_ROWS = 10
"""Of a tile that is compressed by GZIP."""

STRUCTURAL = re.compile(
    r"SIMPLE|XTENSION|BITPIX|NAXIS\d*|EXTEND|PCOUNT|GCOUNT|GROUPS|BSCALE|BZERO|BLANK|CHECKSUM|DATASUM|END|THEAP"
    r"|TFIELDS|T(TYPE|FORM|UNIT|NULL|SCAL|ZERO|DISP|DIM)\d+"
    r"|Z(IMAGE|SIMPLE|EXTEND|TENSION|BITPIX|NAXIS\d*|PCOUNT|GCOUNT|BLOCKED|HECKSUM|DATASUM|TILE\d+|CMPTYPE"
    r"|NAME\d+|VAL\d+|QUANTIZ|DITHER0|BLANK|MASKCMP|SCALE|ZERO)"
)
"""Cards that describe how pixels lie in the file (FITS 4.0, sections 4.4.1, 7.3 and 10.1): never copied."""


def kept_cards(header: fits.Header) -> list[fits.Card]:
    """Cards of `header` that say something about the image, in order, letter by letter.

    COMMENT, HISTORY, HIERARCH, CONTINUE and blank cards are among them; STRUCTURAL ones are not.
    """
    return [
        card
        for card in header.cards
        if not STRUCTURAL.fullmatch(card.keyword)
        and not (card.keyword == "EXTNAME" and card.value == "COMPRESSED_IMAGE")
    ]


def check_cards(header: fits.Header) -> None:
    """Raise OSError that names the first card that is damaged: every later use of it would fail."""
    for number, card in enumerate(header.cards, 1):
        name = ""
        try:
            name = card.keyword
            _ = card.value
        except Exception as error:  # of many kinds, by what is damaged
            raise OSError(f"damaged header: card {number}, {name or 'without a name'}") from error


def write_survey_image(path: Path, data: np.ndarray, header: fits.Header, *, output: OutputSettings) -> None:
    """Write one image in the survey's form: HDU 0 empty, HDU 1 compressed; whole or not at all.

    Every card of `header` is kept in its order except those in STRUCTURAL; CHECKSUM and DATASUM are made
    anew and hold for the BinTable view (`astropy.io.fits.open(..., disable_image_compression=True)`). The
    same input gives the same bytes: the dither follows from the pixels alone.

    path : usually *.fits.fz; its folder is made
    data : (y, x); float32 (NaN allowed; stored to within output.step / 2, zeros exactly, or losslessly), or
        int16 or int32 (stored exactly)
    header : cards to keep; may be empty
    output : compression and quantisation step, in the units of `data`

    Raises ValueError if `data` is not such an image, or holds an infinite pixel, and OSError if the file
    cannot be written, for instance because the disk is full.
    """
    if data.ndim != 2 or data.dtype not in (np.float32, np.int16, np.int32):
        raise ValueError(f"(y, x) float32, int16 or int32 pixels expected, not {data.dtype} {data.shape}")
    if np.isinf(data).any():
        raise ValueError("infinite pixels cannot be stored")
    write_compressed(path, data, header, _packing(data, output))


def write_compressed(path: Path, data: np.ndarray, header: fits.Header, how: Mapping[str, Any]) -> None:
    """Write one image as `write_survey_image` does, compressed as `fitsio.FITS.write` takes it."""
    with fitsio.FITS("mem://", "rw") as file:
        file.write(None)
        file.write(np.ascontiguousarray(data), **how)
        stream = io.BytesIO(bytes(file.read_raw()))
    content = io.BytesIO()
    with fits.open(stream, disable_image_compression=True) as hdus:
        _append_cards(hdus[1].header, kept_cards(header))
        for hdu in hdus:
            hdu.add_checksum(when="HDU checksum")  # astropy's own comment holds the time of writing
        hdus.writeto(content, output_verify="ignore")
    with atomic_path(path) as partial:
        partial.write_bytes(content.getbuffer())  # Python's own errors if the disk is full


def _packing(data: np.ndarray, output: OutputSettings) -> dict[str, Any]:
    """How pixels are compressed.

    Floats without loss have ZQUANTIZ = 'NONE', without which DS9 takes them for integers; and tiles of whole
    rows that divide the height, for DS9 8.4 cannot unpack a smaller last tile of GZIP.
    """
    if data.dtype.kind == "f" and output.compression == "lossless":
        rows = max(rows for rows in range(1, MOST_ROWS + 1) if data.shape[0] % rows == 0)
        return {"compress": "GZIP_2", "qlevel": 0, "tile_dims": (rows, data.shape[1])}
    how: dict[str, Any] = {"compress": "RICE", "tile_dims": tuple(min(TILE, edge) for edge in data.shape)}
    if data.dtype.kind == "f":
        how |= {
            "qlevel": -output.step,  # negative: absolute, in units of the pixels
            "qmethod": "SUBTRACTIVE_DITHER_2",  # keeps exact zeros
            "dither_seed": _dither_seed(data),
        }
    return how


def _dither_seed(data: np.ndarray) -> int:
    """Checksum of the first tile, 1 to 10000, so that the same pixels give the same bytes.

    What cfitsio makes of a tile with a NaN is another number than other writers'.
    """
    first = np.ascontiguousarray(data[:TILE, :TILE])
    return int(first.view(np.uint8).sum(dtype=np.uint64)) % 10_000 + 1


def _append_cards(header: fits.Header, cards: list[fits.Card]) -> None:
    names = {card.keyword for card in cards}
    if "EXTNAME" in names:
        header.remove("EXTNAME", ignore_missing=True)
    if any("CONTINUE" in card.image[80:] for card in cards) and "LONGSTRN" not in names:
        header.append(("LONGSTRN", "OGIP 1.0", "long strings are continued"), bottom=True)
    for card in cards:
        header.append(card, bottom=True)


def image_pixels(path: Path) -> int:
    """Pixels of the largest image in a file, by its headers; raises OSError if it is empty or damaged."""
    if path.stat().st_size == 0:
        raise OSError("the file is empty")
    try:
        with fitsio.FITS(str(path)) as file:
            return max(math.prod(hdu.get_info().get("dims", [0])) for hdu in file)
    except (OSError, ValueError) as error:
        raise OSError("truncated, damaged or no FITS file") from error


def read_survey_image(
    path: Path, name: str = "", *, blank_as_nan: bool = False, rounded_to_zero: bool = False
) -> tuple[np.ndarray, fits.Header]:
    """Pixels (y, x) and header of the image whose EXTNAME is `name`, or else of the first image.

    The header has NAXIS, NAXIS1 and NAXIS2 of the image first, then every kept card in its order.

    blank_as_nan : makes integers that a BLANK card names, for pixels without data, NaN; masks want them kept
    rounded_to_zero : makes pixels 0 that the file cannot tell from 0, as inverse variances want it; see
        `_round_to_zero`

    Raises OSError if there is no such file, it is empty, truncated or damaged, or holds no 2-D image, or one
    that does not fit into the job's memory.
    """
    if cause := too_large(image_pixels(path)):
        raise OSError(cause)
    try:
        with fitsio.FITS(str(path)) as file:
            hdu = image_hdu(file, name)
            offsets, number = hdu.get_offsets(), hdu.get_extnum()
            data = hdu.read()
    except LookupError as error:
        raise OSError(f"{error}; the file may be truncated") from None
    except (OSError, ValueError) as error:
        raise OSError("truncated, damaged or no FITS file") from error
    if data.ndim != 2:
        raise OSError(f"the image has {data.ndim} axes, not 2")
    with path.open("rb") as stream:
        stream.seek(offsets["header_start"])
        stored = fits.Header.fromstring(stream.read(offsets["data_start"] - offsets["header_start"]))
    check_cards(stored)
    axes = [("NAXIS", 2), ("NAXIS1", data.shape[1]), ("NAXIS2", data.shape[0])]
    header = fits.Header([*axes, *kept_cards(stored)])
    data = np.asarray(data, data.dtype.newbyteorder("="))
    if rounded_to_zero and "ZCMPTYPE" in stored:
        try:
            _round_to_zero(data, path, number, stored)
        except Exception as error:  # readers meet damaged bytes with errors of every kind
            raise OSError(f"damaged tiles ({' '.join(str(error).split())[:100]})") from error
    return _without_blanks(data, stored) if blank_as_nan else data, header


def image_hdu(file: fitsio.FITS, name: str) -> Any:
    """The image whose EXTNAME is `name` (in any case), or else the first; raises LookupError without one."""
    images = [hdu for hdu in file if hdu.get_exttype() == "IMAGE_HDU" and hdu.has_data()]
    if not images:
        raise LookupError("there is no image")
    named = (hdu for hdu in images if name and hdu.get_extname().upper() == name.upper())
    return next(named, images[0])


def _round_to_zero(data: np.ndarray, path: Path, number: int, stored: fits.Header) -> None:
    """Make pixels of `data` 0 that lie within half a quantisation step of it.

    Only SUBTRACTIVE_DITHER_2 keeps zeros. With SUBTRACTIVE_DITHER_1 they come back as anything up to half a
    step, ZSCALE of their tile, above or below (FITS 4.0, section 10.2); without dither, off by rounding.
    """
    with fits.open(path, disable_image_compression=True) as hdus:
        table = hdus[number]
        if "ZSCALE" in stored:
            steps = np.full(len(table.data), stored["ZSCALE"])
        elif "ZSCALE" in table.columns.names:
            steps = np.array(table.data["ZSCALE"])
        else:
            return
    width, height = stored.get("ZTILE1", data.shape[1]), stored.get("ZTILE2", 1)
    tiles = -(-data.shape[0] // height), -(-data.shape[1] // width)
    for row, row_steps in enumerate(steps.reshape(tiles)):
        part = data[row * height : (row + 1) * height]
        largest = np.repeat(row_steps, width)[: data.shape[1]] * (0.5 + 1e-6)
        part[np.abs(part) <= largest] = 0


def _without_blanks(data: np.ndarray, stored: fits.Header) -> np.ndarray:
    """The same pixels, NaN where the integer in the file is BLANK (FITS 4.0, sections 4.4.2.5 and 10.1.2)."""
    blank, step = stored.get("ZBLANK", stored.get("BLANK")), stored.get("BSCALE", 1)
    if not isinstance(blank, int) or stored.get("ZBITPIX", stored["BITPIX"]) < 0:
        return data
    missing = np.abs(data.astype(np.float64) - (blank * step + stored.get("BZERO", 0))) < abs(step) / 2
    return np.where(missing, np.float32(np.nan), data.astype(np.float32))
