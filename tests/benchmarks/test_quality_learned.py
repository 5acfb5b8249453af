"""Peers that learn: blind to the pixel they predict, trained for their time, kept; and one told the truth."""

import json
import sys
from dataclasses import asdict, replace
from functools import partial

import numpy as np
import pytest
import torch
from quality_inputs import SIGMA, SMALL, brick_of, noise_model

from benchmarks.quality.learned import learn
from benchmarks.quality.lesson import sky_lesson
from benchmarks.quality.told import ToldCourse, job_like, truth_patches
from experiments.wang2021 import noise2self, noise2void
from experiments.wang2021.baseline_training import BaselineTraining
from skydenoise.config import PatchSettings, TrainSettings
from skydenoise.io import read_brick
from skydenoise.io.atomic import write_json
from skydenoise.network import Network
from skydenoise.network.folder import ModelDescription, read_description, save_model
from skydenoise.noise import NoiseModel
from skydenoise.patches import PatchSet, cut_patches
from skydenoise.simulate import BANDS, SimulationSettings, brick_names
from skydenoise.simulate.survey import simulate_brick
from skydenoise.stretch import Stretch
from skydenoise.train.loop import train


def test_noise2self_never_sees_the_pixel_it_predicts():
    u = np.random.default_rng(1).standard_normal((3, 128, 128)).astype(np.float32)
    other = u.copy()
    other[:, 40, 50] += 100

    def network(tiles):
        return (tiles,)

    before, after = (noise2self.apply_network(network, each) for each in (u, other))
    np.testing.assert_array_equal(before[:, 40, 50], after[:, 40, 50])
    assert np.abs(after - before)[:, 39:42, 49:52].max() > 10


def test_the_grids_of_noise2self_cover_every_pixel_once():
    together = sum(noise2self.phases((8, 9), phase) for phase in range(noise2self.GRID**2))
    assert torch.equal(together, torch.ones(8, 9))


def lesson_of(noise: NoiseModel, seconds: float) -> BaselineTraining:
    images = SIGMA * noise.draw((32, 3, 32, 32), np.random.default_rng(2))
    patches = PatchSet((images,), (np.full_like(images, SIGMA**-2),), np.array(["a"] * 32))
    description = ModelDescription(SMALL, noise.bands, Stretch(10.0), noise)
    lesson = sky_lesson(patches, description, seconds, seed=1, device="cpu")
    return replace(lesson, network=SMALL, tile=32, overlap=8)


def test_noise2self_trains_for_its_time_removes_noise_and_is_kept(tmp_path):
    lesson = lesson_of(noise_model(), 0.3)
    u = np.random.default_rng(3).standard_normal((3, 48, 48)).astype(np.float32) * SIGMA
    method, how = learn("Noise2Self", lesson, tmp_path)
    restored = method(brick_of(u))
    assert restored.shape == u.shape
    assert restored.std() < 0.5 * SIGMA
    kept, again = learn("Noise2Self", lesson, tmp_path)
    assert again == how
    np.testing.assert_array_equal(kept(brick_of(u)), restored)
    _, other = learn("Noise2Self", replace(lesson, seconds=0.05), tmp_path)
    assert (other["seconds"], other["patches"], other["patch"]) == (0.05, 32, 32)


def test_a_peer_is_not_trained_as_long_as_a_model_was_elsewhere(tmp_path):
    noise = noise_model()
    made: dict[str, str | int | float] = {"seconds": 0.05, "device": "NVIDIA H100 80GB HBM3"}
    description = ModelDescription(SMALL, noise.bands, Stretch(10.0), noise, made)
    patches = lesson_of(noise, 0.1).patches
    assert sky_lesson(patches, description, 7.0, seed=1, device="cpu").model_device == ""
    lesson = replace(sky_lesson(patches, description, None, seed=1, device="cpu"), network=SMALL)
    with pytest.raises(SystemExit, match=r"took 0\.05 s on NVIDIA H100 80GB HBM3, and this is CPU"):
        learn("Noise2Self", lesson, tmp_path)
    learn("Noise2Self", replace(lesson, model_device="CPU"), tmp_path)
    learn("Noise2Self", lesson, tmp_path)  # kept, wherever it was trained


def test_a_network_is_told_the_truth_of_its_patches(tmp_path):
    survey = SimulationSettings(size=128, bricks=1, missing=0, seed=3)
    (name,) = brick_names(survey)
    simulate_brick(name, survey, tmp_path / "survey", tmp_path)
    read = partial(read_brick, tmp_path / "survey" / survey.release / survey.region / "coadd", bands=BANDS)
    cut_patches([name], read, PatchSettings(size=16, count=8), tmp_path / "patches")
    noisy, invvar = PatchSet.open(tmp_path / "patches").get(range(8))
    truth = truth_patches(tmp_path, tmp_path / "patches", BANDS, 16)
    assert np.median(np.abs((noisy - truth) * np.sqrt(invvar))[invvar > 0]) == pytest.approx(0.674, abs=0.05)
    settings = TrainSettings(epochs=1, batch_size=4, validation=0)
    noise = noise_model()
    made = {"settings": json.dumps(asdict(settings))}
    description = ModelDescription(SMALL, noise.bands, Stretch(10.0), noise, made)
    save_model(tmp_path / "model", Network(SMALL), description)
    write_json(tmp_path / "patches/noise.json", noise.to_json())
    train(job_like(tmp_path, tmp_path / "told"), partial(ToldCourse, run=tmp_path))
    told = read_description(tmp_path / "told/model.json")
    assert (told.provenance["target"], told.provenance["steps"]) == ("the truth", 2)
    assert told.stretch.softening == pytest.approx((10 * SIGMA,) * 3)


def test_the_stand_in_for_torchvision_goes_again():
    before = sys.modules.get("torchvision")
    with noise2void.torchvision_to_hand():
        assert "torchvision" in sys.modules
    if before is None:
        assert "torchvision" not in sys.modules or hasattr(sys.modules["torchvision"], "ops")
