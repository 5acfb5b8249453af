"""Seams of known height are found, and where there is none, none is."""

import numpy as np
import pytest
from astropy.io import fits

from skydenoise.evaluate.again.overlaps import (
    Pair,
    expected_square,
    overlap_pixels,
    overlap_sums,
    overlap_table,
    shared_noise,
)
from skydenoise.evaluate.again.seams import border_pairs, seam_sums, seam_table
from skydenoise.io import Brick, Denoised
from skydenoise.noise import NoiseModel
from skydenoise.noise.levels import noise_levels
from skydenoise.predict.tiles import TileGrid, axis_origins

SIZE, SIGMA, TILE, OVERLAP = 400, 0.01, 64, 16
GRID = TileGrid(SIZE, SIZE, TILE, OVERLAP)


def header(x0=0.0, ra=10.0):
    cards = {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": ra, "CRVAL2": 60.0}
    cards |= {"CRPIX1": 200.5 - x0, "CRPIX2": 200.5, "CD1_1": -7.3e-5, "CD1_2": 0.0}
    return fits.Header(cards | {"CD2_1": 0.0, "CD2_2": 7.3e-5})


@pytest.fixture(scope="module")
def noise():
    lag = np.arange(-3, 4)
    correlation = np.exp(-(lag[:, None] ** 2 + lag**2) / 2.0)
    return NoiseModel(("r",), (SIGMA,), (1.0,), correlation[None], np.array([noise_levels(correlation, 3)]))


def make_brick(image, x0=0.0):
    invvar = np.full(image.shape, SIGMA**-2, np.float32)
    return Brick("0001p600", ("r",), image, invvar, np.zeros(image.shape, bool), (header(x0),))


def smooth(noise, seed, level=0.05):
    """What is left of the noise in a good result, and some sky that varies slowly."""
    y, x = np.mgrid[:SIZE, :SIZE]
    waves = 0.03 * SIGMA * np.sin(x / 40) * np.cos(y / 55)
    return (level * SIGMA * noise.draw((1, SIZE, SIZE), np.random.default_rng(seed)) + waves).astype(
        np.float32
    )


def chequered(height, soft=False):
    """Tiles of alternating level, `height` apart: joined hard at each tile's first pixel, or blended."""
    levels = np.zeros(SIZE)
    if soft:
        starts = np.array(GRID.rows)
        knots = np.ravel(np.stack([starts[1:], starts[:-1] + TILE - 1], axis=1))
        values = np.ravel([[i % 2, (i + 1) % 2] for i in range(len(starts) - 1)])
        levels = np.interp(np.arange(SIZE), knots, values)
    else:
        for number, first in enumerate(GRID.rows):
            levels[first:] = number % 2
    return (height * (levels[:, None] + levels)).astype(np.float32)[None]


def amplitude(image, noise, kind, brick=None):
    table = seam_table({"denoised": [seam_sums(brick or make_brick(image), image, noise, GRID)]})
    row = table[table["kind"] == kind][0]
    return row["amplitude"], row["amplitude_err"], row


@pytest.mark.parametrize("kind", ["step", "offset"])
def test_a_smooth_image_has_no_seam(noise, kind):
    found, error, row = amplitude(smooth(noise, 1), noise, kind)
    assert abs(row["excess"]) < 4 * row["excess_err"]
    assert max(abs(found), error) < 0.02
    assert row["borders"] > 100


def test_hard_steps_are_as_high_as_they_are(noise):
    # of the borders, first and last pixels of tiles, half have the step
    found, error, row = amplitude(smooth(noise, 2) + chequered(0.1 * SIGMA), noise, "step")
    assert found == pytest.approx(0.1 / np.sqrt(2), rel=0.1)
    assert error < 0.02
    assert row["at_borders"] > 3 * row["inside"]


def test_blended_steps_show_across_the_strip_alone(noise):
    flat = smooth(noise, 3) * 0.1
    image = flat + chequered(0.3 * SIGMA, soft=True)
    assert amplitude(image, noise, "offset")[0] == pytest.approx(0.3, rel=0.15)
    assert abs(amplitude(image, noise, "step")[0]) < 0.05


def test_bright_sources_and_holes_do_not_count(noise):
    image = smooth(noise, 4)
    brick = make_brick(image)
    plain = amplitude(image, noise, "step", brick)[2]
    image = image.copy()
    image[:, :, 100:300] += 100 * SIGMA * (1 + np.random.default_rng(5).random((SIZE, 200), np.float32))
    brick.invvar[:, :20] = 0
    found, error, row = amplitude(image, noise, "step", brick)
    assert abs(row["excess"]) < 4 * row["excess_err"]
    assert max(abs(found), error) < 0.02
    assert 0 < row["borders"] < 0.7 * plain["borders"]
    brick.invvar[:] = 0
    nothing = amplitude(image, noise, "step", brick)
    assert nothing[2]["borders"] == 0
    assert np.isnan(nothing[0])


@pytest.mark.parametrize(
    ("tile", "overlap", "size"), [(64, 16, 400), (64, 0, 256), (64, 48, 200), (64, 16, 64)]
)
def test_pairs_lie_where_they_should(tile, overlap, size):
    origins = axis_origins(size, tile, overlap)
    borders = {*origins[1:], *(first + tile for first in origins[:-1])}
    border, inside = border_pairs(origins, tile, "step")
    assert {int(after) for after in border[:, 1]} == borders
    assert (np.diff(border) == 1).all()
    assert borders.isdisjoint(inside[:, 1])
    across, apart = border_pairs(origins, tile, "offset")
    assert len(across) == len(origins) - 1
    for low, high in apart:
        assert not any(low < edge <= high for edge in borders)
    assert apart.max(initial=0) < size


def test_no_brick_no_rows():
    assert len(seam_table({})) == len(seam_table({"denoised": []})) == 0
    assert len(overlap_table({})) == len(overlap_table({"denoised": []})) == 0


def test_pixels_of_the_same_sky_are_paired():
    (y, x), (other_y, other_x) = overlap_pixels(header(), header(250.2), (400, 400), (400, 300))
    np.testing.assert_array_equal(y, other_y)
    assert x.size == 400 * 150
    np.testing.assert_array_equal(x - 250, other_x)
    assert overlap_pixels(header(), header(450), (400, 400), (400, 400)) is None
    assert overlap_pixels(header(), header(ra=190.0), (400, 400), (400, 400)) is None


def pair_of(noise, shared, step=0.0, passed=0.1):
    """Two bricks, 250 pixels apart, of flat sky; the method leaves a share of the noise."""
    wide = noise.draw((1, SIZE, SIZE + 250), np.random.default_rng(6))
    other = noise.draw((1, SIZE, SIZE), np.random.default_rng(7))
    sides = []
    for number, part in enumerate((wide[..., :SIZE], wide[..., 250:])):
        z = part if shared or number == 0 else other
        brick = make_brick((SIGMA * z).astype(np.float32), 250 * number)
        image = (SIGMA * (passed * z + step * number)).astype(np.float32)
        denoised = Denoised(image, np.full_like(image, passed * SIGMA), np.zeros((SIZE, SIZE), np.int32))
        sides.append(Pair(brick, denoised))
    return overlap_table({"denoised": [overlap_sums(*sides, noise)]})[0]


def test_bricks_that_share_their_noise_agree(noise):
    row = pair_of(noise, shared=True)
    assert row["pixels"] == 400 * 150
    assert row["shared"] == pytest.approx(1)
    assert row["mean"] == pytest.approx(0, abs=1e-6)
    assert row["rms"] == pytest.approx(row["expected"], abs=1e-4)


def test_an_offset_between_bricks_is_a_seam(noise):
    row = pair_of(noise, shared=True, step=0.05)
    assert row["mean"] == pytest.approx(-0.05, abs=1e-5)
    assert row["rms"] > row["expected"] + 0.04


def test_noise_that_is_not_shared_is_expected_to_differ(noise):
    row = pair_of(noise, shared=False)
    assert abs(row["shared"]) < 4 * row["shared_err"] + 0.01
    assert row["expected"] == pytest.approx(0.1 * np.sqrt(2), rel=0.05)
    assert abs(row["rms"] - row["expected"]) < 4 * row["rms_err"]
    assert abs(row["mean"]) < 4 * row["mean_err"]


def test_what_is_expected_falls_with_what_is_shared():
    np.testing.assert_allclose(shared_noise(np.array([0.0, 1.0, 2.0, 3.0])), [1, 0.5, 0, 0])
    np.testing.assert_allclose(expected_square(np.array([0.0, 1.0, 2.0]), 0.02), [0, 0.01, 0.02])


def test_bricks_far_apart_have_nothing_to_compare(noise):
    image = smooth(noise, 8)
    denoised = Denoised(image, np.full_like(image, SIGMA), np.zeros((SIZE, SIZE), np.int32))
    assert (
        overlap_sums(Pair(make_brick(image), denoised), Pair(make_brick(image, 900), denoised), noise) is None
    )
