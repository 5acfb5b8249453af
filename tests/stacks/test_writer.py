"""A stack that is written like another comes back with the new pixels and the old description."""

from pathlib import Path

import h5py
import mrcfile
import numpy as np
import pytest
import tifffile
from astropy.io import fits
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skydenoise.errors import SettingsError, StepError
from skydenoise.image_table import STACK_SUFFIXES as SUFFIXES
from skydenoise.stacks.formats import output_suffix
from skydenoise.stacks.stack import open_stack
from skydenoise.stacks.writer import like
from tests.stacks.test_stacks import KINDS, make_stack


def copy(source: Path, target: Path, factor: float = 0.5, **options: str) -> None:
    """Write `source` times `factor`, frames in reverse order."""
    with open_stack(source, **options) as stack, like(stack, target, "model 1234") as writer:
        for index in reversed(range(stack.frames)):
            writer.write(index, factor * stack.read(index))


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    shape=st.tuples(st.integers(2, 5), st.integers(1, 9), st.integers(2, 9)),
    dtype=st.sampled_from(["uint8", "int16", "float32"]),
)
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_file_comes_back_with_its_axes(
    kind: str, shape: tuple[int, int, int], dtype: str, tmp_path: Path
) -> None:
    suffix, save = KINDS[kind]
    source = tmp_path / f"in{suffix}"
    source.unlink(missing_ok=True)
    target = tmp_path / f"out{output_suffix(source)}"
    array = make_stack(*shape, dtype="int16").clip(0, 100).astype(dtype)
    if suffix.startswith(".mrc") and dtype == "uint8":
        array = array.astype("int8")
    save(source, array)
    copy(source, target, axes="nyx")
    with open_stack(target, axes="nyx") as written:
        assert written.dtype.newbyteorder("=") == np.float32
        assert written.axes.shape == array.shape
        for index in range(len(array)):
            np.testing.assert_array_equal(written.read(index)[0], np.float32(0.5) * array[index])
    assert [file.name for file in tmp_path.glob(".*")] == []


@pytest.mark.parametrize("kind", ["tiff", "tiff compressed", "npy", "hdf5", "fits"])
@pytest.mark.parametrize("axes", ["ncyx", "nyxc", "yxn", "cyxn", "tzyx"])
def test_any_order_of_axes_is_kept(kind: str, axes: str, tmp_path: Path) -> None:
    suffix, save = KINDS[kind]
    array = make_stack(*(3, 5, 7, 6)[: len(axes)], dtype="float32")
    save(tmp_path / f"in{suffix}", array)
    copy(tmp_path / f"in{suffix}", tmp_path / f"out{suffix}", 2.0, axes=axes)
    with (
        open_stack(tmp_path / f"in{suffix}", axes=axes) as source,
        open_stack(tmp_path / f"out{suffix}", axes=axes) as written,
    ):
        assert written.axes == source.axes
        for index in range(source.frames):
            np.testing.assert_array_equal(written.read(index), 2 * source.read(index))


def test_fits_cards_are_kept(tmp_path: Path) -> None:
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


def test_the_size_of_a_voxel_is_kept(tmp_path: Path) -> None:
    with mrcfile.new(tmp_path / "in.mrc") as file:
        file.set_data(make_stack(4, 8, 9))
        file.set_image_stack()
        file.voxel_size = (1.5, 1.5, 2.0)
        file.header.exttyp = "AGAR"
        file.add_label("camera 7")
        file.set_extended_header(np.arange(32, dtype="u1").view("V32"))
    copy(tmp_path / "in.mrc", tmp_path / "out.mrc")
    assert mrcfile.validate(tmp_path / "out.mrc")
    with mrcfile.open(tmp_path / "out.mrc") as file:
        assert file.is_image_stack()
        assert file.voxel_size.item() == (1.5, 1.5, 2.0)
        assert "camera 7" in file.get_labels()
        assert "model 1234" in file.get_labels()[-1]
        assert file.extended_header.tobytes() == bytes(range(32))


def test_attributes_in_hdf5_are_kept(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "in.h5", "w") as file:
        data = file.create_dataset(
            "scan/detector/data", data=make_stack(4, 8, 9), chunks=True, compression="gzip"
        )
        data.attrs["units"] = "counts"
        file["scan"].attrs["NX_class"] = "NXentry"
        file.attrs["creator"] = "beamline"
    copy(tmp_path / "in.h5", tmp_path / "out.h5")
    with h5py.File(tmp_path / "out.h5") as file:
        written = file["scan/detector/data"]
        assert written.attrs["units"] == "counts"
        assert "model 1234" in written.attrs["skydenoise"]
        assert file["scan"].attrs["NX_class"] == "NXentry"
        assert file.attrs["creator"] == "beamline"
        assert (written.compression, written.chunks) == ("gzip", (1, 8, 9))


def test_imagej_and_ome_stay_what_they_are(tmp_path: Path) -> None:
    stack = make_stack(3, 2, 8, 9, dtype="uint16")
    metadata = {"axes": "TCYX", "unit": "nm", "finterval": 0.5}
    tifffile.imwrite(tmp_path / "ij.tif", stack, imagej=True, resolution=(4.0, 4.0), metadata=metadata)
    sizes = {"axes": "TCYX", "PhysicalSizeX": 0.25, "PhysicalSizeXUnit": "nm"}
    tifffile.imwrite(tmp_path / "ome.ome.tif", stack, ome=True, metadata=sizes)
    copy(tmp_path / "ij.tif", tmp_path / "ij2.tif")
    copy(tmp_path / "ome.ome.tif", tmp_path / "ome2.tif")
    with tifffile.TiffFile(tmp_path / "ij2.tif") as file:
        assert file.is_imagej
        assert file.series[0].axes == "TCYX"
        assert file.imagej_metadata["unit"] == "nm"
        assert file.imagej_metadata["finterval"] == 0.5
        assert file.pages[0].resolution == (4.0, 4.0)
        np.testing.assert_array_equal(file.asarray(), np.float32(0.5) * stack)
    with tifffile.TiffFile(tmp_path / "ome2.tif") as file:
        assert file.is_ome
        assert 'PhysicalSizeX="0.25"' in file.ome_metadata
        np.testing.assert_array_equal(file.asarray(), np.float32(0.5) * stack)


@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_colours_stay_where_they_are(planar: str, tmp_path: Path) -> None:
    shape = (3, 8, 9, 3) if planar == "contig" else (3, 3, 8, 9)
    stack = make_stack(*shape, dtype="uint8")
    tifffile.imwrite(tmp_path / "in.tif", stack, photometric="rgb", planarconfig=planar)
    axes = "nyxc" if planar == "contig" else "ncyx"
    copy(tmp_path / "in.tif", tmp_path / "out.tif", axes=axes)
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "out.tif"), np.float32(0.5) * stack)


def test_a_tiff_too_large_for_32_bits_is_written_as_a_big_one(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("skydenoise.stacks.sinks.CLASSIC_TIFF", 100)
    stack = make_stack(3, 8, 9, dtype="uint16")
    tifffile.imwrite(tmp_path / "in.tif", stack, imagej=True)
    copy(tmp_path / "in.tif", tmp_path / "out.tif")
    with tifffile.TiffFile(tmp_path / "out.tif") as file:
        assert file.is_bigtiff
        np.testing.assert_array_equal(file.asarray(), np.float32(0.5) * stack)


@pytest.mark.parametrize("suffix", [".npy", ".tif"])
def test_nothing_is_left_of_a_stack_that_was_not_finished(suffix: str, tmp_path: Path) -> None:
    source, target = tmp_path / f"in{suffix}", tmp_path / f"out{suffix}"
    KINDS["npy" if suffix == ".npy" else "tiff"][1](source, make_stack(3, 8, 9))
    with open_stack(source) as stack:
        with pytest.raises(ValueError, match="2 of 3 frames were not written"), like(stack, target) as writer:
            writer.write(1, stack.read(1))
        with pytest.raises(ValueError, match=r"a frame of shape \(8, 9\)"), like(stack, target) as writer:
            writer.write(1, stack.read(1)[0])
        with pytest.raises(SettingsError, match="ends in"), like(stack, tmp_path / "out.mrc"):
            pass
    assert sorted(tmp_path.iterdir()) == [source]


def test_a_full_disk_is_told_in_one_line(tmp_path: Path, full_disk) -> None:
    np.save(tmp_path / "in.npy", make_stack(40, 64, 64, dtype="float32"))
    with (
        open_stack(tmp_path / "in.npy") as stack,
        full_disk(),
        pytest.raises(StepError, match="no space left"),
        like(stack, tmp_path / "out.npy") as writer,
    ):
        writer.write(0, stack.read(0))
    assert not (tmp_path / "out.npy").exists()


def test_every_kind_that_can_be_read_can_be_written() -> None:
    from skydenoise.stacks.sinks import SINKS

    assert {output_suffix(Path(f"a{suffix}")) for suffix in SUFFIXES} == set(SINKS)
