"""The steps of an experiment: what is cut, denoised, kept and handed to the report."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from experiments.wang2021 import denoise
from experiments.wang2021.baseline_training import training_beside
from experiments.wang2021.baselines import Baseline
from experiments.wang2021.configuration import Configuration, Variant
from experiments.wang2021.denoise import denoise_last, denoise_variant, run_baseline
from experiments.wang2021.frames import Data, cut_frames
from experiments.wang2021.outcome import read_outcome
from experiments.wang2021.settings import GlyphSettings
from experiments.wang2021.snapshots import FollowedTraining, snapshots
from skydenoise.config import Architecture, PatchSettings, PredictSettings, RecoverSettings, TrainSettings
from skydenoise.errors import SettingsError
from skydenoise.network import load_model
from skydenoise.noise import NoiseModel
from skydenoise.patches import PatchSet
from skydenoise.train.job import TrainJob
from skydenoise.train.loop import train

TINY = Architecture(bands=1, levels=1, width=2, bottleneck=1, residual_blocks=0, outputs=1, skips=False)
WHOLE = PatchSettings(size=16, count=9)
SHORT = TrainSettings(objective="identity", loss="l1", epochs=4, batch_size=4, validation=0)
BARE = PredictSettings(tile=16, overlap=0, background="remove", recover=RecoverSettings(enabled=False))
VARIANT = Variant(TINY, WHOLE, SHORT, BARE)


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    """Ten frames of 16x16 with level 5 and a ramp; the last is not for training."""
    generator = np.random.default_rng(0)
    clean = np.broadcast_to(np.linspace(4, 6, 16, dtype=np.float32), (10, 16, 16))
    noisy = clean + generator.standard_normal(clean.shape).astype(np.float32)
    Data(noisy, clean, measured=3, followed=2, held_out=1, notes={"names": "abc"}).write(tmp_path)
    return tmp_path


def trained(frames: Path) -> Path:
    folder = frames / "plain"
    cut_frames(frames, WHOLE, folder / "patches")
    places = (folder / "patches", frames / "noise.json", folder / "model", folder / "training.csv")
    job = TrainJob(*places, folder / "tensorboard", TINY, SHORT, softening=10.0)
    train(job, partial(FollowedTraining, every=2))
    return folder


def outcome(frames: Path, *baselines: str, **variants: Variant):
    configuration = Configuration("a", "glyphs", 0, baselines, GlyphSettings(), variants, 3.0)
    return read_outcome(frames, configuration)


def test_data_come_back_as_they_were_written(frames: Path) -> None:
    data = Data.read(frames)
    assert (data.measured, data.followed, data.held_out, data.notes) == (3, 2, 1, {"names": "abc"})
    assert data.noisy.shape == data.clean.shape == (10, 16, 16)
    noise = NoiseModel.read(frames / "noise.json")
    assert noise.level == (pytest.approx(np.median(data.noisy)),)
    assert noise.sigma_sky == (pytest.approx(np.std(data.noisy), rel=0.01),)


@pytest.mark.parametrize("numbers", [{"held_out": 4}, {"measured": 5}, {"measured": 1, "followed": 2}])
def test_impossible_numbers_of_frames_are_refused(numbers: dict[str, int]) -> None:
    images = np.zeros((4, 8, 8), np.float32)
    with pytest.raises(ValueError, match="of 4 frames"):
        Data(images, images, **numbers)


def test_shapes_that_differ_are_refused() -> None:
    with pytest.raises(ValueError, match="not twice"):
        Data(np.zeros((4, 8, 9)), np.zeros((4, 8, 8)))


def test_patches_are_the_noisy_frames_but_those_held_out(frames: Path) -> None:
    cut_frames(frames, WHOLE, frames / "patches")
    images = PatchSet.open(frames / "patches").get(np.arange(9))[0]
    expected = Data.read(frames).noisy[:9]
    assert {each.tobytes() for each in images} == {each.tobytes() for each in expected}
    with pytest.raises(SettingsError, match="10 patches are asked for, 9 are possible"):
        cut_frames(frames, PatchSettings(size=16, count=10), frames / "more")


def test_a_variant_is_denoised_with_its_snapshots(frames: Path) -> None:
    folder = trained(frames)
    (folder / "epoch-00099.npy").write_bytes(b"of another training")

    denoise_variant(folder, BARE)

    done = outcome(frames, plain=VARIANT).variants["plain"]
    assert done.image.shape == (3, 16, 16)
    assert list(done.snapshots) == [2, 4]
    np.testing.assert_array_equal(done.snapshots[4], done.image[-2:])  # the last epoch is the model itself
    assert np.abs(done.snapshots[2] - done.snapshots[4]).max() > 0
    assert len(done.losses) == 4
    assert done.seconds == load_model(folder / "model")[1].provenance["seconds"]


def test_snapshots_are_models_of_their_epochs_and_those_of_an_earlier_training_go(frames: Path) -> None:
    folder = trained(frames)
    model = folder / "model"
    assert list(snapshots(model)) == [2, 4]
    early, kept = (load_model(snapshots(model)[epoch])[0].state_dict() for epoch in (2, 4))
    last = load_model(model)[0].state_dict()
    assert all(torch.equal(kept[name], last[name]) for name in last)
    assert any(not torch.equal(early[name], last[name]) for name in last)
    places = (folder / "patches", frames / "noise.json", model, folder / "training.csv")
    shorter = replace(SHORT, epochs=3)
    job = TrainJob(*places, folder / "tensorboard", TINY, shorter, softening=10.0)
    train(job, partial(FollowedTraining, every=3))
    assert list(snapshots(model)) == [3]


def test_the_last_frames_are_given_to_a_method_in_order(frames: Path) -> None:
    denoise_last(4, lambda brick: brick.image + 1, frames / "up/up.npy")
    np.testing.assert_allclose(np.load(frames / "up/up.npy"), Data.read(frames).noisy[-4:] + 1)


def test_a_baseline_learns_beside_a_model_from_its_patches_and_in_its_stretch(frames: Path) -> None:
    folder = trained(frames)
    training = training_beside(folder / "patches", folder / "model/model.json", BARE, seed=1)
    description = load_model(folder / "model")[1]
    assert training.seconds == description.provenance["seconds"]
    assert (training.stretch, training.noise.level) == (description.stretch, description.noise.level)
    assert (len(training.patches), training.tile, training.network.width) == (9, 16, TINY.width)
    assert training.batch == SHORT.batch_size
    run_baseline("Noise2Self", frames / "Noise2Self", replace(training, seconds=0.05))
    done = outcome(frames, "Noise2Self")
    assert done.seconds("Noise2Self") == 0.05
    assert done.images["Noise2Self"].shape == (3, 16, 16)
    assert done.images["Noise2Self"].mean() == pytest.approx(5, abs=1)  # counts again, not stretched values


def test_a_baseline_that_is_not_installed_is_left_out(frames: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(training, folder):
        raise ImportError("no careamics")

    monkeypatch.setitem(denoise.BASELINES, "Noise2Void", Baseline(missing, missing))
    folder = trained(frames)
    training = training_beside(folder / "patches", folder / "model/model.json", BARE, seed=1)
    run_baseline("Noise2Void", frames / "Noise2Void", training)
    done = outcome(frames, "Noise2Void")
    assert done.baselines == {}
    assert done.notes == ("Noise2Void left out: no careamics",)
