"""Stein's estimate agrees with the error against a truth that it never sees."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage, stats

from skydenoise.evaluate.residual.sure import probed, sure_sums, sure_table
from tests.builders import SIGMA, gaussians, make_brick, make_noise

SIZE, SCALE = 256, 0.9
NOISE = make_noise(width=2.0, scale=(SCALE,), scale_error=(0.009,))


def sky(generator):
    x, y = generator.uniform(0, SIZE, (2, 25))
    return gaussians((SIZE, SIZE), x, y, np.full(25, 5 * SIGMA * 8 * np.pi))[None].astype(np.float32)


def brick_of(truth, generator, noise=NOISE):
    """Half of it four times as deep, and a hole."""
    brick = make_brick(truth, SIGMA / SCALE)
    brick.invvar[..., : SIZE // 2] *= 4
    brick.invvar[:, 30:40, 30:40] = 0
    image = truth + noise.sigma(brick.invvar) * noise.draw(truth.shape, generator)
    return replace(brick, image=image * (brick.invvar > 0))


def smoother(brick):
    return ndimage.gaussian_filter(brick.image, (0, 1.2, 1.2))


def rows_of(bricks, method, noise=NOISE):
    generator = np.random.default_rng(9)
    parts = [probed(brick, method, method(brick), noise, generator) for brick in bricks]
    sums = [sure_sums(part, noise.bands) for part in parts]
    return {row["zone"]: row for row in sure_table(sums, noise)}


def test_of_a_linear_smoother():
    generator = np.random.default_rng(1)
    truths = [sky(generator) for _ in range(3)]
    bricks = [brick_of(truth, generator) for truth in truths]
    row = rows_of(bricks, smoother)["all"]
    error = np.stack([smoother(brick) - truth for brick, truth in zip(bricks, truths, strict=True)])
    usable = np.stack([brick.usable for brick in bricks])
    sigma = np.stack([NOISE.sigma(brick.invvar) for brick in bricks])
    risk = np.mean((error[usable] / sigma[usable]) ** 2)
    assert abs(row["risk"] - risk) < 3 * row["risk_err"] < 0.1 * risk
    assert row["error"] == pytest.approx(np.sqrt(row["risk"]))
    assert row["pixels"] == usable.sum()


def test_of_an_identity_the_noise_is_all_that_is_left():
    generator = np.random.default_rng(2)
    zones = rows_of([brick_of(sky(generator), generator)], lambda brick: brick.image)
    assert set(zones) == {"sky", "source", "all"}
    for row in zones.values():
        assert abs(row["risk"] - 1) < 4 * row["risk_err"] < 0.2
        assert abs(row["passed"] - 1) < 4 * row["passed_err"] < 0.1
    assert zones["sky"]["pixels"] + zones["source"]["pixels"] == zones["all"]["pixels"]


def soft_threshold(brick):
    limit = np.divide(SCALE, np.sqrt(brick.invvar), out=np.zeros_like(brick.image), where=brick.invvar > 0)
    return np.sign(brick.image) * np.maximum(np.abs(brick.image) - limit, 0)


@pytest.mark.parametrize("level", [0.0, 8.0])
def test_of_a_soft_threshold_the_textbook_risk(level):
    """At t = 1: 2 ((1 + t^2) Phi(-t) - t phi(t)) without a signal, 1 + t^2 far above it (Donoho 1995)."""
    noise = make_noise(width=0.1, scale=(SCALE,))
    generator = np.random.default_rng(3)
    truth = np.full((1, SIZE, SIZE), level * SIGMA, np.float32)
    textbook = 2 if level else 2 * (2 * stats.norm.cdf(-1) - stats.norm.pdf(1))
    bricks = [brick_of(truth, generator, noise) for _ in range(3)]
    # the deep half sees twice the signal: the risk is the same
    row = rows_of(bricks, soft_threshold, noise)["all"]
    assert abs(row["risk"] - textbook) < 4 * row["risk_err"] < 0.2
    assert np.isnan(row["risk_scale_err"])  # nothing says how well the strength is known


def test_in_empty_sky_a_good_method_errs_little():
    empty = np.zeros((1, SIZE, SIZE), np.float32)
    row = rows_of([brick_of(empty, np.random.default_rng(4))], lambda brick: 0 * brick.image)["sky"]
    assert abs(row["risk"]) < 4 * row["risk_err"] < 0.1
    assert row["passed"] == 0
    assert row["risk_scale_err"] == pytest.approx(2 * 0.01, rel=0.05)  # the strength is known to 1 per cent


def test_noise_that_is_stronger_than_thought_counts_as_error_within_its_doubt():
    brick = brick_of(np.zeros((1, SIZE, SIZE), np.float32), np.random.default_rng(5))
    louder = replace(brick, image=np.float32(1.01) * brick.image)
    before, after = (rows_of([one], smoother)["sky"] for one in (brick, louder))
    assert after["risk"] - before["risk"] == pytest.approx(before["risk_scale_err"], rel=0.1)


def test_a_cutout_without_coverage_has_no_risk():
    brick = make_brick(np.zeros((1, 64, 64)))
    brick.invvar[:] = 0
    rows = rows_of([brick], smoother).values()
    assert np.isnan([row["risk"] for row in rows]).all()
    assert not any(row["pixels"] for row in rows)
    assert len(sure_table([], NOISE)) == 0
