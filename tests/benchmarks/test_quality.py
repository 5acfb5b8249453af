"""The quality benchmark as a whole: our own rows, its skies, the shipped models, every measurement."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from quality_inputs import SIGMA, SMALL, brick_of, noise_model, star

from benchmarks.quality import bands, classical, depths
from benchmarks.quality.__main__ import measure_all
from benchmarks.quality.acceptance import judge
from benchmarks.quality.injection_tests import (
    Workload,
    diffuse_light,
    make_trials,
    noise_regions,
    with_photon_noise,
)
from benchmarks.quality.measurements import Measurements
from benchmarks.quality.methods import BARE, PRODUCT, Comparison, add_model, make_images
from benchmarks.quality.product import load_product
from benchmarks.quality.sky import SEEDS, make_sky, sky_settings
from skydenoise.config import PredictSettings
from skydenoise.evaluate.injection.inject import inject, make_canvas
from skydenoise.network import Network
from skydenoise.network.folder import ModelDescription, save_model
from skydenoise.stretch import Stretch
from skydenoise.survey.bricks_table import read_bricks_table

FOLDER = Path(classical.__file__).parent


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    torch.manual_seed(1)
    noise = noise_model()
    save_model(folder, Network(SMALL), ModelDescription(SMALL, noise.bands, Stretch(10.0), noise))
    return folder


def test_our_rows_are_the_bare_network_and_the_product(model):
    comparison = Comparison()
    add_model(comparison, model / "nowhere")
    assert comparison.notes == [f"{PRODUCT} left out: no model in nowhere"]
    add_model(comparison, model)
    bare, product = (comparison.products[name].denoiser.settings for name in (BARE, PRODUCT))
    assert (bare.recover.enabled, bare.background) == (False, "remove")
    assert product == PredictSettings()
    brick = brick_of(np.kron(star(1000 * SIGMA, bands=3), np.ones((1, 4, 4))))
    assert comparison.methods[PRODUCT](brick).shape == brick.image.shape


def test_diffuse_light_that_is_halved_is_missed_by_half(tmp_path):
    sky = make_sky(sky_settings("decam", 1, 192), tmp_path)
    trials = make_trials(sky, Workload(cutouts=1, size=128, rounds=1), np.random.default_rng(1))

    def half(brick):
        return brick.image / 2

    found = {each.bin: each for each in diffuse_light(sky, "half", half, trials) if each.band == "r"}
    wanted = {"level -1": -0.5, "level 1": -0.5, "gradient of 0.3": -0.15, "cloud of 0.2": -0.1}
    assert {name: each.value for name, each in found.items()} == pytest.approx(wanted, rel=1e-3)


def test_photon_noise_is_added_and_told(tmp_path):
    sky = make_sky(sky_settings("decam", 1, 400), tmp_path)
    brick, electrons = sky.scenes[0].brick, np.reshape(sky.electrons, (3, 1, 1))
    injection = inject(make_canvas(brick, sky.noise, sky.fwhm), np.random.default_rng(5), count=9)
    noisy = with_photon_noise(injection, brick, sky, np.random.default_rng(6))
    source = injection.brick.image - brick.image
    bright = (source * np.sqrt(brick.invvar) > 0.3) & (brick.invvar > 0)
    variance = (source / electrons)[bright]
    pull = (noisy.brick.image - injection.brick.image)[bright] / np.sqrt(variance)
    assert pull.std() == pytest.approx(1, rel=0.2)
    np.testing.assert_allclose(1 / noisy.brick.invvar[bright] - 1 / brick.invvar[bright], variance, rtol=0.02)
    assert (noisy.brick.invvar[brick.invvar == 0] == 0).all()


def test_what_is_put_back_into_noise_is_counted_by_its_sign(tmp_path):
    sky = make_sky(sky_settings("decam", 1, 192), tmp_path)
    trials = make_trials(sky, Workload(cutouts=1, size=128, rounds=1), np.random.default_rng(1))

    class Speckled:
        speck = 1.0

        def __call__(self, brick):
            image = np.zeros_like(brick.image)
            image[0, 3:5, 3:5], image[0, 9, 9], image[2, 5, 5] = self.speck, self.speck, -self.speck
            return image

        def with_settings(self, **_):
            bare = Speckled()
            bare.speck = 0.0
            return bare

    found = noise_regions(sky, "speckled", Speckled(), trials)
    counts = {(each.band, each.bin): round(each.value * 0.128**2) for each in found}
    assert {key: count for key, count in counts.items() if count} == {
        ("g", "positive"): 2,
        ("z", "negative"): 1,
    }


@pytest.mark.parametrize("name", ["decam", "bass", "reference"])
def test_training_sees_other_skies_than_the_test(name):
    config = yaml.safe_load((FOLDER / f"{name}.yaml").read_text())
    rows = read_bricks_table(FOLDER / Path(config["bricks"]).name)
    assert sum(row.train for row in rows) >= 10
    assert config["simulation"]["seed"] not in {*SEEDS.values(), depths.SEED}


def comparison_of(noise, model):
    methods = {"noisy": classical.noisy, "starlet": partial(classical.starlet_threshold, noise=noise)}
    comparison = Comparison(methods)
    add_model(comparison, model)
    return comparison


def test_every_measurement_of_a_small_sky_is_taken(tmp_path, model):
    sky = make_sky(sky_settings("decam", 1, 256), tmp_path)
    comparison = comparison_of(sky.noise, model)
    workload = Workload(cutouts=1, size=256, rounds=3)
    found = measure_all(sky, comparison, workload, slow_cutouts=0)
    for measure in ("error", "background", "flux_bias", "false_detections", "linearity", "seconds"):
        assert found.pick("noisy", measure), measure
    assert found.pick("noisy", "error", "g")[0].value == pytest.approx(0.95, abs=0.05)
    assert found.pick("noisy", "linearity", "r", "mean")[0].value == pytest.approx(1, abs=0.02)
    assert found.pick("starlet", "error", "g")[0].value < 0.3
    assert {each.measure for each in found} >= {
        "dual_scatter",
        "depth_gain_single",
        "seam",
        "leak",
        "diffuse_light",
    }
    assert found.pick(PRODUCT, "coverage_1")
    verdicts = judge(found, PRODUCT)
    assert verdicts[0].measure == "rms error over the best classical peer"
    assert verdicts[0].cases == 3


def test_each_depth_is_measured_in_units_of_its_own_noise(tmp_path, model):
    sky = make_sky(depths.depth_settings("resampled", 1, 256), tmp_path)
    comparison = comparison_of(sky.noise, model)
    images, _ = make_images(sky, comparison.methods)
    found = Measurements(depths.measure_depths(sky, comparison, images))
    errors = [each.value for each in found.pick("noisy", "sky_rms", "r")]
    assert errors == pytest.approx([1, 1, 1, 1], abs=0.06)
    assert [each.bin for each in found.pick("noisy", "error", "g")] == list(depths.PASSES.values())
    assert {each.bin for each in found.pick(PRODUCT, "coverage_1")} >= {"faint sky, 7 passes"}
    assert found.methods == ["noisy", "starlet", BARE, PRODUCT]
    assert {each.bin for each in found.pick(PRODUCT, "step_ratio")} == set(depths.PASSES.values())


def test_what_bands_borrow_is_counted_and_flagged(tmp_path, model):
    sky = make_sky(sky_settings("decam", 1, 256), tmp_path)
    trials = make_trials(sky, Workload(cutouts=1, size=256, rounds=3), np.random.default_rng(1))
    product = load_product(model)
    found = Measurements(
        [*bands.ways_compared(sky, product, trials), *bands.flag_shares(sky, product.denoiser, trials)]
    )
    assert found.methods == ["joint", "separate", "joint, flagged"]
    assert {each.measure for each in found} >= {"error", "leak", "seconds", "flagged", "false flags"}
    assert all(0 <= each.value <= 1 for each in found.pick("joint", "flagged"))
