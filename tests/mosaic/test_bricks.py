"""mosaic: bricks that are bad, absent or lack the band cost no other, and the headers say what was joined."""

import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from mosaic_bricks import SIZE, brick_wcs, make, text_header, write
from small_brick import LOSSLESS

from skydenoise.config import MosaicSettings
from skydenoise.errors import SettingsError, StepError
from skydenoise.io import write_survey_image
from skydenoise.mosaic import MosaicInput, common_grid


def test_header_says_what_it_is(inputs: list[MosaicInput], tmp_path: Path) -> None:
    make(inputs, tmp_path)
    for name, unit in (("mosaic", "nanomaggy"), ("invvar", "1/nanomaggy^2")):
        header = fits.getheader(tmp_path / f"{name}.fits")
        assert header["BUNIT"] == unit
        assert (header["MAGZERO"], header["FILTER"], header["SDMODEL"]) == (22.5, "g", "abc")
        assert header["NBRICKS"] == 4
        assert list(header["HISTORY"]) == [f"brick 150{index}p600" for index in range(4)]


@pytest.mark.skipif(shutil.which("fitsverify") is None, reason="fitsverify is not installed")
def test_fitsverify_has_no_complaint(inputs: list[MosaicInput], tmp_path: Path) -> None:
    make(inputs, tmp_path)
    for name in ("mosaic.fits", "invvar.fits"):
        done = subprocess.run(
            ["fitsverify", "-q", name], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert "verification OK" in done.stdout


def test_no_brick_at_all_or_none_inside(inputs: list[MosaicInput], tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no brick to make a mosaic of"):
        make([], tmp_path)
    elsewhere = text_header(brick_wcs(200, -30), (50, 50), tmp_path / "elsewhere.hdr")
    with pytest.raises(SettingsError, match="none of the 4 bricks touches it"):
        make(inputs, tmp_path, MosaicSettings(wcs=elsewhere))


def test_bricks_that_lack_the_band_have_their_place_and_no_weight(
    inputs: list[MosaicInput], tmp_path: Path
) -> None:
    lacking = [replace(item, image=None, invvar=tmp_path / "none", place=item.image) for item in inputs]
    whole, weight, wcs = make(inputs, tmp_path)
    image, invvar, same = make([*lacking[:1], *inputs[1:]], tmp_path)
    assert image.shape == whole.shape
    assert same.to_header() == wcs.to_header()
    assert 0 < (invvar > 0).sum() < (weight > 0).sum()
    history = str(fits.getheader(tmp_path / "mosaic.fits")["HISTORY"])
    assert f"not observed in this band: {lacking[0].brick}" in history
    image, invvar, _ = make(lacking, tmp_path)
    assert image.shape == whole.shape
    assert not image.any()
    assert not invvar.any()


def cut(item: MosaicInput) -> None:
    item.invvar.write_bytes(item.invvar.read_bytes()[:6000])


def empty(item: MosaicInput) -> None:
    item.image.write_bytes(b"")


def flip_a_bit(item: MosaicInput) -> None:
    content = bytearray(item.image.read_bytes())
    content[len(content) * 2 // 3] ^= 4
    item.image.write_bytes(content)


def unknown_projection(item: MosaicInput) -> None:
    header = fits.getheader(item.image, 1)
    header["CTYPE1"], header["CTYPE2"] = "RA---XYZ", "DEC--XYZ"
    write_survey_image(item.image, np.ones((SIZE, SIZE), np.float32), header, output=LOSSLESS)


def another_shape(item: MosaicInput) -> None:
    header = fits.getheader(item.invvar, 1)
    write_survey_image(item.invvar, np.ones((50, 50), np.float32), header, output=LOSSLESS)


def another_unit(item: MosaicInput) -> None:
    header = fits.getheader(item.image, 1)
    header["BUNIT"] = "adu"
    write_survey_image(item.image, np.ones((SIZE, SIZE), np.float32), header, output=LOSSLESS)


@pytest.mark.parametrize(
    ("harm", "file", "cause"),
    [
        (cut, "invvar", "cannot be read"),
        (empty, "image", "cannot be read"),
        (flip_a_bit, "image", "its CHECKSUM does not hold"),
        (unknown_projection, "image", "Unrecognized projection code"),
        (another_shape, "invvar", r"shape \(50, 50\) is not the image's \(160, 160\)"),
        (another_unit, "image", "its unit is adu, that of the others nanomaggy"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_bad_brick_is_left_out_and_named(
    harm: Callable[[MosaicInput], None],
    file: str,
    cause: str,
    inputs: list[MosaicInput],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    harm(inputs[0])
    mosaic, weights, _ = make(inputs, tmp_path)
    assert re.search(rf"brick 1500p600, band g, .*/1500p600/{file}\.fits\.fz: .*{cause}", caplog.text)
    history = list(fits.getheader(tmp_path / "mosaic.fits")["HISTORY"])
    assert history == [*(f"brick 150{index}p600" for index in (1, 2, 3)), "left out: 1500p600"]
    without, weights_without, _ = make(inputs[1:], tmp_path, grid_of(inputs, tmp_path))
    assert np.array_equal(mosaic, without)
    assert np.array_equal(weights, weights_without)


def grid_of(inputs: list[MosaicInput], folder: Path) -> MosaicSettings:
    grid = common_grid(inputs)
    return MosaicSettings(wcs=text_header(grid, grid.array_shape, folder / "grid.hdr"))


def test_nothing_is_left_if_no_brick_can_be_used(inputs: list[MosaicInput], tmp_path: Path) -> None:
    for item in inputs:
        flip_a_bit(item)
    with pytest.raises(StepError, match=r"no brick can be used, the first: brick 1500p600, band g") as caught:
        make(inputs, tmp_path)
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == []


def test_a_full_disk_is_one_line(inputs: list[MosaicInput], tmp_path: Path, full_disk) -> None:
    with full_disk(), pytest.raises(StepError, match="MB are needed") as caught:
        make(inputs, tmp_path)
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == []


def test_the_unit_of_the_bricks_is_kept(tmp_path: Path) -> None:
    plane = np.ones((SIZE, SIZE))
    make([write(tmp_path, "a", brick_wcs(10, 0), plane, plane, "adu")], tmp_path)
    units = [fits.getheader(tmp_path / f"{name}.fits")["BUNIT"] for name in ("mosaic", "invvar")]
    assert units == ["adu", "1/adu^2"]
