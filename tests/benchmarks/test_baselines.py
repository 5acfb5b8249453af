"""Learned baselines: trained for their time, and kept."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from quality_inputs import SIGMA, SMALL, brick_of, noise_model

from benchmarks.quality.baselines import BaselineRun, trained
from experiments.wang2021.baseline_training import BaselineTraining
from skydenoise.config import PatchSettings
from skydenoise.io import read_brick
from skydenoise.network import Network
from skydenoise.network.folder import ModelDescription, save_model
from skydenoise.patches import PatchSet, cut_patches
from skydenoise.simulate import BANDS, SimulationSettings, brick_names
from skydenoise.simulate.survey import simulate_brick
from skydenoise.stretch import Stretch

ELSEWHERE = "NVIDIA H100 80GB HBM3"


def training_for(seconds):
    noise = noise_model()
    images = SIGMA * noise.draw((32, 3, 32, 32), np.random.default_rng(2))
    patches = PatchSet(images, np.full_like(images, SIGMA**-2), np.array(["a"] * 32))
    return BaselineTraining(patches, noise, Stretch(3), seconds, seed=1, network=SMALL, tile=32, overlap=8)


def test_a_baseline_trains_for_its_time_removes_noise_and_is_kept(tmp_path):
    training = training_for(0.3)
    noisy = np.random.default_rng(3).standard_normal((3, 48, 48)).astype(np.float32) * SIGMA
    method, how = trained("Noise2Self", training, tmp_path)
    restored = method(brick_of(noisy))
    assert restored.shape == noisy.shape
    assert restored.std() < 0.5 * SIGMA
    kept, the_same = trained("Noise2Self", training, tmp_path)
    assert the_same == how
    np.testing.assert_array_equal(kept(brick_of(noisy)), restored)
    _, other = trained("Noise2Self", replace(training, seconds=0.05), tmp_path)
    assert (other["seconds"], other["patches"], other["patch"]) == (0.05, 32, 32)


def test_a_baseline_is_not_trained_as_long_as_a_model_was_elsewhere(tmp_path):
    training = replace(training_for(0.05), model_device=ELSEWHERE)
    with pytest.raises(SystemExit, match=rf"took 0\.05 s on {ELSEWHERE}, and this is CPU"):
        trained("Noise2Self", training, tmp_path)
    trained("Noise2Self", replace(training, model_device="CPU"), tmp_path)
    trained("Noise2Self", training, tmp_path)  # kept, wherever it was trained


def test_a_baseline_learns_beside_the_model_of_its_run(tmp_path):
    survey = SimulationSettings(size=64, bricks=1, missing=0)
    simulate_brick(*brick_names(survey), survey, tmp_path / "survey", tmp_path)
    cut(survey, tmp_path, count=4)
    made: dict[str, str | int | float] = {"seconds": 7, "device": ELSEWHERE}
    noise = noise_model()
    save_model(tmp_path / "model", Network(SMALL), ModelDescription(SMALL, BANDS, Stretch(10.0), noise, made))
    run = BaselineRun("decam", tmp_path, tmp_path / "model", device="cpu")
    training = run.training()
    assert (len(training.patches), training.seconds, training.model_device) == (4, 7, ELSEWHERE)
    assert training.stretched(np.full((3, 1, 1), 3 * SIGMA)) == pytest.approx(np.arcsinh(1), rel=1e-6)
    chosen = replace(run, seconds=2.0).training()
    assert (chosen.seconds, chosen.model_device) == (2.0, "")


def cut(survey, root, count):
    raw = root / "survey" / survey.release / survey.region / "coadd"
    read = partial(read_brick, raw, bands=BANDS)
    cut_patches(brick_names(survey), read, PatchSettings(size=16, count=count), root / "patches")
