"""What vouches for a file."""

import gzip
import hashlib
import os
import re
from contextlib import suppress
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import fitsio
import numpy as np
import pytest
from astropy.io import fits
from survey_server import (
    BRICKS,
    IMAGE,
    QUICK,
    SUMS,
    Fault,
    Replaced,
    Status,
    SurveyServer,
    WrongBytes,
    contents,
    make_survey,
    place,
)

from skydenoise import paths
from skydenoise.io.digest import file_digest
from skydenoise.survey.checks import Unpacker, check_fits, parse_checksums
from skydenoise.survey.download import UnfitError
from skydenoise.survey.fetch import fetch_bricks


class Deadly:
    """In place of a file on which cfitsio crashes: whoever unpickles it dies."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os._exit, (9,)


def test_reader_that_crashes_costs_its_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "image.fits"
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(np.ones((4, 4), np.float32))]).writeto(path)
    with Unpacker() as unpacker:
        with pytest.raises(UnfitError, match="damaged"):
            unpacker.check(Deadly(), "")  # type: ignore[arg-type]
        unpacker.check(path, "")


@pytest.mark.parametrize(
    ("published", "sums", "apart"),
    [(True, "right", 0), (True, "none", 0), (True, "wrong", 1), (False, "right", 0), (False, "none", 1)],
)
def test_pixels_are_read_apart_where_checksums_leave_doubt(
    published: bool, sums: str, apart: int, tmp_path: Path
) -> None:
    path = tmp_path / "image.fits"
    hdu = fits.ImageHDU(np.ones((4, 4), np.float32))
    if sums != "none":
        hdu.add_checksum()
    if sums == "wrong":
        hdu.header["DATASUM"] = "1"
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(path)
    unpacker = Mock()
    check_fits(path, "", file_digest(path) if published else None, 1, unpacker)
    assert unpacker.check.call_count == apart


@pytest.mark.parametrize("published", [True, False])
def test_a_file_in_gzip_is_refused_before_it_is_unpacked(
    published: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "image.fits.fz"
    path.write_bytes(gzip.compress(b"SIMPLE" + bytes(10**6)))
    monkeypatch.setattr(fitsio, "FITS", reader := Mock())
    with pytest.raises(UnfitError, match="no FITS file"):
        check_fits(path, "", file_digest(path) if published else None, 1, Mock())
    assert not reader.called


def spoilt(path: Path) -> bytes:
    """Content of a file with one bit of its packed pixels changed, which can be unpacked all the same."""
    for distance in range(3000, 9000):
        content = bytearray(path.read_bytes())
        content[-distance] ^= 1
        with suppress(Exception), fits.open(BytesIO(content)) as hdus:
            assert np.isfinite(hdus[1].data).all()
            return bytes(content)
    raise AssertionError("every bit counts")


@pytest.mark.parametrize("brick", ["1410m032", "0001p000", "0004m002", "3599p002", "1800p900", "0000m900"])
@pytest.mark.parametrize("sums", ["beside", "relative", "pipeline"])
def test_checksums_of_every_release_are_found(sums: str, brick: str, tmp_path: Path) -> None:
    survey = make_survey(tmp_path / "mirror", (brick,), "g", sums=sums)
    (good,) = fetch_bricks([brick], "g", survey, tmp_path / "raw", QUICK)
    assert (good.state, good.files, good.unverified) == ("done", 3, 0)
    image = next((tmp_path / "mirror").rglob("*image-g*"))
    image.write_bytes(spoilt(image))
    (bad,) = fetch_bricks([brick], "g", survey, tmp_path / "other", QUICK)
    assert f"brick {brick}, band g, {image.name}: sha256" in bad.reason


def test_checksum_lines() -> None:
    lines = f"{'a' * 64}  one.fits.fz\n{'B' * 64} *south/coadd/141/two.fits.fz\r\n\n"
    assert parse_checksums(lines.encode()) == {"one.fits.fz": "a" * 64, "two.fits.fz": "b" * 64}
    for content in (b"", b"\n", b"<html>", b"a" * 63 + b"  one.fits.fz", b"\xff\xfe"):
        with pytest.raises(UnfitError, match="sha256sum file"):
            parse_checksums(content)


@pytest.mark.parametrize("fault", [Status(404), Status(403), WrongBytes()])
def test_what_nothing_vouches_for_is_counted_and_named(
    fault: Fault, server: SurveyServer, survey: paths.Survey, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server.faults[SUMS] = [fault]
    server.for_ever.add(SUMS)
    first, second = fetch_bricks(BRICKS, "grz", survey, tmp_path, QUICK)
    assert [(e.state, e.unverified) for e in (first, second)] == [("done", 7), ("done", 0)]
    assert re.search(rf"1410m032: the survey has no checksum of .*{IMAGE}.* \({SUMS}: ", caplog.text)
    assert re.search(rf"1410m032: no checksum vouches for .*{IMAGE}", caplog.text)
    again, _ = fetch_bricks(BRICKS, "grz", survey, tmp_path, QUICK)
    assert (again.state, again.unverified, again.sha256) == ("kept", 7, first.sha256)


@pytest.mark.parametrize("fits_sums", [False, True])
def test_file_that_the_sum_file_does_not_list(fits_sums: bool, tmp_path: Path) -> None:
    survey = make_survey(tmp_path / "mirror", BRICKS, fits_sums=fits_sums)
    sums = next((tmp_path / "mirror").rglob(SUMS))
    sums.write_text("".join(line for line in sums.read_text().splitlines(True) if IMAGE not in line))
    first, _ = fetch_bricks(BRICKS, "grz", survey, tmp_path / "raw", QUICK)
    assert (first.state, first.unverified) == ("done", 0 if fits_sums else 1)


def test_checksums_in_the_file_are_always_checked(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    survey = make_survey(tmp_path / "mirror", BRICKS, sums="none", fits_sums=True)
    image = next((tmp_path / "mirror").rglob(IMAGE))
    image.write_bytes(spoilt(image))
    bad, good = fetch_bricks(BRICKS, "grz", survey, tmp_path / "raw", QUICK)
    assert (bad.state, good.state, good.unverified) == ("skipped", "done", 0)
    assert "CHECKSUM does not hold" in bad.reason
    sums = place(tmp_path / "mirror", survey, survey.checksums(BRICKS[0]))
    files = sorted(image.parent.iterdir())
    sums.write_text("".join(f"{hashlib.sha256(f.read_bytes()).hexdigest()}  {f.name}\n" for f in files))
    (published,) = fetch_bricks(BRICKS[:1], "grz", survey, tmp_path / "raw", QUICK)
    assert published.state == "done"
    assert f"{IMAGE} is as the survey has it, but" in caplog.text


@pytest.mark.parametrize("fits_sums", [False, True])
def test_file_that_is_replaced_while_it_comes_is_never_a_mixture(fits_sums: bool, tmp_path: Path) -> None:
    for version in ("old", "new"):
        make_survey(tmp_path / version, BRICKS[:1], "r", sums="none", fits_sums=fits_sums)
    new = next((tmp_path / "new").rglob(IMAGE))
    new.write_bytes(spoilt(new))
    with fitsio.FITS(str(new), "rw") as file:
        file[1].write_key("REPLACED", 1)
        if fits_sums:
            file[1].write_checksum()
    with SurveyServer(tmp_path / "old") as server:
        survey = paths.Survey(server.url, "dr9", "south")
        server.faults[IMAGE] = [Replaced(new.read_bytes())]
        fetch_bricks(BRICKS[:1], "r", survey, tmp_path / "raw", QUICK)
    assert contents(tmp_path / "raw")[IMAGE] == new.read_bytes()


def test_file_that_changed_in_the_cache_is_fetched_again(tmp_path: Path) -> None:
    survey = make_survey(tmp_path / "mirror", BRICKS, sums="none")
    fetch_bricks(BRICKS, "grz", survey, tmp_path / "raw", QUICK)
    image = next((tmp_path / "raw").rglob(IMAGE))
    image.write_bytes(spoilt(image))
    assert [e.state for e in fetch_bricks(BRICKS, "grz", survey, tmp_path / "raw", QUICK)] == ["done", "kept"]
    assert contents(tmp_path / "raw") == contents(tmp_path / "mirror")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (0, "the file is empty"),
        (-2880, "truncated"),
        (4000, "truncated"),
        (b"<html>no</html>", "no FITS file"),
    ],
)
def test_broken_fits_is_found_without_checksums(content: int | bytes, reason: str, tmp_path: Path) -> None:
    survey = make_survey(tmp_path / "mirror", BRICKS, sums="none")
    broken = next((tmp_path / "mirror").rglob(IMAGE))
    broken.write_bytes(content if isinstance(content, bytes) else broken.read_bytes()[:content])
    bad, good = fetch_bricks(BRICKS, "grz", survey, tmp_path / "raw", QUICK)
    assert (bad.state, good.state) == ("skipped", "done")
    assert bad.reason.startswith(f"brick 1410m032, band r, {IMAGE}: ")
    assert reason in bad.reason
    assert IMAGE not in contents(tmp_path / "raw")


def test_no_image_in_hdu_1_although_the_checksum_fits(tmp_path: Path) -> None:
    survey = make_survey(tmp_path / "mirror", BRICKS[:1])
    broken = next((tmp_path / "mirror").rglob(IMAGE))
    sums = next((tmp_path / "mirror").rglob(SUMS))
    old = hashlib.sha256(broken.read_bytes()).hexdigest()
    broken.write_bytes(broken.read_bytes()[:2880])
    sums.write_text(sums.read_text().replace(old, hashlib.sha256(broken.read_bytes()).hexdigest()))
    (bad,) = fetch_bricks(BRICKS[:1], "grz", survey, tmp_path / "raw", QUICK)
    assert "there is no image" in bad.reason


def test_pixels_that_are_too_many_are_never_unpacked(tmp_path: Path) -> None:
    survey = make_survey(tmp_path / "mirror", BRICKS[:1], sums="none")
    image = next((tmp_path / "mirror").rglob("*image-g*"))
    image.unlink()
    with fitsio.FITS(str(image), "rw") as file:
        file.write(None)
        file.write(np.zeros((800, 800), np.float32), compress="RICE", qlevel=-1e-4)
    (bad,) = fetch_bricks(BRICKS[:1], "g", survey, tmp_path / "raw", replace(QUICK, largest_file=1))
    assert "3 MB of pixels are more than survey.largest_file: 1" in bad.reason
