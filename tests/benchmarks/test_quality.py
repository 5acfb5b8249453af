"""The quality benchmark as a whole: our own rows, its skies, the shipped models, every figure."""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from quality_inputs import SIGMA, SMALL, brick_of, noise_model, star

from benchmarks.quality import classical, ours
from benchmarks.quality.__main__ import Scale, judged, measure_all
from benchmarks.quality.methods import PRODUCT, REPOSITORY, Entrants, add_ours
from benchmarks.quality.rerun import Remembering, Workload
from benchmarks.quality.sky import SEEDS, make_sky, sky_settings
from skydenoise.config import PredictSettings, RecoverSettings
from skydenoise.network import Network
from skydenoise.network.folder import ModelDescription, read_description, save_model
from skydenoise.stretch import Stretch
from skydenoise.survey.bricks_table import read_bricks_table

FOLDER = Path(classical.__file__).parent


@pytest.fixture
def model(tmp_path):
    torch.manual_seed(1)
    noise = noise_model()
    description = ModelDescription(SMALL, noise.bands, Stretch(10.0), noise)
    save_model(tmp_path / "model", Network(SMALL), description)
    return tmp_path / "model"


def test_our_rows_are_the_network_bare_and_with_recover(model):
    entrants = Entrants()
    add_ours(entrants, model, model / "nowhere", "cpu")
    bare, product = entrants.restorers["bare network"], entrants.restorers[PRODUCT]
    assert not bare.denoiser.settings.recover.enabled
    assert product.denoiser.settings == PredictSettings()
    assert any("identity" in note and "no model" in note for note in entrants.notes)
    assert any("no uncertainty.json" in note for note in entrants.notes)
    brick = brick_of(np.kron(star(1000 * SIGMA, bands=3), np.ones((1, 4, 4))))
    assert bare(brick).shape == brick.image.shape


def test_settings_are_those_of_the_measured_uncertainty(model):
    settings = PredictSettings(tile=64, overlap=16, recover=RecoverSettings(growth=2.5))
    conditions = ours.load_denoiser(model, settings, "cpu").conditions
    (model / "uncertainty.json").write_text(json.dumps({"conditions": conditions}))
    assert ours.product_settings(model) == settings


def test_a_method_does_not_work_twice_on_the_same_pixels():
    calls = []

    def method(brick):
        calls.append(brick)
        return brick.image

    remembering, brick = Remembering(method), brick_of(np.ones((3, 8, 8)))
    for _ in range(2):
        remembering(brick)
    remembering(replace(brick, image=2 * brick.image))
    assert len(calls) == 2


@pytest.mark.parametrize("name", ["decam", "bass", "identity"])
def test_training_sees_other_skies_than_the_test(name):
    config = yaml.safe_load((FOLDER / f"{name}.yaml").read_text())
    rows = read_bricks_table(FOLDER / Path(config["bricks"]).name)
    assert sum(row.train for row in rows) >= 10
    assert config["simulation"]["seed"] not in SEEDS.values()


@pytest.mark.parametrize("name", ["decam", "bass", "identity"])
def test_the_shipped_models_were_trained_by_their_configurations(name):
    config = yaml.safe_load((FOLDER / f"{name}.yaml").read_text())
    made = read_description(REPOSITORY / f"models/{name}/model.json")
    settings = json.loads(made.provenance["settings"])
    assert {key: settings[key] for key in config["train"]} == config["train"]
    assert made.provenance["patches"] == round(0.95 * config["patches"]["count"])
    assert made.architecture.skips == config.get("model", {}).get("skips", True)
    assert (REPOSITORY / f"models/{name}/model.safetensors").stat().st_size < 8e6


def test_every_figure_of_a_small_sky_is_measured(tmp_path, model):
    sky = make_sky(sky_settings("decam", 1, 256), tmp_path)
    noise = sky.noise
    entrants = Entrants(
        {"noisy": classical.noisy, "starlet": partial(classical.starlet_threshold, noise=noise)}
    )
    add_ours(entrants, model, model, "cpu")
    workload = Workload(cutouts=1, size=256, rounds=3)
    figures = measure_all(sky, entrants, Scale(1, 256, workload, slow_cutouts=0))
    for measure in ("error", "background", "flux_bias", "false_detections", "linearity", "seconds"):
        assert figures.pick("noisy", measure), measure
    assert figures.pick("noisy", "error", "g")[0].value == pytest.approx(0.95, abs=0.05)
    assert figures.pick("noisy", "linearity", "r", "mean")[0].value == pytest.approx(1, abs=0.02)
    assert figures.pick("starlet", "error", "g")[0].value < 0.3
    assert {figure.measure for figure in figures} >= {"dual_scatter", "depth_gain_single", "seam", "leak"}
    verdicts = judged(entrants, figures)[PRODUCT]
    assert verdicts[0].measure == "rms error over the best classical peer"
    assert verdicts[0].cases == 3
