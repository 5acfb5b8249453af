"""The steps of an experiment: what is cut, denoised, kept and handed to the report."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from experiments.wang2021.experiment import Data
from experiments.wang2021.files import read_data, read_noise, write_data
from experiments.wang2021.restore import denoise_last, denoise_variant, finish_baseline, leave_out_baseline
from experiments.wang2021.steps import cut, read_variant

from experiments.wang2021.configuration import Variant
from skydenoise.config import Architecture, PatchSettings, PredictSettings, RecoverSettings, TrainSettings
from skydenoise.errors import SettingsError
from skydenoise.network import load_model
from skydenoise.patches import PatchSet
from skydenoise.train.job import TrainJob
from skydenoise.train.loop import train

TINY = Architecture(bands=1, levels=1, width=2, bottleneck=1, residual_blocks=0, outputs=1, skips=False)
WHOLE = PatchSettings(size=16, count=9)
SHORT = TrainSettings(objective="identity", loss="l1", epochs=4, batch_size=4, validation=0, snapshots=2)
BARE = PredictSettings(tile=16, overlap=0, recover=RecoverSettings(enabled=False))


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    """Ten frames of 16x16 with level 5 and a ramp; the last is not for training."""
    generator = np.random.default_rng(0)
    clean = np.broadcast_to(np.linspace(4, 6, 16, dtype=np.float32), (10, 1, 16, 16))
    noisy = clean + generator.standard_normal(clean.shape).astype(np.float32)
    write_data(tmp_path, Data(noisy, clean, measured=3, followed=2, held_out=1, notes={"names": "abc"}))
    return tmp_path


def trained(frames: Path) -> Path:
    folder = frames / "plain"
    cut(frames, WHOLE, folder / "patches")
    places = (folder / "patches", frames / "noise.json", folder / "model", folder / "training.csv")
    train(TrainJob(*places, folder / "tensorboard", TINY, SHORT, softening=10.0))
    return folder


def test_data_come_back_as_they_were_written(frames: Path) -> None:
    data = read_data(frames)
    assert (data.measured, data.followed, data.held_out, data.notes) == (3, 2, 1, {"names": "abc"})
    assert data.noisy.shape == data.clean.shape == (10, 1, 16, 16)
    noise = read_noise(frames)
    assert noise.level == (pytest.approx(np.median(data.noisy)),)


@pytest.mark.parametrize(
    ("numbers", "said"),
    [
        ({"held_out": 4}, "held_out"),
        ({"measured": 5}, "measured"),
        ({"measured": 1, "followed": 2}, "followed"),
    ],
)
def test_impossible_numbers_of_frames_are_refused(numbers: dict[str, int], said: str) -> None:
    images = np.zeros((4, 1, 8, 8), np.float32)
    with pytest.raises(ValueError, match=said):
        Data(images, images, **numbers)


def test_shapes_that_differ_are_refused() -> None:
    with pytest.raises(ValueError, match="noisy and clean"):
        Data(np.zeros((4, 1, 8, 8)), np.zeros((4, 8, 8)))


def test_patches_are_the_noisy_frames_but_those_held_out(frames: Path) -> None:
    cut(frames, WHOLE, frames / "patches")
    patches = PatchSet.open(frames / "patches")
    images = patches.get(np.arange(9))[0]
    expected = read_data(frames).noisy[:9]
    assert {each.tobytes() for each in images} == {each.tobytes() for each in expected}
    with pytest.raises(SettingsError, match="10 patches are asked for, 9 are possible"):
        cut(frames, PatchSettings(size=16, count=10), frames / "more")


def test_a_variant_is_denoised_with_its_snapshots(frames: Path) -> None:
    folder = trained(frames)
    (folder / "epoch-00099.npy").write_bytes(b"of an earlier training")

    denoise_variant(frames, folder, BARE)

    variant = Variant(TINY, WHOLE, SHORT, BARE)
    done = read_variant(folder, variant)
    assert done.variant == variant
    assert done.image.shape == (3, 1, 16, 16)
    assert list(done.snapshots) == [2, 4]
    np.testing.assert_array_equal(done.snapshots[4], done.image[-2:])  # the last epoch is the model itself
    assert np.abs(done.snapshots[2] - done.snapshots[4]).max() > 0
    assert [row.epoch for row in done.curve] == [1, 2, 3, 4]
    assert done.curve[-1].validation is None
    assert done.seconds == done.curve[-1].seconds


def test_the_last_frames_are_given_to_a_method_in_order(frames: Path) -> None:
    denoise_last(frames, 4, lambda brick: brick.image + 1, frames / "up.npy")
    np.testing.assert_allclose(np.load(frames / "up.npy"), read_data(frames).noisy[-4:] + 1)


def test_a_baseline_is_finished_or_left_out(frames: Path) -> None:
    finish_baseline(frames, frames / "baseline", lambda brick: brick.image, 7.0)
    assert json.loads((frames / "baseline/baseline.json").read_text()) == {"seconds": 7.0, "left_out": ""}
    assert len(np.load(frames / "baseline/denoised.npy")) == 3
    leave_out_baseline(frames / "baseline", "not installed")
    assert json.loads((frames / "baseline/baseline.json").read_text())["left_out"] == "not installed"
    assert not (frames / "baseline/denoised.npy").exists()


def test_a_baseline_learns_beside_a_model_from_its_patches_and_in_its_stretch(frames: Path) -> None:
    folder = trained(frames)
    lesson = frames_lesson(folder / "patches", folder / "model/model.json", BARE, seed=1)
    assert lesson.seconds == load_model(folder / "model")[1].provenance["seconds"]
    assert lesson.stretch.offset == read_noise(frames).level
    assert (len(lesson.patches), lesson.tile, lesson.network.width) == (9, 16, TINY.width)
    assert lesson.batch == SHORT.batch_size
    method, _ = learn("Noise2Self", replace(lesson, seconds=0.05), frames / "kept")
    denoise_last(frames, 2, method, frames / "baseline.npy")
    images = np.load(frames / "baseline.npy")
    assert images.shape == (2, 1, 16, 16)
    assert images.mean() == pytest.approx(5, abs=1)  # fluxes again, not stretched values
