"""The frames of many stacks: as bricks, by their names, with level and rms, and cut into patches."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skydenoise.config import PatchSettings
from skydenoise.errors import SettingsError
from skydenoise.noise import NoiseModel
from skydenoise.patches import PatchSet
from skydenoise.stacks.pixels import StackFile
from skydenoise.stacks.series import cut_frames, evenly, frame_brick, measure_series, open_series
from skydenoise.stacks.stack import open_stack
from tests.stacks.builders import make_stack, unit_noise


def saved(folder: Path, **stacks: np.ndarray) -> dict[str, StackFile]:
    files = {}
    for name, stack in stacks.items():
        np.save(folder / f"{name}.npy", stack)
        files[name] = StackFile(folder / f"{name}.npy")
    return files


def test_a_frame_is_a_brick_whose_bad_pixels_have_no_weight(tmp_path: Path) -> None:
    stack = make_stack(3, 12, 10, dtype="float32")
    stack[1, 2, 3], stack[1, 4, 5] = np.nan, np.inf
    with open_stack(saved(tmp_path, s=stack)["s"]) as opened:
        brick = frame_brick(opened, 1, unit_noise(("e",), 5.0), "series")
    assert (brick.name, brick.bands, brick.shape) == ("series#00001", ("e",), (12, 10))
    assert np.count_nonzero(~brick.usable) == 2
    assert not brick.image[~brick.usable].any()
    np.testing.assert_array_equal(brick.image[brick.usable], stack[1][np.isfinite(stack[1])])
    assert set(brick.invvar[brick.usable]) == {np.float32(0.25)}


def test_frames_of_many_stacks_are_read_by_name_with_few_files_open(tmp_path: Path) -> None:
    files = saved(tmp_path, **{f"s{number}": np.full((2, 4, 5), number) for number in range(30)})
    with open_series(files, ("e",)) as series:
        assert len(series.names) == 60
        assert series.names[:3] == ["s0#00000", "s0#00001", "s1#00000"]
        for number in (0, 29, 5, 0):
            assert (series.read(f"s{number}#00001") == number).all()
            assert series.brick(f"s{number}#00000", unit_noise(("e",), 0.0)).name == f"s{number}#00000"


@given(st.integers(1, 200), st.integers(1, 100))
def test_at_most_so_many_names_are_spread_over_all(count: int, most: int) -> None:
    names = [f"{number:03d}" for number in range(count)]
    chosen = evenly(names, most)
    assert len(set(chosen)) == len(chosen) == min(most, count)
    assert sorted(chosen) == chosen
    if most > 1:
        assert (chosen[0], chosen[-1]) == (names[0], names[-1])


def test_level_and_rms_are_those_of_each_channel(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    first = generator.normal((50, -3), (4, 0.5), (20, 64, 64, 2)).astype(np.float32)
    first[3] = np.nan
    files = saved(tmp_path, a=first, b=first[:1])
    files = {name: StackFile(file.path, axes="nyxc") for name, file in files.items()}
    with open_series(files, ("u", "v")) as series:
        noise = measure_series(series)
    assert noise.bands == ("u", "v")
    assert noise.level == pytest.approx((50, -3), abs=0.1)
    assert noise.sigma_sky == pytest.approx((4, 0.5), rel=0.02)
    assert noise.correlation.shape == (2, 1, 1)
    assert NoiseModel.from_json(noise.to_json()) == noise
    message = r"survey.bands: 1 names \(e\) for .*a.npy, whose frames have 2"
    with pytest.raises(SettingsError, match=message), open_series(files, ("e",)):
        pass


@pytest.mark.parametrize(
    ("value", "message"), [(3.0, "the one value 3 in all pixels"), (np.nan, "no finite pixel")]
)
def test_frames_without_anything_in_them_are_refused(value: float, message: str, tmp_path: Path) -> None:
    files = saved(tmp_path, a=np.full((4, 16, 16), value))
    with open_series(files, ("e",)) as series, pytest.raises(SettingsError, match=message):
        measure_series(series)


def test_patches_are_cut_out_of_all_stacks(tmp_path: Path) -> None:
    arrays = {"first": make_stack(4, 24, 24), "second": make_stack(3, 40, 32)}
    settings = PatchSettings(size=16, count=30)
    skipped = cut_frames(saved(tmp_path, **arrays), unit_noise(("e",), 0.0), settings, tmp_path / "patches")
    assert skipped == {}
    patches = PatchSet.open(tmp_path / "patches")
    assert len(set(patches.bricks)) == 7
    stack, index = str(patches.bricks[0]).split("#")
    windows = np.lib.stride_tricks.sliding_window_view(arrays[stack][int(index)], (16, 16))
    assert (windows == patches.get([0])[0][0, 0]).all(axis=(2, 3)).any()


def test_no_more_frames_are_looked_at_than_patches_are_wanted(tmp_path: Path) -> None:
    files = saved(tmp_path, a=make_stack(50, 16, 16))
    settings = PatchSettings(size=16, count=7)
    cut_frames(files, unit_noise(("e",), 0.0), settings, tmp_path / "patches")
    assert len(set(PatchSet.open(tmp_path / "patches").bricks)) == 7
