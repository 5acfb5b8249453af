"""The residual against the measured noise."""

from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from skydenoise.config import OutputSettings
from skydenoise.evaluate import evaluate_residual
from skydenoise.evaluate.residual import residual_sums, residual_table
from skydenoise.io import Brick, Denoised, write_brick
from skydenoise.io.rawbrick import write_raw
from skydenoise.noise import NoiseModel
from skydenoise.noise.levels import noise_levels

SIZE, SIGMA = 256, 0.01


@pytest.fixture(scope="module")
def noise():
    lag = np.arange(-3, 4) ** 2
    correlation = np.exp(-np.add.outer(lag, lag) / 1.5)
    return NoiseModel(("z",), (SIGMA,), (1.25,), correlation[None], np.array([noise_levels(correlation, 3)]))


@pytest.fixture(scope="module")
def brick(noise):
    """Correlated noise alone; invvar claims less than there is, as the model's scale says; a hole."""
    image = SIGMA * noise.draw((1, SIZE, SIZE), np.random.default_rng(1))
    invvar = np.full(image.shape, (1.25 / SIGMA) ** 2, np.float32)
    invvar[0, 100:110, 50:60] = 0
    header = fits.Header({"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 0.15, "CRVAL2": 60.0})
    header.update({"CRPIX1": 1.0, "CRPIX2": 1.0, "CD1_1": -7e-5, "CD1_2": 0.0, "CD2_1": 0.0, "CD2_2": 7e-5})
    return Brick("0001p600", ("z",), image * (invvar > 0), invvar, np.zeros(image.shape, bool), (header,))


def denoised(image):
    return Denoised(image, np.full_like(image, SIGMA), np.zeros(image.shape[1:], np.int32))


def row_of(brick, image, noise, zone="all"):
    table = residual_table([residual_sums(brick, denoised(image), noise)], noise)
    return table[table["zone"] == zone][0]


def test_taken_noise_is_like_noise(brick, noise):
    row = row_of(brick, np.zeros_like(brick.image), noise)
    assert row["pixels"] == SIZE**2 - 100
    for name in ("rms", "starlet_1", "starlet_2", "starlet_3"):
        assert abs(row[name] - 1) < 4 * row[f"{name}_err"] < 0.2
    for lag in (1, 2):
        expected = row[f"expected_{lag}"]
        assert expected == pytest.approx(np.exp(-(lag**2) / 1.5))
        assert abs(row[f"correlation_{lag}"] - expected) < 4 * row[f"correlation_{lag}_err"] < 0.1
    assert abs(row["mean"]) < 4 * row["mean_err"]


def test_an_identity_takes_nothing(brick, noise):
    row = row_of(brick, brick.image, noise)
    assert row["mean"] == row["rms"] == row["starlet_1"] == 0
    assert np.isnan(row["correlation_1"])


def test_a_lost_background_shows_as_mean(brick, noise):
    row = row_of(brick, brick.image - np.float32(0.003), noise)
    assert row["mean"] == pytest.approx(0.003, rel=1e-3)
    assert row["mean_sigma"] == pytest.approx(0.3, rel=1e-3)


def test_structure_left_at_one_scale_shows_there(brick, noise):
    y, x = np.mgrid[:SIZE, :SIZE]
    waves = (2 * SIGMA * np.sin(2 * np.pi * x / 24) * np.sin(2 * np.pi * y / 24)).astype(np.float32)
    row = row_of(brick, waves[None], noise)
    assert row["starlet_3"] > 1.5
    assert row["starlet_1"] < 1.05


def test_sources_are_told_from_the_sky(brick, noise):
    image = np.zeros_like(brick.image)
    image[:, :64] = 5 * SIGMA
    assert row_of(brick, image, noise, "source")["mean_sigma"] == pytest.approx(-5, rel=0.05)
    assert row_of(brick, image, noise, "sky")["pixels"] == SIZE**2 - 100 - 64 * SIZE


def test_a_run_is_measured_and_unreadable_bricks_are_left_out(tmp_path, caplog, brick, noise):
    output = OutputSettings("lossless")
    for name in ("0001p600", "0002p600"):
        one = replace(brick, name=name)
        write_raw(tmp_path / "raw", one, output)
        write_brick(tmp_path / "run", one, denoised(np.zeros_like(brick.image)), output, {"key": "k"})
    names = ["0001p600", "0002p600", "0003p600"]
    evaluate_residual(names, tmp_path / "raw", tmp_path / "run", ("z",), noise, tmp_path)
    assert "0003p600" in caplog.text
    table = Table.read(tmp_path / "residual.ecsv")
    assert list(table["zone"]) == ["sky", "source", "all"]
    assert table["pixels"][2] == 2 * (SIZE**2 - 100)
    evaluate_residual([], tmp_path, tmp_path, ("z",), noise, tmp_path)
    assert len(Table.read(tmp_path / "residual.ecsv")) == 0
