"""A byte that has changed is noticed when the file is read."""

import subprocess
from pathlib import Path

import fitsio
import numpy as np
import pytest
from astropy.io import fits
from hypothesis import assume, given
from hypothesis import strategies as st

from skydenoise.config import OutputSettings
from skydenoise.io import write_survey_image
from skydenoise.io.digest import file_digest
from skydenoise.io.verified import RECORD, Fetched, read_record, verified_digest, verify_fits, write_record

PIXELS = np.random.default_rng(1).normal(0, 0.01, (120, 130)).astype(np.float32)


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("image") / "a.fits.fz"
    write_survey_image(path, PIXELS, fits.Header([("BUNIT", "nanomaggy")]), output=OutputSettings())
    return path.read_bytes()


def flipped(content: bytes, bit: int) -> bytes:
    changed = bytearray(content)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def test_whole_file_is_vouched_for(image: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.fits.fz").write_bytes(image)
    assert verify_fits(tmp_path / "a.fits.fz")


@given(st.integers(0))
def test_any_bit_is_noticed(image: bytes, tmp_path_factory: pytest.TempPathFactory, bit: int) -> None:
    path = tmp_path_factory.getbasetemp() / "flipped.fits.fz"
    bit %= 8 * len(image)
    card = image[bit // 640 * 80 : bit // 640 * 80 + 8]
    assume(card != b"CHECKSUM" or bit % 640 >= 64)  # that word alone can change: the pixels have DATASUM
    path.write_bytes(flipped(image, bit))
    with pytest.raises(OSError, match=r"damaged or no FITS file"):
        verify_fits(path)


@given(st.integers(0))
def test_any_cut_is_noticed(image: bytes, tmp_path_factory: pytest.TempPathFactory, end: int) -> None:
    path = tmp_path_factory.getbasetemp() / "cut.fits.fz"
    end %= len(image)
    path.write_bytes(image[: end - (end == 2880)])  # at 2880 it is whole, and has no image
    with pytest.raises(OSError, match=r"empty|truncated, damaged or no FITS file"):
        verify_fits(path)


@pytest.mark.parametrize("keep", ["CHECKSUM", "DATASUM", ""])
def test_either_checksum_is_enough(keep: str, tmp_path: Path) -> None:
    path = tmp_path / "a.fits"
    hdu = fits.ImageHDU(PIXELS)
    hdu.add_checksum()
    for key in {"CHECKSUM", "DATASUM"} - {keep}:
        hdu.header[key] = ""  # FITS 4.0: not defined
    if keep == "CHECKSUM":
        hdu.header["CHECKSUM"] = "0" * 16
        content = fits.HDUList([fits.PrimaryHDU(), hdu])
        content.writeto(path)
        with fitsio.FITS(str(path), "rw") as file:
            file[1].write_checksum()
    else:
        fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(path)
    assert verify_fits(path) is bool(keep)


def test_record_comes_back_and_is_what_sha256sum_reads(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    files = {
        "a": Fetched(file_digest(tmp_path / "a"), "survey", "3 Wed, 21 Oct 2026 07:28:00 GMT"),
        "b": Fetched("0" * 64, "", ""),
    }
    write_record(tmp_path, files)
    assert read_record(tmp_path) == files
    told = subprocess.run(
        ["sha256sum", "--check", "--ignore-missing", RECORD], cwd=tmp_path, capture_output=True, text=True
    )
    assert told.stdout == "a: OK\n"
    assert read_record(tmp_path / "none") == {}
    (tmp_path / RECORD).write_bytes(b"\xff\x00")
    assert read_record(tmp_path) == {}


def test_digest_of_what_was_fetched(image: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.fits.fz"
    path.write_bytes(image)
    assert verified_digest(path) == file_digest(path)
    path.write_bytes(b"no FITS file, but as it was fetched")
    write_record(tmp_path, {path.name: Fetched(file_digest(path), "survey", "")})
    assert verified_digest(path) == file_digest(path)
    path.write_bytes(image)
    with pytest.raises(
        OSError, match=r"changed since it was fetched: its sha256 is not the one in fetched\.sha256"
    ):
        verified_digest(path)
