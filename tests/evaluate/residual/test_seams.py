"""Seams of known height are found, and where there is none, none is."""

import numpy as np
import pytest

from skydenoise.evaluate.residual.seams import border_pairs, seam_sums, seam_table
from skydenoise.predict.tiles import TileGrid, axis_origins
from tests.builders import SIGMA, draw_noise, make_brick, make_noise

SIZE, TILE = 400, 64
GRID = TileGrid(SIZE, SIZE, TILE, 16)
NOISE = make_noise(width=2.0)


def smooth(seed):
    """What is left of the noise in a good result, and some sky that varies slowly."""
    y, x = np.mgrid[:SIZE, :SIZE]
    waves = 0.03 * SIGMA * np.sin(x / 40) * np.cos(y / 55)
    return (0.05 * draw_noise(NOISE, (SIZE, SIZE), seed) + waves).astype(np.float32)


def chequered(height, soft=False):
    """Tiles of alternating level, `height` apart: joined hard at each tile's first pixel, or blended."""
    starts, levels = np.array(GRID.rows), np.zeros(SIZE)
    if soft:
        knots = np.ravel(np.stack([starts[1:], starts[:-1] + TILE - 1], axis=1))
        values = np.ravel([[i % 2, (i + 1) % 2] for i in range(len(starts) - 1)])
        levels = np.interp(np.arange(SIZE), knots, values)
    else:
        for number, first in enumerate(starts):
            levels[first:] = number % 2
    return (height * np.add.outer(levels, levels)).astype(np.float32)[None]


def row_of(image, kind, brick=None):
    table = seam_table([seam_sums(brick or make_brick(image), image, NOISE, GRID)])
    return table[table["kind"] == kind][0]


@pytest.mark.parametrize("kind", ["step", "offset"])
def test_a_smooth_image_has_no_seam(kind):
    row = row_of(smooth(1), kind)
    assert abs(row["excess"]) < 4 * row["excess_err"]
    assert max(abs(row["amplitude"]), row["amplitude_err"]) < 0.02
    assert row["borders"] > 100


def test_hard_steps_are_as_high_as_they_are():
    # of the borders, first and last pixels of tiles, half have the step
    row = row_of(smooth(2) + chequered(0.1 * SIGMA), "step")
    assert row["amplitude"] == pytest.approx(0.1 / np.sqrt(2), rel=0.1)
    assert row["amplitude_err"] < 0.02


def test_blended_steps_show_across_the_strip_alone():
    image = 0.1 * smooth(3) + chequered(0.3 * SIGMA, soft=True)
    assert row_of(image, "offset")["amplitude"] == pytest.approx(0.3, rel=0.15)
    assert abs(row_of(image, "step")["amplitude"]) < 0.05


def test_bright_sources_and_holes_do_not_count():
    image = smooth(4)
    brick = make_brick(image)
    plain = row_of(image, "step", brick)
    image = image.copy()
    image[:, :, 100:300] += 100 * SIGMA * (1 + np.random.default_rng(5).random((SIZE, 200), np.float32))
    brick.invvar[:, :20] = 0
    row = row_of(image, "step", brick)
    assert abs(row["excess"]) < 4 * row["excess_err"]
    assert max(abs(row["amplitude"]), row["amplitude_err"]) < 0.02
    assert 0 < row["borders"] < 0.7 * plain["borders"]
    brick.invvar[:] = 0
    nothing = row_of(image, "step", brick)
    assert nothing["borders"] == 0
    assert np.isnan(nothing["amplitude"])


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
    assert len(seam_table([])) == 0
