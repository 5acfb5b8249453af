"""A run is measured on its bricks: every table is written, and holds what can be measured."""

import logging
from dataclasses import replace

import numpy as np
import pytest
import torch
from astropy.table import Table

from skydenoise.config import Architecture, EvaluationSettings, PredictSettings, RecoverSettings
from skydenoise.evaluate import run
from skydenoise.evaluate.figures.bricks import draw_bricks
from skydenoise.evaluate.run import evaluate_denoiser, evaluate_residual, evaluate_truth
from skydenoise.io import flag_bit
from skydenoise.network import ModelDescription
from skydenoise.predict.denoise import estimate_sky
from skydenoise.predict.denoiser import Denoiser
from skydenoise.stretch import Stretch
from tests.builders import (
    draw_noise,
    gaussians,
    make_brick,
    make_denoised,
    make_known,
    make_noise,
    places,
    write_products,
    write_truth,
)

NAMES = ["0001p600", "0002p600", "0003p600"]
BANDS, SIGMA, SIZE = ("g", "r"), (0.01, 0.02), 200
NOISE = make_noise(BANDS, SIGMA)
AGAINST_TRUTH = [
    "quality",
    "photometry",
    "colours",
    "coverage",
    "detection",
    "completeness",
    "purity",
    "stars",
]
AGAIN = ["injection", "leak", "seams", "risk", "aperture"]


def tables_in(folder, names):
    tables = {file.stem: Table.read(file) for file in folder.iterdir()}
    assert set(tables) == set(names)
    return tables


@pytest.fixture(scope="module")
def known():
    x, y = places(SIZE, 20, 25)
    flux = 10 ** np.random.default_rng(0).uniform(-0.3, 1.7, x.size)
    return make_known([gaussians((SIZE, SIZE), x, y, flux)] * 2, NOISE, x, y, flux)


@pytest.fixture(scope="module")
def simulated(tmp_path_factory, known):
    """Two bricks of known truth that lost 3 per cent, with an inpainted corner, and one of unknown truth."""
    folder = tmp_path_factory.mktemp("simulated")
    flags = np.zeros((SIZE, SIZE), np.int32)
    flags[:4, :4] = 1 << flag_bit("INPAINTED", 0)
    product = replace(known.denoised, image=np.float32(0.97) * known.truth, flags=flags)
    for name in NAMES:
        named = replace(known, brick=replace(known.brick, name=name))
        write_products(folder, named.brick, product)
        if name != NAMES[2]:
            write_truth(folder, named, 4.71)
    return folder


def test_a_run_is_compared_with_its_truth_over_all_bricks(simulated, tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        evaluate_truth(NAMES, simulated / "raw", simulated / "run", NOISE, tmp_path)
    assert "brick 0003p600" in caplog.text
    assert "no truth" in caplog.text
    tables = tables_in(tmp_path, AGAINST_TRUTH)
    assert set(tables["detection"]["method"]) == {"noisy", "denoised"}
    assert np.all(tables["detection"]["area"] > 0)
    assert set(tables["photometry"]["method"]) == {"noisy", "denoised", "dual"}
    assert {"snr_measured", "snr_detected"} < set(tables["photometry"]["binned_by"])
    assert not tables["stars"]["stars"].any()
    assert list(tables["quality"]["method"]) == ["noisy", "denoised"] * 2
    assert tables["quality"]["pixels"][0] == 2 * (SIZE**2 - 16)
    denoised = tables["photometry"][tables["photometry"]["method"] == "denoised"]
    np.testing.assert_allclose(denoised["bias_percent"][denoised["binned_by"] == "snr_above"], -3, atol=1e-4)


def test_without_any_truth_the_tables_are_empty(tmp_path):
    evaluate_truth([], tmp_path, tmp_path, NOISE, tmp_path / "evaluation")
    tables = tables_in(tmp_path / "evaluation", AGAINST_TRUTH)
    assert not any(len(table) for table in tables.values())


def test_a_brick_of_unknown_seeing_is_left_out(tmp_path, caplog, known):
    write_products(tmp_path, known.brick, known.denoised)
    write_truth(tmp_path, known)
    with caplog.at_level(logging.WARNING):
        evaluate_truth(NAMES[:1], tmp_path / "raw", tmp_path / "run", NOISE, tmp_path / "evaluation")
    assert "no card PSFFWHM" in caplog.text


def test_pictures_are_drawn_with_the_truth_where_it_is_known(simulated, tmp_path):
    draw_bricks(
        [NAMES[0], "0009p600"], simulated / "raw", simulated / "run", BANDS, tmp_path, "Simulated sky."
    )
    assert {file.name for file in tmp_path.iterdir()} == {"0001p600-brick.png", "0001p600-galaxies.png"}


class Dimming(torch.nn.Module):
    """Gives back 0.9 of the stretched image."""

    def forward(self, u):
        return (0.9 * u,)


@pytest.fixture(scope="module")
def denoiser():
    architecture = Architecture(bands=2, levels=2, outputs=1, skips=False)
    linear = Stretch(1e4)  # asinh is a straight line this far below the softening
    description = ModelDescription(architecture, BANDS, linear, NOISE, {}, sha256="ab" * 32)
    bare = RecoverSettings(enabled=False)
    settings = PredictSettings(tile=64, overlap=24, recover=bare, background="remove")
    return Denoiser(Dimming(), description, settings)


@pytest.fixture(scope="module")
def survey(tmp_path_factory, denoiser):
    """Two bricks of empty sky; the third was never written."""
    folder = tmp_path_factory.mktemp("survey")
    for number, name in enumerate(NAMES[:2]):
        brick = make_brick(draw_noise(NOISE, (SIZE, SIZE), number), SIGMA, name=name, x0=150 * number)
        image = estimate_sky(brick, NOISE, denoiser)[0]
        write_products(folder, brick, make_denoised(image, 0.9 * np.reshape(SIGMA, (2, 1, 1))))
    return folder


def evaluate(survey, denoiser, folder, settings, names=NAMES):
    evaluate_denoiser(names, survey / "raw", survey / "run", denoiser, settings, folder)
    return tables_in(folder, AGAIN)


def test_a_denoiser_is_measured(survey, denoiser, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(run, "CUTOUTS", 2)
    tables = evaluate(survey, denoiser, tmp_path, EvaluationSettings(24, (1.4, 1.3)))
    assert "0003p600" in caplog.text
    np.testing.assert_allclose(tables["injection"]["bias_percent"], -10, atol=0.1)
    assert 12 <= max(tables["injection"]["sources"]) < 24  # the others are in one band alone
    np.testing.assert_allclose(tables["leak"]["leak_percent"], 0, atol=0.01)
    assert set(tables["leak"]["method"]) == {"joint", "separate"}
    assert not tables["leak"]["leak_percent"][tables["leak"]["method"] == "separate"].any()
    for row in tables["risk"][tables["risk"]["zone"] == "all"]:
        assert abs(row["risk"] - 0.81) < 4 * row["risk_err"] < 0.1
        assert row["passed"] == pytest.approx(0.9, abs=0.02)
    assert set(tables["seams"]["kind"]) == {"step", "offset"}


def test_without_injections_the_rest_is_measured(survey, denoiser, tmp_path, monkeypatch):
    monkeypatch.setattr(run, "CUTOUTS", 1)
    tables = evaluate(survey, denoiser, tmp_path, EvaluationSettings(0))
    assert [len(tables[name]) for name in AGAIN] == [0, 0, 4, 6, 42]


def test_without_stars_nothing_is_injected_and_the_log_says_so(
    survey, denoiser, tmp_path, monkeypatch, caplog
):
    monkeypatch.setattr(run, "CUTOUTS", 1)
    tables = evaluate(survey, denoiser, tmp_path, EvaluationSettings(10), NAMES[:1])
    assert "evaluate.fwhm" in caplog.text
    assert len(tables["injection"]) == 0
    assert len(tables["risk"]) == 6


def test_without_bricks_the_tables_are_empty(denoiser, tmp_path):
    tables = evaluate(tmp_path, denoiser, tmp_path / "evaluation", EvaluationSettings(10), [])
    assert [len(table) for table in tables.values()] == [0] * len(AGAIN)


def test_residuals_are_measured_and_unreadable_bricks_are_left_out(survey, tmp_path, caplog):
    evaluate_residual(NAMES, survey / "raw", survey / "run", NOISE, tmp_path)
    assert "0003p600" in caplog.text
    table = Table.read(tmp_path / "residual.ecsv")
    assert list(table["zone"]) == ["sky", "source", "all"] * 2
    assert table["pixels"][2] == 2 * SIZE**2
    evaluate_residual([], tmp_path, tmp_path, NOISE, tmp_path)
    assert len(Table.read(tmp_path / "residual.ecsv")) == 0
