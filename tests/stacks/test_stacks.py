"""Stacks of every kind give the same frames, one at a time, as bricks of the house."""

from collections.abc import Callable
from pathlib import Path

import h5py
import mrcfile
import numpy as np
import pytest
import tifffile
from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st

from skydenoise.config import PatchSettings
from skydenoise.errors import SettingsError, StepError
from skydenoise.image_table import STACK_SUFFIXES as SUFFIXES
from skydenoise.noise import NoiseModel
from skydenoise.patches import PatchSet, cut_patches
from skydenoise.stacks.axes import FRAME_LETTERS, Axes, understood
from skydenoise.stacks.formats import suffix_of
from skydenoise.stacks.frames import frame_brick, frame_name, frame_names, frame_reader
from skydenoise.stacks.scale import measure_scale
from skydenoise.stacks.stack import open_stack


def save_tiff(path: Path, stack: np.ndarray) -> None:
    tifffile.imwrite(path, stack, photometric="minisblack")


def save_compressed_tiff(path: Path, stack: np.ndarray) -> None:
    tifffile.imwrite(path, stack, photometric="minisblack", compression="zlib")


def save_mrc(path: Path, stack: np.ndarray) -> None:
    with mrcfile.new(path) as file:
        file.set_data(stack)


def save_hdf5(path: Path, stack: np.ndarray) -> None:
    with h5py.File(path, "w") as file:
        file.create_dataset("exchange/data", data=stack, chunks=True, compression="gzip")
        file["exchange/theta"] = np.arange(len(stack))


def save_fits(path: Path, stack: np.ndarray) -> None:
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(stack)]).writeto(path)


def save_compressed_fits(path: Path, stack: np.ndarray) -> None:
    fits.HDUList(
        [fits.PrimaryHDU(), fits.CompImageHDU(stack, compression_type="GZIP_2", quantize_level=0)]
    ).writeto(path)


Save = Callable[[Path, np.ndarray], object]

KINDS: dict[str, tuple[str, Save]] = {
    "tiff": (".tif", save_tiff),
    "tiff compressed": (".tiff", save_compressed_tiff),
    "npy": (".npy", np.save),
    "mrc": (".mrc", save_mrc),
    "mrcs": (".mrcs", save_mrc),
    "hdf5": (".h5", save_hdf5),
    "fits": (".fits", save_fits),
    "fits gz": (".fits.gz", save_fits),
    "fits fz": (".fits.fz", save_compressed_fits),
}


def make_stack(*shape: int, dtype: str = "int16") -> np.ndarray:
    return np.random.default_rng(len(shape)).integers(-100, 1000, shape).astype(dtype)


@pytest.fixture
def saved(tmp_path: Path) -> Callable[[str, np.ndarray], Path]:
    def save(kind: str, stack: np.ndarray) -> Path:
        suffix, write = KINDS[kind]
        path = tmp_path / f"stack{suffix}"
        write(path, stack)
        return path

    return save


@pytest.mark.parametrize("dtype", ["int16", "float32"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_file_gives_the_frames_that_were_put_in(kind: str, dtype: str, saved) -> None:
    stack = make_stack(5, 12, 10, dtype=dtype)
    with open_stack(saved(kind, stack)) as opened:
        assert (opened.frames, opened.channels, opened.shape) == (5, 1, (12, 10))
        assert opened.dtype.newbyteorder("=") == dtype
        for index in (4, 0, 2):
            frame = opened.read(index)
            assert frame.dtype == np.float32
            np.testing.assert_array_equal(frame, stack[None, index])
        with pytest.raises(IndexError):
            opened.read(5)


@pytest.mark.parametrize("kind", ["tiff", "tiff compressed", "npy", "hdf5", "fits", "fits fz"])
def test_several_channels_lie_before_the_rows(kind: str, saved) -> None:
    stack = make_stack(4, 2, 12, 10)
    with open_stack(saved(kind, stack)) as opened:
        assert (opened.frames, opened.channels) == (4, 2)
        np.testing.assert_array_equal(opened.read(3), stack[3])


@pytest.mark.parametrize("kind", ["tiff", "npy", "mrc", "hdf5", "fits"])
def test_one_image_is_a_stack_of_one_frame(kind: str, saved) -> None:
    stack = make_stack(12, 10)
    path = saved(kind, stack)
    for axes in ("", "yx", "nyx"):
        with open_stack(path, axes=axes) as opened:
            assert opened.frames == 1
            np.testing.assert_array_equal(opened.read(0)[0], stack)


@given(st.permutations("cyxnt"), st.integers(2, 5), st.data())
def test_any_order_of_axes_is_undone(letters: list[str], kept: int, data: st.DataObject) -> None:
    text = "".join(letter for letter in letters if letter in "yx" or letters.index(letter) < kept)
    shape = tuple(data.draw(st.integers(1, 4)) for _ in text)
    axes = Axes(text, shape)
    array = np.arange(np.prod(shape)).reshape(shape)
    index = data.draw(st.integers(0, axes.frames - 1))
    block = array[axes.key(index)]
    image = axes.to_image(block)
    assert image.shape == (axes.channels, *axes.image)
    np.testing.assert_array_equal(axes.from_image(image), block)
    seen = np.concatenate([array[axes.key(index)].ravel() for index in range(axes.frames)])
    assert sorted(seen) == list(range(array.size))
    assert set(FRAME_LETTERS) == set("ntz")


@pytest.mark.parametrize("kind", ["tiff", "tiff compressed", "npy", "hdf5", "fits"])
def test_axes_in_another_order_are_told_in_a_word(kind: str, saved) -> None:
    stack = make_stack(6, 12, 10)
    with open_stack(saved(kind, stack), axes="yxn") as opened:
        assert (opened.frames, opened.shape) == (10, (6, 12))
        np.testing.assert_array_equal(opened.read(7)[0], stack[..., 7])
    with open_stack(opened.path, axes="cyx") as opened:
        assert (opened.frames, opened.channels) == (1, 6)
        np.testing.assert_array_equal(opened.read(0), stack)


def test_imagej_and_colour_tiff_say_themselves_what_their_axes_are(tmp_path: Path) -> None:
    hyperstack = make_stack(3, 4, 2, 12, 10, dtype="uint16")
    tifffile.imwrite(tmp_path / "ij.tif", hyperstack, imagej=True, metadata={"axes": "TZCYX"})
    with open_stack(tmp_path / "ij.tif") as opened:
        assert (opened.axes.text, opened.frames, opened.channels) == ("tzcyx", 12, 2)
        np.testing.assert_array_equal(opened.read(5), hyperstack[1, 1])
    colour = make_stack(3, 12, 10, 3, dtype="uint8")
    tifffile.imwrite(tmp_path / "rgb.tif", colour, photometric="rgb", compression="zlib", metadata=None)
    with open_stack(tmp_path / "rgb.tif", axes="nyxc") as opened:
        assert (opened.frames, opened.channels) == (3, 3)
        np.testing.assert_array_equal(opened.read(2), colour[2].transpose(2, 0, 1))


@pytest.mark.parametrize("name", ["u.fits", "u.fits.gz"])
def test_numbers_scaled_in_a_fits_file_come_scaled(name: str, tmp_path: Path) -> None:
    stack = make_stack(3, 12, 10, dtype="uint16") % 10_000
    fits.HDUList([fits.PrimaryHDU(stack), fits.ImageHDU(make_stack(3, 12, 10))]).writeto(tmp_path / name)
    with open_stack(tmp_path / name) as opened:
        np.testing.assert_array_equal(opened.read(1)[0], stack[1])
    scaled = fits.ImageHDU(stack.astype(np.float32))
    scaled.scale("int16", bscale=0.5, bzero=10)
    scaled.writeto(tmp_path / f"s{name}")
    with open_stack(tmp_path / f"s{name}") as opened:
        assert opened.dtype == np.float32
        np.testing.assert_array_equal(opened.read(1)[0], stack[1])


def test_fortran_order_is_read_as_well(tmp_path: Path) -> None:
    stack = np.asfortranarray(make_stack(3, 12, 10))
    np.save(tmp_path / "f.npy", stack)
    with open_stack(tmp_path / "f.npy") as opened:
        np.testing.assert_array_equal(opened.read(2)[0], stack[2])


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("a.npy", {"axes": "nyq"}, "axes 'nyq': y and x and any of"),
        ("a.npy", {"axes": "nzcyx"}, r"axes 'nzcyx' do not fit an array of shape \(2, 12, 10\)"),
        ("line.npy", {}, "what are the axes of an array of shape"),
        ("waves.npy", {}, "pixels of type complex64"),
        ("a.h5", {"dataset": "none"}, "there is no dataset 'none', only first, second"),
        ("a.h5", {}, r"it holds 2 datasets \(first, second\): say which"),
        ("a.fits", {"dataset": "SCI"}, "there is no image in HDU 'SCI'"),
        ("a.tif", {"dataset": "7"}, "there is no series '7'"),
        ("a.jpg", {}, "no kind of stack; known are .tif"),
    ],
)
def test_what_cannot_be_a_stack_is_refused_in_one_line(
    name: str, options: dict[str, str], message: str, tmp_path: Path
) -> None:
    stack = make_stack(2, 3, 12, 10)
    np.save(tmp_path / "a.npy", stack[:, 0])
    np.save(tmp_path / "line.npy", np.ones(5))
    np.save(tmp_path / "waves.npy", stack[0].astype(np.complex64))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["first"], file["second"] = stack, stack
    save_fits(tmp_path / "a.fits", stack)
    save_tiff(tmp_path / "a.tif", stack)
    with pytest.raises(SettingsError, match=message) as refused, open_stack(tmp_path / name, **options):
        pass
    assert str(refused.value).startswith(str(tmp_path / name))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_or_missing_file_is_named(kind: str, saved) -> None:
    path = saved(kind, make_stack(4, 64, 64, dtype="float32"))
    with path.open("r+b") as stream:
        stream.truncate(path.stat().st_size // 2)
    with pytest.raises(StepError, match=path.name), open_stack(path) as opened:
        opened.read(3)
    path.unlink()
    with pytest.raises(StepError, match=f"{path.name}: there is no such file"), open_stack(path):
        pass


def test_the_ends_of_names_are_those_that_can_be_opened() -> None:
    from skydenoise.stacks.containers import OPENERS

    assert set(SUFFIXES) == set(OPENERS)
    assert suffix_of(Path("A.FITS.FZ")) == ".fits.fz"


def unit_noise(bands: tuple[str, ...], level: float) -> NoiseModel:
    ones = (1.0,) * len(bands)
    white = np.ones((len(bands), 1, 1))
    return NoiseModel(
        bands, (2.0,) * len(bands), ones, white, np.ones((len(bands), 5)), (), (level,) * len(bands)
    )


def test_a_frame_is_a_brick_whose_bad_pixels_have_no_weight(tmp_path: Path) -> None:
    stack = make_stack(3, 12, 10, dtype="float32")
    stack[1, 2, 3], stack[1, 4, 5] = np.nan, np.inf
    np.save(tmp_path / "s.npy", stack)
    with open_stack(tmp_path / "s.npy") as opened:
        brick = frame_brick(opened, 1, unit_noise(("e",), 5.0), "series")
    assert (brick.name, brick.bands, brick.shape) == ("series#00001", ("e",), (12, 10))
    assert np.count_nonzero(~brick.usable) == 2
    assert not brick.image[~brick.usable].any()
    np.testing.assert_array_equal(brick.image[brick.usable], stack[1][np.isfinite(stack[1])])
    assert set(brick.invvar[brick.usable]) == {np.float32(0.25)}


def test_patches_are_cut_out_of_many_stacks(tmp_path: Path) -> None:
    arrays = {"first": make_stack(4, 24, 24), "second": make_stack(3, 40, 32)}
    for name, array in arrays.items():
        np.save(tmp_path / f"{name}.npy", array)
    settings = PatchSettings(size=16, count=30, shard_patches=20)
    with open_stack(tmp_path / "first.npy") as a, open_stack(tmp_path / "second.npy") as b:
        stacks = {"first": a, "second": b}
        names = frame_names(stacks)
        summary = cut_patches(names, frame_reader(stacks, unit_noise(("e",), 0.0)), settings, tmp_path / "p")
    assert names == [frame_name(name, index) for name in arrays for index in range(len(arrays[name]))]
    assert summary.skipped == {}
    patches = PatchSet.open(tmp_path / "p")
    assert len(set(patches.bricks)) == 7
    stack, index = str(patches.bricks[0]).split("#")
    windows = np.lib.stride_tricks.sliding_window_view(arrays[stack][int(index)], (16, 16))
    assert (windows == patches.get([0])[0][0, 0]).all(axis=(2, 3)).any()


@given(st.lists(st.integers(1, 30), min_size=1, max_size=5), st.integers(1, 60))
def test_at_most_so_many_frames_are_named_and_spread_over_all(lengths: list[int], most: int) -> None:
    class Counted:
        def __init__(self, frames: int) -> None:
            self.frames = frames

    stacks = {f"s{number}": Counted(frames) for number, frames in enumerate(lengths)}
    names = frame_names(stacks, most)
    everything = frame_names(stacks)
    assert len(everything) == sum(lengths)
    assert len(set(names)) == len(names) == min(most, sum(lengths))
    assert set(names) <= set(everything)
    if most > 1:
        assert (names[0], names[-1]) == (everything[0], everything[-1])


def test_level_and_rms_are_those_of_each_channel(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    first = generator.normal((50, -3), (4, 0.5), (20, 64, 64, 2)).astype(np.float32)
    first[3] = np.nan
    np.save(tmp_path / "a.npy", first)
    np.save(tmp_path / "b.npy", first[:1])
    with open_stack(tmp_path / "a.npy", axes="nyxc") as a, open_stack(tmp_path / "b.npy", axes="nyxc") as b:
        noise = measure_scale([a, b], ("u", "v"))
        assert noise.level == pytest.approx((50, -3), abs=0.1)
        assert noise.sigma_sky == pytest.approx((4, 0.5), rel=0.02)
        assert noise.correlation.shape == (2, 1, 1)
        assert NoiseModel.from_json(noise.to_json()) == noise
        with pytest.raises(
            SettingsError, match=r"survey.bands: 1 names \(e\) for .*a.npy, whose frames have 2"
        ):
            measure_scale([a], ("e",))


@pytest.mark.parametrize(
    ("value", "message"), [(3.0, "the one value 3 in all pixels"), (np.nan, "no finite pixel")]
)
def test_frames_without_anything_in_them_are_refused(value: float, message: str, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.full((4, 16, 16), value))
    with open_stack(tmp_path / "a.npy") as stack, pytest.raises(SettingsError, match=message):
        measure_scale([stack], ("e",))


def test_nothing_is_said_where_nothing_is_known() -> None:
    with pytest.raises(SettingsError, match="what are the axes of an array of shape"):
        understood("", "", (2, 2, 2, 2, 2))
