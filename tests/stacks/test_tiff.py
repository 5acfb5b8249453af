"""TIFF: what ImageJ, OME and others say is understood and kept, and nothing is passed over."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from skydenoise.errors import SettingsError
from skydenoise.stacks.pixels import StackFile
from skydenoise.stacks.stack import open_stack
from tests.stacks.builders import copy, make_stack


def test_imagej_and_colour_say_themselves_what_their_axes_are(tmp_path: Path) -> None:
    hyperstack = make_stack(3, 4, 2, 12, 10, dtype="uint16")
    tifffile.imwrite(tmp_path / "ij.tif", hyperstack, imagej=True, metadata={"axes": "TZCYX"})
    with open_stack(StackFile(tmp_path / "ij.tif")) as opened:
        assert (opened.axes.text, len(opened), opened.axes.frame_shape) == ("tzcyx", 12, (2, 12, 10))
        np.testing.assert_array_equal(opened.read(5), hyperstack[1, 1])
    colour = make_stack(3, 12, 10, 3, dtype="uint8")
    tifffile.imwrite(tmp_path / "rgb.tif", colour, photometric="rgb", compression="zlib", metadata=None)
    with open_stack(StackFile(tmp_path / "rgb.tif", axes="nyxc")) as opened:
        assert (len(opened), opened.axes.frame_shape) == (3, (3, 12, 10))
        np.testing.assert_array_equal(opened.read(2), colour[2].transpose(2, 0, 1))


def test_imagej_stays_what_it_is(tmp_path: Path) -> None:
    stack = make_stack(3, 2, 8, 9, dtype="uint16")
    metadata = {"axes": "TCYX", "unit": "nm", "finterval": 0.5, "mode": "composite", "Labels": list("abcdef")}
    tifffile.imwrite(tmp_path / "in.tif", stack, imagej=True, resolution=(4.0, 4.0), metadata=metadata)
    copy(tmp_path / "in.tif", tmp_path / "out.tif")
    with tifffile.TiffFile(tmp_path / "out.tif") as file:
        assert file.is_imagej
        assert file.series[0].axes == "TCYX"
        assert {**file.imagej_metadata, **metadata} == {**file.imagej_metadata, "axes": "TCYX"}
        assert file.pages[0].resolution == (4.0, 4.0)
        np.testing.assert_array_equal(file.asarray(), np.float32(0.5) * stack)


def test_a_palette_of_imagej_is_for_display(tmp_path: Path) -> None:
    stack = make_stack(3, 8, 9, dtype="uint8")
    green = np.zeros((3, 256), np.uint16)
    green[1] = np.arange(256) * 257
    tifffile.imwrite(tmp_path / "in.tif", stack, imagej=True, colormap=green)
    copy(tmp_path / "in.tif", tmp_path / "out.tif")
    with tifffile.TiffFile(tmp_path / "out.tif") as file:
        np.testing.assert_array_equal(file.imagej_metadata["LUTs"], green // 257)
        np.testing.assert_array_equal(file.asarray(), np.float32(0.5) * stack)


def test_ome_stays_what_it_is_with_all_its_images(tmp_path: Path) -> None:
    stacks = make_stack(2, 3, 2, 8, 9, dtype="uint16")
    with tifffile.TiffWriter(tmp_path / "in.ome.tif", ome=True) as writer:
        for stack, size in zip(stacks, (0.25, 0.5), strict=True):
            writer.write(stack, metadata={"axes": "TCYX", "PhysicalSizeX": size, "PhysicalSizeXUnit": "nm"})
    with open_stack(StackFile(tmp_path / "in.ome.tif")) as opened:
        assert (len(opened), opened.axes.text) == (6, "ntcyx")
        np.testing.assert_array_equal(opened.read(4), stacks[1, 1])
    copy(tmp_path / "in.ome.tif", tmp_path / "out.tif")
    copy(tmp_path / "in.ome.tif", tmp_path / "second.tif", dataset="1")
    with tifffile.TiffFile(tmp_path / "out.tif") as file:
        assert file.is_ome
        for series, stack in zip(file.series, stacks, strict=True):
            np.testing.assert_array_equal(series.asarray(), np.float32(0.5) * stack)
        assert 'PhysicalSizeX="0.25"' in file.ome_metadata
        assert 'PhysicalSizeX="0.5"' in file.ome_metadata
    with tifffile.TiffFile(tmp_path / "second.tif") as file:
        np.testing.assert_array_equal(file.asarray(), np.float32(0.5) * stacks[1])
        assert 'PhysicalSizeX="0.5"' in file.ome_metadata


def test_series_that_are_frames_are_read_and_come_back_all(tmp_path: Path) -> None:
    stack = make_stack(4, 8, 9, dtype="uint16")
    with tifffile.TiffWriter(tmp_path / "in.tif") as writer:
        for number, frame in enumerate(stack):
            compression = "zlib" if number == 2 else None
            writer.write(frame, metadata={"exposure": number}, compression=compression)
    with open_stack(StackFile(tmp_path / "in.tif")) as opened:
        assert (len(opened), opened.axes.text) == (4, "nyx")
        np.testing.assert_array_equal([opened.read(index)[0] for index in range(4)], stack)
    with open_stack(StackFile(tmp_path / "in.tif", dataset="3")) as opened:
        np.testing.assert_array_equal(opened.read(0)[0], stack[3])
    copy(tmp_path / "in.tif", tmp_path / "out.tif")
    with tifffile.TiffFile(tmp_path / "out.tif") as file:
        for number, series in enumerate(file.series):
            np.testing.assert_array_equal(series.asarray(), np.float32(0.5) * stack[number])
            assert file.shaped_metadata[number]["exposure"] == number


def test_series_that_are_not_alike_are_refused_until_one_is_named(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "in.tif") as writer:
        writer.write(make_stack(3, 8, 9), photometric="minisblack")
        writer.write(make_stack(4, 5), photometric="minisblack")
    message = r"2 series that are not alike \(0 of shape \(3, 8, 9\), 1 of shape \(4, 5\)\): say which"
    with pytest.raises(SettingsError, match=message), open_stack(StackFile(tmp_path / "in.tif")):
        pass
    with open_stack(StackFile(tmp_path / "in.tif", "0")) as opened:
        assert len(opened) == 3


@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("samples", [3, 4])
def test_colours_stay_where_they_are(planar: str, samples: int, tmp_path: Path) -> None:
    shape = (3, 8, 9, samples) if planar == "contig" else (3, samples, 8, 9)
    stack = make_stack(*shape, dtype="uint8")
    extra = ["unassalpha"] if samples == 4 else None
    tifffile.imwrite(tmp_path / "in.tif", stack, photometric="rgb", planarconfig=planar, extrasamples=extra)
    copy(tmp_path / "in.tif", tmp_path / "out.tif", axes="nyxc" if planar == "contig" else "ncyx")
    with tifffile.TiffFile(tmp_path / "out.tif") as file:
        page = file.pages[0]
        assert (page.photometric.name, page.planarconfig.name) == ("RGB", planar.upper())
        assert [sample.name for sample in page.extrasamples] == ["UNASSALPHA"] * (samples == 4)
        np.testing.assert_array_equal(file.asarray(), np.float32(0.5) * stack)


def test_white_that_is_0_stays_so(tmp_path: Path) -> None:
    stack = make_stack(3, 8, 9, dtype="uint8")
    tifffile.imwrite(tmp_path / "in.tif", stack, photometric="miniswhite")
    copy(tmp_path / "in.tif", tmp_path / "out.tif")
    with tifffile.TiffFile(tmp_path / "out.tif") as file:
        assert file.pages[0].photometric == tifffile.PHOTOMETRIC.MINISWHITE
        np.testing.assert_array_equal(file.asarray(), np.float32(0.5) * stack)


def test_numbers_of_colours_are_refused(tmp_path: Path) -> None:
    colours = np.arange(768, dtype=np.uint16).reshape(3, 256)
    stack = make_stack(3, 8, 9, dtype="uint8")
    tifffile.imwrite(tmp_path / "in.tif", stack, photometric="palette", colormap=colours)
    message = r"pixels are <PHOTOMETRIC.PALETTE: 3>: save it as grey or RGB"
    with pytest.raises(SettingsError, match=message), open_stack(StackFile(tmp_path / "in.tif")):
        pass


@pytest.mark.parametrize("compression", ["tiff_lzw", "jpeg", "tiff_adobe_deflate", "packbits"])
def test_common_compressions_are_read(compression: str, tmp_path: Path) -> None:
    stack = make_stack(3, 16, 24, dtype="uint8")
    pages = [Image.fromarray(frame) for frame in stack]
    pages[0].save(tmp_path / "in.tif", save_all=True, append_images=pages[1:], compression=compression)
    copy(tmp_path / "in.tif", tmp_path / "out.tif", 1.0)
    error = tifffile.imread(tmp_path / "out.tif") - stack
    assert np.abs(error).max() < (128 if compression == "jpeg" else 1e-9)


def test_a_compression_that_needs_a_package_says_so_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tifffile.imwrite(tmp_path / "in.tif", make_stack(16, 24, dtype="uint8"), compression="lzw")

    class Absent:
        def __getitem__(self, compression: int) -> None:
            raise KeyError(f"{compression!r} requires the 'imagecodecs' package")

    monkeypatch.setattr(tifffile.TIFF, "DECOMPRESSORS", Absent())
    message = (
        r"in.tif: compression <COMPRESSION.LZW: 5> needs the package imagecodecs: pip install imagecodecs"
    )
    with pytest.raises(SettingsError, match=message), open_stack(StackFile(tmp_path / "in.tif")):
        pass


def test_a_tiff_too_large_for_32_bits_is_written_as_a_big_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("skydenoise.stacks.tiff.CLASSIC", 100)
    stack = make_stack(3, 8, 9, dtype="uint16")
    tifffile.imwrite(tmp_path / "in.tif", stack, imagej=True)
    copy(tmp_path / "in.tif", tmp_path / "out.tif")
    with tifffile.TiffFile(tmp_path / "out.tif") as file:
        assert file.is_bigtiff
        np.testing.assert_array_equal(file.asarray(), np.float32(0.5) * stack)
