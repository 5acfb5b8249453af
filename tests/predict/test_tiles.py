"""Tiles: every pixel is covered, and an identity network gives the image back."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from skydenoise.predict.tiles import Blender, TileGrid, axis_origins, cut_tiles, window


@st.composite
def grids(draw, most_overlap=1.0):
    tile = draw(st.integers(1, 24))
    overlap = draw(st.integers(0, min(tile - 1, int(most_overlap * tile))))
    height, width = (draw(st.integers(tile, 4 * tile + 3)) for _ in range(2))
    return TileGrid(height, width, tile, overlap)


@given(grids())
def test_tiles_reach_both_borders_and_share_at_least_the_overlap(grid):
    for origins, size in ((grid.rows, grid.height), (grid.columns, grid.width)):
        steps = np.diff(origins)
        assert origins[0] == 0
        assert origins[-1] + grid.tile == size
        assert (steps <= grid.tile - grid.overlap).all()
        assert steps.size == 0 or steps.max() - steps.min() <= 1
    assert len(grid.origins) == len(grid.rows) * len(grid.columns)


@given(grids())
def test_no_fewer_tiles_would_do(grid):
    fewer = len(grid.rows) - 1
    assert fewer * (grid.tile - grid.overlap) + grid.overlap < grid.height


@pytest.mark.parametrize(
    ("size", "tile", "overlap", "expected"),
    [(8, 8, 4, (0,)), (9, 8, 4, (0, 1)), (12, 8, 4, (0, 4)), (13, 8, 4, (0, 2, 5)), (16, 8, 0, (0, 8))],
)
def test_origins_of_known_axes(size, tile, overlap, expected):
    assert axis_origins(size, tile, overlap) == expected


def test_impossible_grids_are_refused():
    with pytest.raises(ValueError, match="7 pixels are fewer than a tile of 8"):
        TileGrid(8, 7, 8, 2)
    with pytest.raises(ValueError, match="overlap 8"):
        TileGrid(8, 8, 8, 8)


@given(st.integers(1, 300), st.data())
def test_window_is_positive_symmetric_and_flat_inside(tile, data):
    overlap = data.draw(st.integers(0, tile - 1))
    weight = window(tile, overlap)
    ramp = min(overlap, tile // 2)
    assert weight.min() > 0
    assert weight.max() <= 1
    np.testing.assert_array_equal(weight, weight[::-1])
    np.testing.assert_array_equal(weight[ramp : tile - ramp], 1)
    assert (np.diff(weight[:ramp]) >= 0).all()
    np.testing.assert_allclose(weight[:ramp] + weight[tile - ramp :], 1, rtol=1e-6)


@given(grids(most_overlap=7 / 8), st.integers(1, 3), st.integers(0, 2**32 - 1))
def test_an_identity_network_gives_every_pixel_back(grid, bands, seed):
    generator = np.random.default_rng(seed)
    values = generator.normal(size=(bands, grid.height, grid.width)) * 10 ** generator.uniform(-3, 5)
    image = torch.from_numpy(values.astype(np.float32))
    blender = Blender(grid, bands)
    origins = grid.origins
    for start in range(0, len(origins), 7):
        part = origins[start : start + 7]
        blender.add(part, cut_tiles(image, part, grid.tile))
    np.testing.assert_allclose(blender.result.numpy(), image.numpy(), rtol=1e-6)


def test_tiles_that_disagree_are_joined_without_a_seam():
    grid = TileGrid(64, 160, 64, 32)
    blender = Blender(grid, 1)
    for number, origin in enumerate(grid.origins):
        blender.add([origin], torch.full((1, 1, 64, 64), float(number)))
    blend = blender.result[0].numpy()
    row = blend[20]
    assert np.abs(np.diff(row)).max() < 1.1 * np.pi / 2 / 32  # the steepest slope of the raised cosine
    np.testing.assert_allclose(row[[0, 159]], [0, 3], atol=1e-5)
    assert np.ptp(blend, axis=0).max() < 1e-5


def test_a_tile_left_out_leaves_zero():
    grid = TileGrid(16, 24, 16, 8)
    blender = Blender(grid, 1)
    blender.add([grid.origins[0]], torch.ones((1, 1, 16, 16), dtype=torch.bfloat16))
    result = blender.result.numpy()
    assert (result[..., :8] == 1).all()
    assert (result[..., 16:] == 0).all()
