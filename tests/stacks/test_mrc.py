"""MRC: bytes are read as the header says, and the header comes back."""

import struct
from pathlib import Path

import mrcfile
import numpy as np
import pytest

from skydenoise.errors import SettingsError
from skydenoise.stacks.pixels import StackFile
from skydenoise.stacks.stack import open_stack
from tests.stacks.builders import copy, make_stack, save_mrc

STAMP = 1146047817  # "IMOD"


def patch(path: Path, place: int, form: str, *values: float) -> None:
    """Write values into the header."""
    with path.open("r+b") as stream:
        stream.seek(place)
        stream.write(struct.pack(form, *values))


@pytest.mark.parametrize(
    ("stamp", "flags", "largest", "unsigned"),
    [(STAMP, 0, 0, True), (STAMP, 1, 255, False), (0, 0, 0, False), (0, 0, 255, True), (STAMP, 6, 0, True)],
)
def test_bytes_are_signed_or_not_as_the_header_says(
    stamp: int, flags: int, largest: float, unsigned: bool, tmp_path: Path
) -> None:
    stack = np.random.default_rng(0).integers(0, 256, (3, 8, 9)).astype(np.uint8)
    save_mrc(tmp_path / "in.mrc", stack.view(np.int8))
    patch(tmp_path / "in.mrc", 152, "<ii", stamp, flags)
    patch(tmp_path / "in.mrc", 80, "<f", largest)
    expected = stack if unsigned else stack.view(np.int8)
    with open_stack(StackFile(tmp_path / "in.mrc")) as opened:
        np.testing.assert_array_equal([opened.read(index)[0] for index in range(3)], expected)
    copy(tmp_path / "in.mrc", tmp_path / "out.mrc")
    with mrcfile.open(tmp_path / "out.mrc") as file:
        np.testing.assert_array_equal(file.data, np.float32(0.5) * expected)


def test_pixels_of_4_bits_are_refused(tmp_path: Path) -> None:
    save_mrc(tmp_path / "in.mrc", make_stack(3, 8, 9, dtype="int8"))
    patch(tmp_path / "in.mrc", 152, "<ii", STAMP, 16)
    with (
        pytest.raises(SettingsError, match=r"in.mrc: pixels of 4 bits"),
        open_stack(StackFile(tmp_path / "in.mrc")),
    ):
        pass


def test_what_the_header_says_is_kept(tmp_path: Path) -> None:
    with mrcfile.new(tmp_path / "in.mrc") as file:
        file.set_data(make_stack(6, 8, 9, dtype="float32"))
        file.header.mx, file.header.my, file.header.mz = 36, 32, 12
        file.header.cella = (54.0, 48.0, 18.0)
        file.header.nxstart = 4
        file.header.mapc, file.header.mapr, file.header.maps = 3, 2, 1
        file.header.origin = (1.0, 2.0, 3.0)
        file.header.exttyp = "AGAR"
        file.add_label("camera 7")
        file.set_extended_header(np.arange(32, dtype="u1").view("V32"))
        before = file.header.copy()
    copy(tmp_path / "in.mrc", tmp_path / "out.mrc")
    with mrcfile.open(tmp_path / "out.mrc") as file:
        changed = {"mode", "dmin", "dmax", "dmean", "rms", "nlabl", "label"}
        for field in set(before.dtype.names) - changed:
            np.testing.assert_array_equal(file.header[field], before[field], field)
        assert file.voxel_size.item() == (1.5, 1.5, 1.5)
        assert list(file.header.label[:2]) == list(before.label[:2])
        assert "model 1234" in file.get_labels()[2]
        assert file.extended_header.tobytes() == bytes(range(32))
        assert file.header.dmax < file.header.dmin  # not known


def test_another_byte_order_is_kept(tmp_path: Path) -> None:
    stack = make_stack(3, 8, 9)
    save_mrc(tmp_path / "little.mrc", stack)
    with mrcfile.open(tmp_path / "little.mrc") as file:
        header = file.header.astype(file.header.dtype.newbyteorder(">"))
    header["machst"] = (0x11, 0x11, 0, 0)
    (tmp_path / "in.mrc").write_bytes(header.tobytes() + stack.astype(">i2").tobytes())
    copy(tmp_path / "in.mrc", tmp_path / "out.mrc")
    assert mrcfile.validate(tmp_path / "out.mrc")
    with mrcfile.open(tmp_path / "out.mrc") as file:
        assert file.data.dtype == ">f4"
        np.testing.assert_array_equal(file.data, np.float32(0.5) * stack)


def test_a_stack_of_volumes_has_frames_alone(tmp_path: Path) -> None:
    stack = make_stack(2, 3, 8, 9)
    with mrcfile.new(tmp_path / "in.mrc") as file:
        file.set_data(stack)
        assert file.is_volume_stack()
    with open_stack(StackFile(tmp_path / "in.mrc")) as opened:
        assert (len(opened), opened.axes.frame_shape) == (6, (1, 8, 9))
        np.testing.assert_array_equal(opened.read(4)[0], stack[1, 1])
    copy(tmp_path / "in.mrc", tmp_path / "out.mrc")
    with mrcfile.open(tmp_path / "out.mrc") as file:
        assert file.is_volume_stack()
        np.testing.assert_array_equal(file.data, np.float32(0.5) * stack)
