"""Stacks through scale, patches and prediction: what they give, and that memory does not grow with them."""

import json
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from skydenoise.config import Architecture, PatchSettings, PredictSettings, RecoverSettings
from skydenoise.errors import SettingsError, StepError
from skydenoise.image_table import ListedImage
from skydenoise.network import ModelDescription
from skydenoise.noise import NoiseModel
from skydenoise.patches import PatchSet
from skydenoise.predict.denoise import Denoiser
from skydenoise.stacks.cache import OPEN, shelf
from skydenoise.stacks.check import check_files
from skydenoise.stacks.formats import output_suffix
from skydenoise.stacks.frames import frame_names
from skydenoise.stacks.picture import draw_stack, grey_range
from skydenoise.stacks.stack import open_stack
from skydenoise.stacks.steps import cut_frames, denoise_stack, measure_stacks
from skydenoise.stacks.table import StackFile, stacks_of
from skydenoise.stacks.writer import like
from skydenoise.stretch import Stretch
from tests.stacks.test_stacks import KINDS, make_stack, unit_noise

PREDICT = PredictSettings(tile=16, overlap=4, recover=RecoverSettings(enabled=False))


class Halved(torch.nn.Module):
    """Gives back half of the stretched image."""

    def forward(self, u: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return (0.5 * u,)


def halver(noise: NoiseModel) -> Denoiser:
    """A denoiser whose stretch is a straight line: it halves the distance from the level."""
    architecture = Architecture(bands=len(noise.bands), levels=2, skips=False, outputs=1)
    stretch = Stretch((1e7,) * len(noise.bands), noise.level)
    description = ModelDescription(architecture, noise.bands, stretch, noise, {}, sha256="ab" * 32)
    return Denoiser(Halved(), description, PREDICT)


@pytest.mark.parametrize("kind", ["tiff", "npy", "mrc", "hdf5", "fits"])
def test_every_frame_is_denoised_around_its_level(kind: str, tmp_path: Path) -> None:
    suffix, save = KINDS[kind]
    stack = make_stack(3, 20, 24, dtype="float32")
    save(tmp_path / f"in{suffix}", stack)
    file, out = StackFile(tmp_path / f"in{suffix}"), tmp_path / f"frames/out{suffix}"
    assert file.suffix == suffix
    denoise_stack(file, out, halver(unit_noise(("e",), 100.0)))
    with open_stack(out) as written:
        for index in range(3):
            np.testing.assert_allclose(written.read(index)[0], 100 + (stack[index] - 100) / 2, atol=2)


def test_frames_without_a_pixel_stay_and_single_bad_pixels_are_filled(tmp_path: Path, caplog) -> None:
    stack = np.full((3, 16, 16), 100, np.float32)
    stack[1] = np.nan
    stack[2, 5, 5] = np.inf
    np.save(tmp_path / "in.npy", stack)
    denoise_stack(StackFile(tmp_path / "in.npy"), tmp_path / "out.npy", halver(unit_noise(("e",), 100.0)))
    written = np.load(tmp_path / "out.npy")
    assert np.isnan(written[1]).all()
    np.testing.assert_allclose(written[[0, 2]], 100)
    assert "in.npy#00001 has no finite pixel" in caplog.text


def test_a_damaged_frame_leaves_no_stack(tmp_path: Path, monkeypatch) -> None:
    np.save(tmp_path / "in.npy", make_stack(3, 16, 16, dtype="float32"))
    real = np.fromfile

    def broken(path: Path, dtype: np.dtype, count: int, offset: int) -> np.ndarray:
        if offset > 2 * 16 * 16 * 4:
            raise OSError("Input/output error")
        return real(path, dtype, count, offset=offset)

    monkeypatch.setattr(np, "fromfile", broken)
    with pytest.raises(StepError, match=r"in.npy: frame 2 cannot be read: Input/output error"):
        denoise_stack(StackFile(tmp_path / "in.npy"), tmp_path / "out.npy", halver(unit_noise(("e",), 0.0)))
    assert [path.name for path in tmp_path.iterdir()] == ["in.npy"]


def test_scale_and_patches_come_from_all_stacks(tmp_path: Path) -> None:
    files = {}
    for number in range(OPEN + 3):
        np.save(tmp_path / f"{number}.npy", make_stack(2, 20, 20, dtype="float32") + number)
        files[f"s{number}"] = StackFile(tmp_path / f"{number}.npy")
    measure_stacks(files, ("e",), 5, tmp_path / "noise.json")
    noise = NoiseModel.from_json(json.loads((tmp_path / "noise.json").read_text()))
    assert noise.level[0] == pytest.approx(np.median([np.load(file.path) for file in files.values()]), abs=1)
    cut_frames(files, noise, PatchSettings(size=16, count=60), tmp_path / "patches")
    assert len({name.split("#")[0] for name in PatchSet.open(tmp_path / "patches").bricks}) == OPEN + 3


def test_no_more_frames_are_looked_at_than_patches_are_wanted(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", make_stack(50, 16, 16))
    files = {"a": StackFile(tmp_path / "a.npy")}
    summary = cut_frames(
        files, unit_noise(("e",), 0.0), PatchSettings(size=16, count=7), tmp_path / "patches"
    )
    assert len(summary.patches) == 7


def test_a_shelf_keeps_few_files_open(tmp_path: Path) -> None:
    files = {}
    for number in range(3 * OPEN):
        np.save(tmp_path / f"{number}.npy", np.full((1, 4, 5), number))
        files[str(number)] = StackFile(tmp_path / f"{number}.npy")
    with shelf(files) as stacks:
        assert len(frame_names(stacks)) == 3 * OPEN
        for number in (0, 3 * OPEN - 1, 5, 0):
            assert (stacks[str(number)].read(0) == number).all()
        lazy = stacks["0"].pixels
        assert len(lazy.shelf._open) == OPEN


ROW = {"brick": "a", "band": "", "image": Path("a.tif")}


def test_rows_of_stacks_are_known_by_their_files_or_by_their_axes() -> None:
    rows = [
        ListedImage("a", "", Path("a.tif")),
        ListedImage("b", "", Path("b.h5"), dataset="scan/data", axes="nyx"),
        ListedImage("c", "", Path("c.fits"), hdu=1, axes="nyx"),
    ]
    assert stacks_of(Path("t.tsv"), rows) == {
        "a": StackFile(Path("a.tif")),
        "b": StackFile(Path("b.h5"), "scan/data", "nyx"),
        "c": StackFile(Path("c.fits"), "1", "nyx"),
    }
    assert stacks_of(Path("t.tsv"), [ListedImage("a", "g", Path("a.fits"), plane=3)]) == {}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"plane": 0}, "stack a: column plane is for images of the sky"),
        ({"band": "g"}, "stack a: column band is for images of the sky"),
        ({"mask": Path("m.fits")}, "stack a: column mask is for"),
        ({"hdu": 1}, "stack a: give the column dataset or, for FITS alone, hdu"),
        ({"image": Path("a.png"), "axes": "nyx"}, "stack a: a.png: no kind of stack"),
    ],
)
def test_a_row_that_is_half_a_stack_is_refused(row: dict[str, object], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        stacks_of(Path("t.tsv"), [ListedImage(**ROW | row)])


@pytest.mark.parametrize(
    ("purpose", "message"),
    [
        ("train", "patches.size: 24 is more than the frames of"),
        ("predict", "predict.tile: 20 is more than the"),
    ],
)
def test_frames_that_are_too_small_are_refused_for_what_they_are_used_for(
    purpose: str, message: str, tmp_path: Path
) -> None:
    np.save(tmp_path / "a.npy", make_stack(2, 16, 40))
    purposes = {"train": [], "predict": []} | {purpose: ["a"]}
    files = {"a": StackFile(tmp_path / "a.npy")}
    with pytest.raises(SettingsError, match=message):
        check_files(files, purposes, ("e",), PatchSettings(size=24), PredictSettings(tile=20, overlap=0))


@pytest.mark.parametrize("channels", [1, 2, 5])
def test_the_picture_shows_the_first_channels(channels: int, tmp_path: Path) -> None:
    np.save(tmp_path / "in.npy", make_stack(3, channels, 24, 20, dtype="float32"))
    bands = tuple("abcde"[:channels])
    denoise_stack(StackFile(tmp_path / "in.npy"), tmp_path / "out.npy", halver(unit_noise(bands, 0.0)))
    draw_stack(StackFile(tmp_path / "in.npy"), tmp_path / "out.npy", tmp_path / "picture.png")
    with Image.open(tmp_path / "picture.png") as picture:
        assert picture.width > 700 * min(channels, 3)
        assert len(np.unique(np.asarray(picture.convert("L")))) > 50


def test_the_grey_scale_can_show_anything() -> None:
    low, high = grey_range(np.linspace(0, 1, 1001))
    assert (low, high) == pytest.approx((-0.2425, 1.2425), abs=1e-3)
    assert grey_range(np.full((4, 4), np.nan)) == (0, 1)
    assert np.diff(grey_range(np.ones((4, 4)))) > 0


def peak_of_copying(source: Path, target: Path) -> int:
    """Most bytes of arrays and objects while a stack is copied frame by frame."""
    tracemalloc.start()
    with open_stack(source) as stack, like(stack, target) as writer:
        for index in range(stack.frames):
            writer.write(index, stack.read(index))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


@pytest.mark.parametrize("kind", KINDS)
def test_reading_and_writing_take_no_more_memory_for_ten_times_the_frames(kind: str, tmp_path: Path) -> None:
    suffix, save = KINDS[kind]
    peaks, end = [], output_suffix(Path(f"a{suffix}"))
    for frames in (3, 10, 60):  # the first loads what is loaded once
        save(tmp_path / f"{frames}{suffix}", make_stack(frames, 64, 64, dtype="float32"))
        peaks.append(peak_of_copying(tmp_path / f"{frames}{suffix}", tmp_path / f"out{frames}{end}"))
    stack = 60 * 64 * 64 * 4
    assert peaks[2] - peaks[1] < 0.1 * stack


WHOLE_WAY = """
import resource, sys
from pathlib import Path
import numpy as np, tifffile, torch
from skydenoise.stacks.steps import cut_frames, denoise_stack
from skydenoise.stacks.table import StackFile
from skydenoise.patches import PatchSet
from skydenoise.config import PatchSettings
from skydenoise.train.loader import Feed
from tests.stacks.test_stacks import unit_noise
from tests.stacks.test_steps import halver

folder, noise = Path(sys.argv[1]), unit_noise(("e",), 0.0)
for frames in (40, 400):
    file = StackFile(folder / f"{frames}.tif")
    with tifffile.TiffWriter(file.path) as writer:
        for index in range(frames):
            writer.write(np.full((256, 256), index, np.float32), contiguous=True)
    cut_frames({"s": file}, noise, PatchSettings(size=64, count=32), folder / "patches")
    feed = Feed(PatchSet.open(folder / "patches"), noise, torch.device("cpu"))
    for _ in feed.batches(np.array_split(np.arange(32), 8)):
        pass
    denoise_stack(file, folder / f"out{frames}.tif", halver(noise))
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def test_the_whole_way_takes_no_more_memory_for_ten_times_the_frames(tmp_path: Path) -> None:
    """Cut, feed, denoise: 400 frames are 105 MB, and twice that in and out."""
    done = subprocess.run(
        [sys.executable, "-c", WHOLE_WAY, str(tmp_path)],
        cwd=Path(__file__).parents[2],
        text=True,
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr
    small, large = (int(line) for line in done.stdout.split())
    assert large - small < 25
