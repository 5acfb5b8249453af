"""Files of every kind give the same frames, one at a time, and come back as they came."""

import tracemalloc
from pathlib import Path

import h5py
import numpy as np
import psutil
import pytest

from skydenoise.errors import SettingsError, StepError
from skydenoise.image_table import STACK_KINDS
from skydenoise.stacks import stack as stack_module
from skydenoise.stacks.pixels import StackFile
from skydenoise.stacks.stack import open_stack, output_suffix, suffix_of, write_like
from tests.stacks.builders import KINDS, copy, make_stack, save, save_fits, save_tiff


@pytest.mark.parametrize("dtype", ["int16", "float32"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_file_gives_the_frames_that_were_put_in(kind: str, dtype: str, tmp_path: Path) -> None:
    stack = make_stack(5, 12, 10, dtype=dtype)
    with open_stack(StackFile(save(kind, tmp_path, stack))) as opened:
        assert (len(opened), opened.axes.frame_shape) == (5, (1, 12, 10))
        for index in (4, 0, 2):
            frame = opened.read(index)
            assert frame.dtype == np.float32
            np.testing.assert_array_equal(frame, stack[None, index])
        with pytest.raises(IndexError):
            opened.read(5)


@pytest.mark.parametrize("kind", ["tiff", "tiff compressed", "npy", "hdf5", "fits", "fits fz"])
def test_several_channels_lie_before_the_rows(kind: str, tmp_path: Path) -> None:
    stack = make_stack(4, 2, 12, 10)
    with open_stack(StackFile(save(kind, tmp_path, stack))) as opened:
        assert (len(opened), opened.axes.frame_shape) == (4, (2, 12, 10))
        np.testing.assert_array_equal(opened.read(3), stack[3])


@pytest.mark.parametrize("kind", ["tiff", "npy", "mrc", "hdf5", "fits"])
def test_one_image_is_a_stack_of_one_frame(kind: str, tmp_path: Path) -> None:
    stack = make_stack(12, 10)
    path = save(kind, tmp_path, stack)
    for axes in ("", "yx", "nyx"):
        with open_stack(StackFile(path, axes=axes)) as opened:
            assert len(opened) == 1
            np.testing.assert_array_equal(opened.read(0)[0], stack)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_file_comes_back_with_its_axes(kind: str, dtype: str, tmp_path: Path) -> None:
    array = make_stack(4, 9, 7).clip(0, 100).astype(dtype)
    if kind.startswith("mrc") and dtype == "uint8":
        array = array.astype("int8")
    source = save(kind, tmp_path, array)
    target = tmp_path / f"out{output_suffix(source)}"
    copy(source, target)
    with open_stack(StackFile(target)) as written:
        assert np.dtype(written.pixels.dtype).newbyteorder("=") == np.float32
        assert written.axes.shape == array.shape
        for index in range(len(array)):
            np.testing.assert_array_equal(written.read(index)[0], np.float32(0.5) * array[index])
    assert sorted(tmp_path.iterdir()) == [source, target]


@pytest.mark.parametrize("axes", ["ncyx", "nyxc", "yxn", "cyxn", "tzyx"])
@pytest.mark.parametrize(
    "kind", ["tiff", "tiff compressed", "tiff of series", "npy", "hdf5", "fits", "fits gz"]
)
def test_any_order_of_axes_is_kept(kind: str, axes: str, tmp_path: Path) -> None:
    array = make_stack(*(3, 5, 7, 6)[: len(axes)], dtype="float32")
    source = save(kind, tmp_path, array)
    target = tmp_path / f"out{output_suffix(source)}"
    copy(source, target, 2.0, axes=axes)
    with open_stack(StackFile(target, axes=axes)) as written:
        assert written.axes.shape == array.shape
        for index in range(len(written)):
            frame = 2 * array[written.axes.key(index)]
            np.testing.assert_array_equal(written.read(index), written.axes.to_image(frame))


@pytest.mark.parametrize(
    ("file", "message"),
    [
        (StackFile(Path("a.npy"), axes="nzcyx"), "axes 'nzcyx' do not fit an array of shape"),
        (StackFile(Path("line.npy")), "what are the axes of an array of shape"),
        (StackFile(Path("waves.npy")), "pixels of type complex64"),
        (StackFile(Path("a.h5"), "none"), "there is no dataset 'none', only first, second"),
        (StackFile(Path("a.h5")), r"it holds 2 datasets \(first, second\): say which"),
        (StackFile(Path("a.fits"), "SCI"), "there is no image in HDU 'SCI'"),
        (StackFile(Path("a.tif"), "7"), "there is no series '7', only 0 to 0"),
        (StackFile(Path("a.jpg")), "no kind of stack; known are .tif"),
    ],
)
def test_what_cannot_be_a_stack_is_refused_in_one_line(
    file: StackFile, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    stack = make_stack(2, 12, 10)
    np.save("a.npy", stack)
    np.save("line.npy", np.ones(5))
    np.save("waves.npy", stack.astype(np.complex64))
    with h5py.File("a.h5", "w") as hdf5:
        hdf5["first"], hdf5["second"] = stack, stack
    save_fits(Path("a.fits"), stack)
    save_tiff(Path("a.tif"), stack)
    with pytest.raises(SettingsError, match=message) as refused, open_stack(file):
        pass
    assert str(refused.value).startswith(str(file.path))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_or_missing_file_is_named(kind: str, tmp_path: Path) -> None:
    path = save(kind, tmp_path, make_stack(4, 64, 64, dtype="float32"))
    whole = path.read_bytes()
    for damaged in (whole[: len(whole) // 2], whole[:100], b"", b"\0" * 5000):
        path.write_bytes(damaged)
        with pytest.raises(StepError, match=path.name) as told, open_stack(StackFile(path)) as opened:
            opened.read(3)
        assert "\n" not in str(told.value)
    path.unlink()
    with pytest.raises(StepError, match=f"{path.name}: there is no such file"), open_stack(StackFile(path)):
        pass
    path.mkdir()
    with pytest.raises(StepError, match=f"{path.name}: cannot be read"), open_stack(StackFile(path)):
        pass


def test_a_damaged_header_is_told_where_it_cannot_be_kept(tmp_path: Path) -> None:
    source = save("mrc", tmp_path, make_stack(3, 8, 9))
    content = bytearray(source.read_bytes())
    content[220:224] = np.int32(-11).tobytes()  # the number of labels
    source.write_bytes(content)
    with pytest.raises(StepError, match=r"in.mrc: its header is damaged: index -11"):
        copy(source, tmp_path / "out.mrc")
    assert list(tmp_path.iterdir()) == [source]


def test_a_package_that_is_missing_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise ModuleNotFoundError("No module named 'tifffile'", name="tifffile")

    monkeypatch.setattr(stack_module, "import_module", absent)
    message = r"a.tif: such a stack needs the package tifffile: pip install 'skydenoise\[stacks\]'"
    with pytest.raises(SettingsError, match=message), open_stack(StackFile(tmp_path / "a.tif")):
        pass


@pytest.mark.parametrize("kind", ["npy", "tiff"])
def test_nothing_is_left_of_a_stack_that_was_not_finished(kind: str, tmp_path: Path) -> None:
    source = save(kind, tmp_path, make_stack(3, 8, 9))
    target = tmp_path / f"out{source.suffix}"
    with (
        pytest.raises(ValueError, match="broadcast"),
        open_stack(StackFile(source)) as stack,
        write_like(stack, target, "note") as write_frame,
    ):
        write_frame(1, stack.read(1)[:, :4])
    assert sorted(tmp_path.iterdir()) == [source]


@pytest.mark.parametrize("kind", ["tiff", "npy", "mrc", "fits"])
def test_a_full_disk_is_told_before_the_first_frame(kind: str, tmp_path: Path, full_disk) -> None:
    source = save(kind, tmp_path, make_stack(40, 64, 64, dtype="float32"))
    target = tmp_path / f"out{source.suffix}"
    with (
        open_stack(StackFile(source)) as stack,
        full_disk(),
        pytest.raises(StepError, match="no space left"),
        write_like(stack, target, "note"),
    ):
        pytest.fail("there is no room")
    assert list(tmp_path.iterdir()) == [source]


def peak_of_copying(source: Path, target: Path) -> int:
    """Most bytes of arrays and objects while a stack is copied frame by frame."""
    tracemalloc.start()
    copy(source, target)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


@pytest.mark.parametrize("kind", KINDS)
def test_reading_and_writing_take_no_more_memory_for_more_frames(kind: str, tmp_path: Path) -> None:
    peaks = []
    for frames in (2, 4, 14):  # the first loads what is loaded once
        folder = tmp_path / str(frames)
        folder.mkdir()
        source = save(kind, folder, np.full((frames, 128, 128), 3, np.float32))
        peaks.append(peak_of_copying(source, folder / f"out{output_suffix(source)}"))
    frame = 128 * 128 * 4
    assert peaks[2] - peaks[1] < 10 * 0.3 * frame


@pytest.mark.parametrize("kind", ["tiff", "npy", "mrc"])
def test_pages_of_a_file_do_not_stay_in_the_process(kind: str, tmp_path: Path) -> None:
    stack = np.ones((100, 256, 256), np.float32)
    source = save(kind, tmp_path, stack)
    process = psutil.Process()
    with open_stack(StackFile(source)) as opened:
        before = process.memory_info().rss
        for index in range(len(opened)):
            opened.read(index)
        assert process.memory_info().rss - before < 0.3 * stack.nbytes


def test_the_end_of_a_name_finds_the_module() -> None:
    assert suffix_of(Path("A.FITS.FZ")) == ".fits.fz"
    assert {output_suffix(Path(f"a{suffix}")) for suffix in STACK_KINDS} == set(STACK_KINDS) - {
        ".fits.gz",
        ".fits.fz",
    }
