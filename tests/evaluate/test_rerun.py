"""A run's denoiser is measured on its bricks: every table is written, and holds what can be measured."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from astropy.io import fits
from astropy.table import Table

from skydenoise.config import (
    Architecture,
    EvaluationSettings,
    OutputSettings,
    PredictSettings,
    RecoverSettings,
)
from skydenoise.evaluate.again import rerun
from skydenoise.evaluate.again.rerun import Cutout, evaluate_denoiser, inject_many
from skydenoise.io import Brick, Denoised, write_brick
from skydenoise.io.rawbrick import write_raw
from skydenoise.network import ModelDescription
from skydenoise.noise import NoiseModel
from skydenoise.noise.levels import noise_levels
from skydenoise.predict.denoise import Denoiser, estimate_sky
from skydenoise.stretch import Stretch

BANDS, SIGMA, SIZE = ("g", "r"), (0.01, 0.02), 200
TABLES = ("injection", "injected_colours", "leak", "seams", "overlaps", "risk")
LOSSLESS = OutputSettings("lossless")


class Dimming(torch.nn.Module):
    """Gives back 0.9 of the stretched image."""

    def forward(self, u):
        return (0.9 * u,)


@pytest.fixture(scope="module")
def denoiser():
    correlation = np.zeros((2, 5, 5))
    correlation[:, 2, 2] = 1
    levels = np.stack([noise_levels(function, 3) for function in correlation])
    noise = NoiseModel(BANDS, SIGMA, (1.0, 1.0), correlation, levels)
    architecture = Architecture(bands=2, levels=2, outputs=1, skips=False)
    linear = Stretch(1e4)  # asinh is a straight line this far below the softening
    description = ModelDescription(architecture, BANDS, linear, noise, {}, sha256="ab" * 32)
    settings = PredictSettings(
        tile=64, overlap=24, recover=RecoverSettings(enabled=False), background="remove"
    )
    return Denoiser(Dimming(), description, settings)


def make_brick(denoiser, name, x0, seed):
    cards = {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 0.15, "CRVAL2": 60.0}
    cards |= {"CRPIX1": 100.5 - x0, "CRPIX2": 100.5, "CD1_1": -7.3e-5, "CD1_2": 0.0}
    header = fits.Header(cards | {"CD2_1": 0.0, "CD2_2": 7.3e-5})
    sigma = np.array(SIGMA, np.float32)[:, None, None]
    noise = denoiser.description.noise.draw((2, SIZE, SIZE), np.random.default_rng(seed))
    invvar = np.broadcast_to(1 / sigma**2, noise.shape).copy()
    return Brick(name, BANDS, sigma * noise, invvar, np.zeros(noise.shape, bool), (header,) * 2)


@pytest.fixture(scope="module")
def survey(tmp_path_factory, denoiser):
    """Two bricks that overlap by 50 pixels, and a third that was never written."""
    folder = tmp_path_factory.mktemp("survey")
    for number, name in enumerate(("0001p600", "0002p600")):
        brick = make_brick(denoiser, name, 150 * number, seed=number)
        image = estimate_sky(brick, denoiser.description.noise, denoiser)[0]
        sigma = np.full_like(image, 0.9) * np.array(SIGMA, np.float32)[:, None, None]
        write_raw(folder / "raw", brick, LOSSLESS)
        denoised = Denoised(image, sigma, np.zeros((SIZE, SIZE), np.int32))
        write_brick(folder / "run", brick, denoised, LOSSLESS, {"key": "k"})
    return folder


def evaluate(survey, denoiser, folder, settings, names=("0001p600", "0002p600", "0003p600")):
    evaluate_denoiser(names, survey / "raw", survey / "run", denoiser, settings, folder)
    return {name: Table.read(folder / f"{name}.ecsv") for name in TABLES}


def test_every_table_is_written(survey, denoiser, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(rerun, "CUTOUTS", 4)
    tables = evaluate(survey, denoiser, tmp_path, EvaluationSettings(40, (1.4, 1.3)))
    assert "0003p600" in caplog.text
    np.testing.assert_allclose(tables["injection"]["bias_percent"], -10, atol=0.1)
    assert 20 < max(tables["injection"]["sources"]) < 40  # the others are in one band alone
    np.testing.assert_allclose(tables["leak"]["leak_percent"], 0, atol=0.01)
    np.testing.assert_allclose(tables["injected_colours"]["bias_mag"], 0, atol=1e-3)
    for row in tables["risk"][tables["risk"]["zone"] == "all"]:
        assert abs(row["risk"] - 0.81) < 4 * row["risk_err"] < 0.1
        assert row["passed"] == pytest.approx(0.9, abs=0.02)
    assert set(tables["seams"]["kind"]) == {"step", "offset"}
    for row in tables["overlaps"]:
        assert row["pairs"] == 1
        assert row["pixels"] > 0.9 * 50 * SIZE * 0.7  # a part of white noise is no sky
        assert row["expected"] == pytest.approx(row["rms"], rel=0.03)  # no noise is shared


def test_without_injections_the_rest_is_measured(survey, denoiser, tmp_path, monkeypatch):
    monkeypatch.setattr(rerun, "CUTOUTS", 1)
    tables = evaluate(survey, denoiser, tmp_path, EvaluationSettings(0))
    lengths = {name: len(table) for name, table in tables.items()}
    assert lengths == {
        "injection": 0,
        "injected_colours": 0,
        "leak": 0,
        "seams": 4,
        "overlaps": 2,
        "risk": 6,
    }


def test_without_stars_nothing_is_injected_and_the_log_says_so(
    survey, denoiser, tmp_path, monkeypatch, caplog
):
    monkeypatch.setattr(rerun, "CUTOUTS", 1)
    tables = evaluate(survey, denoiser, tmp_path, EvaluationSettings(10), names=["0001p600"])
    assert "evaluate.fwhm" in caplog.text
    assert len(tables["injection"]) == 0
    assert len(tables["risk"]) == 6


def test_without_bricks_the_tables_are_empty(denoiser, tmp_path):
    tables = evaluate(tmp_path, denoiser, tmp_path, EvaluationSettings(10), names=[])
    assert [len(table) for table in tables.values()] == [0] * len(TABLES)


def test_a_crowded_cutout_has_no_room(denoiser):
    brick = make_brick(denoiser, "0001p600", 0, seed=5)
    y, x = np.mgrid[:SIZE, :SIZE]
    crowd = (np.sin(x / 3) * np.sin(y / 3) > 0.9).astype(np.float32)
    full = replace(brick, image=brick.image + crowd)
    noise, generator = denoiser.description.noise, np.random.default_rng(0)

    def identity(brick):
        return brick.image

    def put(*bricks):
        cutouts = [Cutout(each, (5.0, 5.0)) for each in bricks]
        return inject_many(cutouts, [each.image for each in bricks], identity, noise, generator, 12)

    assert put(full) is None
    assert put(full, brick).flux.shape == (2, 12)
    assert (put(brick).alone >= 0).any()  # of few sources some are in one band alone
    assert inject_many([Cutout(brick, ())], [brick.image], identity, noise, generator, 12) is None
