"""Stein's estimate agrees with the error against a truth that it never sees."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage, stats

from skydenoise.evaluate.again.risk import risk_sums, risk_table
from skydenoise.io import Brick
from skydenoise.noise import NoiseModel
from skydenoise.noise.levels import noise_levels
from skydenoise.predict.stein import STRENGTH, squared_error

SIZE, SIGMA, SCALE = 256, 0.01, 0.9


def noise_of(width, scale_error=()):
    lag = np.arange(-4, 5)
    correlation = np.exp(-(lag[:, None] ** 2 + lag**2) / width)
    levels = np.array([noise_levels(correlation, 3)])
    return NoiseModel(("r",), (SIGMA,), (SCALE,), correlation[None], levels, scale_error)


@pytest.fixture(scope="module")
def noise():
    return noise_of(2.0, (0.009,))


def sky(generator, sources=25):
    y, x = np.indices((SIZE, SIZE))
    truth = np.zeros((1, SIZE, SIZE), np.float32)
    for row, column in generator.uniform(0, SIZE, (sources, 2)):
        truth += (5 * SIGMA * np.exp(-((y - row) ** 2 + (x - column) ** 2) / 8)).astype(np.float32)
    return truth


def brick_of(truth, noise, generator):
    """Half of it four times as deep, and a hole."""
    invvar = np.full(truth.shape, (SCALE / SIGMA) ** 2, np.float32)
    invvar[..., : SIZE // 2] *= 4
    invvar[:, 30:40, 30:40] = 0
    image = truth + noise.sigma(invvar) * noise.draw(truth.shape, generator)
    return Brick("0001p600", ("r",), image * (invvar > 0), invvar, np.zeros(truth.shape, bool), ())


def smoother(brick):
    return ndimage.gaussian_filter(brick.image, (0, 1.2, 1.2))


def rows_of(bricks, method, noise):
    generator = np.random.default_rng(9)
    table = risk_table({"m": [risk_sums(brick, method, noise, generator) for brick in bricks]}, noise)
    return {row["zone"]: row for row in table}


def test_of_a_linear_smoother(noise):
    generator = np.random.default_rng(1)
    truths = [sky(generator) for _ in range(3)]
    bricks = [brick_of(truth, noise, generator) for truth in truths]
    row = rows_of(bricks, smoother, noise)["all"]
    error = np.stack([smoother(brick) - truth for brick, truth in zip(bricks, truths, strict=True)])
    usable = np.stack([brick.usable for brick in bricks])
    sigma = np.stack([noise.sigma(brick.invvar) for brick in bricks])
    true_risk = np.mean((error[usable] / sigma[usable]) ** 2)
    assert abs(row["risk"] - true_risk) < 3 * row["risk_err"] < 0.1 * true_risk
    assert abs(row["mse"] - np.mean(error[usable] ** 2)) < 3 * row["mse_err"]
    assert row["error"] == pytest.approx(np.sqrt(row["risk"]))
    assert row["pixels"] == usable.sum()


def test_of_an_identity_the_noise_is_all_that_is_left(noise):
    generator = np.random.default_rng(2)
    zones = rows_of([brick_of(sky(generator), noise, generator)], lambda brick: brick.image, noise)
    assert set(zones) == {"sky", "source", "all"}
    for row in zones.values():
        assert abs(row["risk"] - 1) < 4 * row["risk_err"] < 0.2
        assert abs(row["passed"] - 1) < 4 * row["passed_err"] < 0.1
    assert zones["sky"]["pixels"] + zones["source"]["pixels"] == zones["all"]["pixels"]
    # half of the pixels have the noise SIGMA, half of them half of it
    assert zones["all"]["mse"] == pytest.approx(0.625 * SIGMA**2, rel=0.1)


def soft_threshold(brick):
    limit = np.divide(SCALE, np.sqrt(brick.invvar), out=np.zeros_like(brick.image), where=brick.invvar > 0)
    return np.sign(brick.image) * np.maximum(np.abs(brick.image) - limit, 0)


@pytest.mark.parametrize("level", [0.0, 8.0])
def test_of_a_soft_threshold_the_textbook_risk(level):
    """At t = 1: 2 ((1 + t^2) Phi(-t) - t phi(t)) without a signal, 1 + t^2 far above it (Donoho 1995)."""
    noise = noise_of(0.1)
    generator = np.random.default_rng(3)
    truth = np.full((1, SIZE, SIZE), level * SIGMA, np.float32)
    textbook = 2 if level else 2 * (2 * stats.norm.cdf(-1) - stats.norm.pdf(1))
    sums = [
        risk_sums(brick_of(truth, noise, generator), soft_threshold, noise, generator, strength=0.1)
        for _ in range(3)
    ]
    # the deep half sees twice the signal: the risk is the same
    row = risk_table({"soft": sums}, noise)[2]
    assert abs(row["risk"] - textbook) < 4 * row["risk_err"] < 0.2


def test_in_empty_sky_a_good_method_errs_little(noise):
    generator = np.random.default_rng(4)
    row = rows_of([brick_of(0 * sky(generator, 0), noise, generator)], lambda brick: 0 * brick.image, noise)[
        "sky"
    ]
    assert abs(row["risk"]) < 4 * row["risk_err"] < 0.1
    assert row["passed"] == 0
    assert row["risk_scale_err"] == pytest.approx(2 * 0.01, rel=0.05)  # the strength is known to 1 per cent
    assert row["mse_scale_err"] == pytest.approx(2 * 0.01 * 0.625 * SIGMA**2, rel=0.01)


def test_noise_that_is_stronger_than_thought_counts_as_error_within_its_doubt(noise):
    generator = np.random.default_rng(5)
    brick = brick_of(sky(generator, 0), noise, generator)
    louder = replace(brick, image=np.float32(1.01) * brick.image)
    before, after = (rows_of([one], smoother, noise)["sky"] for one in (brick, louder))
    assert after["risk"] - before["risk"] == pytest.approx(before["risk_scale_err"], rel=0.1)


def test_what_is_known_is_not_computed_again(noise):
    generator = np.random.default_rng(6)
    brick = brick_of(sky(generator), noise, generator)
    calls = []

    def counted(brick):
        calls.append(1)
        return smoother(brick)

    twice = risk_sums(brick, counted, noise, np.random.default_rng(0))
    once = risk_sums(brick, counted, noise, np.random.default_rng(0), denoised=smoother(brick))
    assert len(calls) == 3
    np.testing.assert_array_equal(twice["r", "all"], once["r", "all"])


def test_a_cutout_without_coverage_has_no_risk(noise):
    empty = np.zeros((1, 64, 64), np.float32)
    brick = Brick("0001p600", ("r",), empty, empty, np.zeros(empty.shape, bool), ())
    table = risk_table({"m": [risk_sums(brick, smoother, noise, np.random.default_rng(0))]}, noise)
    assert np.isnan(table["risk"]).all()
    assert (table["pixels"] == 0).all()
    assert len(risk_table({}, noise)) == 0


def test_the_formula_is_unbiased_for_a_scaling():
    """f = a x of pure noise: the error is a^2."""
    z, probe = np.random.default_rng(7).standard_normal((2, 400_000))
    for share in (0.0, 0.3, 1.0):
        estimate = squared_error((1 - share) * z, probe, share * STRENGTH * probe)
        assert estimate.mean() == pytest.approx(share**2, abs=4 * estimate.std() / np.sqrt(z.size))
