"""Denoised stacks, and that memory does not grow with them."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from skydenoise.config import PatchSettings
from skydenoise.errors import SettingsError, StepError
from skydenoise.stacks.denoise import denoise_stack
from skydenoise.stacks.pixels import StackFile
from skydenoise.stacks.series import cut_frames
from skydenoise.stacks.stack import open_stack
from tests.stacks.builders import halver, make_stack, save, unit_noise


@pytest.mark.parametrize("kind", ["tiff", "npy", "mrc", "hdf5", "fits"])
def test_every_frame_is_denoised_around_its_level(kind: str, tmp_path: Path) -> None:
    stack = make_stack(3, 20, 24, dtype="float32")
    source = save(kind, tmp_path, stack)
    out = tmp_path / f"frames/out{source.suffix}"
    denoise_stack(StackFile(source), out, halver(unit_noise(("e",), 100.0)))
    with open_stack(StackFile(out)) as written:
        for index in range(3):
            np.testing.assert_allclose(written.read(index)[0], 100 + (stack[index] - 100) / 2, atol=2)


def test_frames_without_a_pixel_stay_and_single_bad_pixels_are_filled(tmp_path: Path, caplog) -> None:
    stack = np.full((3, 16, 16), 100, np.float32)
    stack[1] = np.nan
    stack[2, 5, 5] = np.inf
    source = save("npy", tmp_path, stack)
    denoise_stack(StackFile(source), tmp_path / "out.npy", halver(unit_noise(("e",), 100.0)))
    written = np.load(tmp_path / "out.npy")
    assert np.isnan(written[1]).all()
    np.testing.assert_allclose(written[[0, 2]], 100)
    assert "in.npy#00001 has no finite pixel" in caplog.text


def test_other_channels_than_the_model_s_are_refused(tmp_path: Path) -> None:
    source = save("npy", tmp_path, make_stack(2, 3, 16, 16))
    with pytest.raises(SettingsError, match="whose frames have 3 channels"):
        denoise_stack(StackFile(source), tmp_path / "out.npy", halver(unit_noise(("e",), 0.0)))


def test_a_damaged_frame_leaves_no_stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = save("npy", tmp_path, make_stack(3, 16, 16, dtype="float32"))
    real = np.fromfile

    def broken(path: Path, dtype: np.dtype, count: int, offset: int) -> np.ndarray:
        if offset > 2 * 16 * 16 * 4:
            raise OSError("Input/output error")
        return real(path, dtype, count, offset=offset)

    monkeypatch.setattr(np, "fromfile", broken)
    with pytest.raises(StepError, match=r"in.npy: frame 2 cannot be read: Input/output error"):
        denoise_stack(StackFile(source), tmp_path / "out.npy", halver(unit_noise(("e",), 0.0)))
    assert list(tmp_path.iterdir()) == [source]


def test_the_whole_way_takes_no_more_memory_for_ten_times_the_frames(tmp_path: Path) -> None:
    noise, peaks = unit_noise(("e",), 0.0), []
    for frames in (3, 4, 40):  # the first loads what is loaded once
        file = StackFile(save("tiff", tmp_path, np.full((frames, 48, 48), 3, np.float32)))
        tracemalloc.start()
        cut_frames({"s": file}, noise, PatchSettings(size=32, count=8), tmp_path / "patches")
        denoise_stack(file, tmp_path / "out.tif", halver(noise))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[2] - peaks[1] < 0.2 * 40 * 48 * 48 * 4
