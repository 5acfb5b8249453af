"""FITS: numbers come scaled, blank pixels are no data, and cards come back."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from skydenoise.errors import StepError
from skydenoise.stacks.pixels import StackFile
from skydenoise.stacks.stack import open_stack
from tests.stacks.builders import copy, make_stack


def save_as(folder: Path, suffix: str, hdu: fits.PrimaryHDU | fits.ImageHDU, checksum: bool = False) -> Path:
    """Write an image plain, in gzip or compressed."""
    path = folder / f"in{suffix}"
    if suffix == ".fits.fz":
        hdu = fits.CompImageHDU(hdu.data, hdu.header)
    hdu.writeto(folder / "plain.fits", checksum=checksum)
    content = (folder / "plain.fits").read_bytes()
    path.write_bytes(gzip.compress(content) if suffix == ".fits.gz" else content)
    return path


@pytest.mark.parametrize("suffix", [".fits", ".fits.gz"])
def test_numbers_scaled_in_the_file_come_scaled(suffix: str, tmp_path: Path) -> None:
    stack = make_stack(3, 12, 10, dtype="uint16") % 10_000
    scaled = fits.PrimaryHDU(stack.astype(np.float32))
    scaled.scale("int16", bscale=0.5, bzero=10)
    for name, hdu in {"unsigned": fits.PrimaryHDU(stack), "scaled": scaled}.items():
        (tmp_path / name).mkdir()
        with open_stack(StackFile(save_as(tmp_path / name, suffix, hdu))) as opened:
            np.testing.assert_array_equal(opened.read(1)[0], stack[1])


@pytest.mark.parametrize("suffix", [".fits", ".fits.gz", ".fits.fz"])
def test_blank_pixels_are_no_data(suffix: str, tmp_path: Path) -> None:
    stack = make_stack(3, 12, 10)
    stack[1, 4:6, 4:6] = -32768
    path = save_as(tmp_path, suffix, fits.PrimaryHDU(stack, fits.Header({"BLANK": -32768})))
    with open_stack(StackFile(path)) as opened:
        frame = opened.read(1)[0]
        assert np.isnan(frame[4:6, 4:6]).all()
        assert np.isnan(frame).sum() == 4
        np.testing.assert_array_equal(frame[:4], stack[1, :4])
    copy(path, tmp_path / "out.fits")
    written, header = fits.getdata(tmp_path / "out.fits", header=True)
    assert np.isnan(written[1, 4:6, 4:6]).all()
    assert "BLANK" not in header


@pytest.mark.parametrize("suffix", [".fits", ".fits.gz", ".fits.fz"])
def test_checksums_in_the_file_are_held(suffix: str, tmp_path: Path) -> None:
    hdu = fits.PrimaryHDU(make_stack(3, 12, 10))
    path = save_as(tmp_path, suffix, hdu, checksum=True)
    with open_stack(StackFile(path)) as opened:
        np.testing.assert_array_equal(opened.read(1)[0], hdu.data[1])
    content = bytearray(gzip.decompress(path.read_bytes()) if suffix == ".fits.gz" else path.read_bytes())
    content[content.rindex(b"END     ") + 2880] ^= 1
    path.write_bytes(gzip.compress(content) if suffix == ".fits.gz" else content)
    with (
        pytest.raises(StepError, match=r"in\.fits.*: its (CHECKSUM|DATASUM) does not hold"),
        open_stack(StackFile(path)),
    ):
        pass


def test_cards_are_kept(tmp_path: Path) -> None:
    header = fits.Header([("EXPTIME", 0.5, "s"), ("BUNIT", "electron"), ("BSCALE", 2.0)])
    primary = fits.PrimaryHDU(header=fits.Header([("TELESCOP", "Titan")]))
    cube = fits.ImageHDU(make_stack(3, 8, 9, dtype="float32"), header, name="SCI")
    fits.HDUList([primary, cube]).writeto(tmp_path / "in.fits")
    copy(tmp_path / "in.fits", tmp_path / "out.fits")
    assert (tmp_path / "out.fits").stat().st_size % 2880 == 0
    with fits.open(tmp_path / "out.fits") as hdus:
        hdus.verify("exception")
        assert hdus[0].header["TELESCOP"] == "Titan"
        written = hdus["SCI"].header
        assert (written["EXPTIME"], written["BUNIT"], written["NAXIS3"]) == (0.5, "electron", 3)
        assert "BSCALE" not in written
        assert "model 1234" in str(written["HISTORY"])
        assert hdus["SCI"].data.shape == (3, 8, 9)
