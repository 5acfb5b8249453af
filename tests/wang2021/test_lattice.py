"""Straightness is 0 for the truth and the bend of a bent lattice; sharpness falls with any blur."""

import dataclasses

import numpy as np
import pytest
from scipy import ndimage

from experiments.wang2021.lattice import lattices_of, sharpness, simulate, straightness
from experiments.wang2021.settings import LatticeSettings
from skydenoise.errors import SettingsError

SMALL = LatticeSettings(frames=2, size=320)


@pytest.fixture(scope="module")
def data():
    return simulate(SMALL, np.random.default_rng(0))


@pytest.fixture(scope="module")
def clean(data):
    return np.asarray(data.clean[0], dtype=float)


@pytest.fixture(scope="module")
def lattice(data):
    return lattices_of(data)[0]


def moved(image, shift):
    """The image with the row y of column x taken from y + shift(x)."""
    y, x = np.indices(image.shape, dtype=float)
    return ndimage.map_coordinates(image, [y + shift(x), x], order=3, mode="mirror")


def test_frames_are_counted_electrons_and_the_seed_decides(data):
    again = simulate(SMALL, np.random.default_rng(0))
    np.testing.assert_array_equal(again.noisy, data.noisy)
    pull = (data.noisy - data.clean) / np.sqrt(data.clean)
    assert abs(pull.mean()) < 0.01
    assert abs(pull.std() - 1) < 0.01


def test_columns_are_where_the_lattice_says(clean, lattice):
    heavy = lattice.heavy(lattice.cells())
    inside = heavy[((heavy > 8) & (heavy < SMALL.size - 8)).all(axis=1)]
    heights = ndimage.map_coordinates(clean, inside.T, order=3)
    assert len(inside) > 0.8 * SMALL.size**2 / np.prod(SMALL.cell)
    np.testing.assert_allclose(heights.mean(), SMALL.heavy + SMALL.background, rtol=0.05)
    np.testing.assert_allclose(heights.std(), SMALL.scatter * SMALL.heavy, rtol=0.3)


def test_the_truth_is_straight_and_sharp(clean, lattice):
    straight = straightness(clean, lattice, SMALL)
    assert straight["single"] < 0.005
    assert straight["long_range"] < 0.002
    assert straight["lost"] == 0
    assert sharpness(clean, clean, lattice, SMALL) == 1


def test_a_bend_is_measured_and_a_shift_or_strain_is_not(clean, lattice):
    wave = straightness(moved(clean, lambda x: 0.3 * np.sin(2 * np.pi * x / 256)), lattice, SMALL)
    np.testing.assert_allclose(wave["single"], 0.3 / 2, rtol=0.15)  # along one of two axes, sin**2 is 1/2
    assert wave["long_range"] > 0.5 * wave["single"]
    assert straightness(moved(clean, lambda x: 0.3 + x / 1000), lattice, SMALL)["single"] < 0.02


def test_scatter_of_single_columns_averages_out_over_a_baseline(data, lattice):
    noisy = straightness(data.noisy[0], lattice, SMALL)
    assert 0.05 < noisy["single"] < 0.6
    assert noisy["long_range"] < 0.5 * noisy["single"]


def test_a_blur_lowers_the_sharpness_and_noise_does_not(data, clean, lattice):
    values = [
        sharpness(ndimage.gaussian_filter(clean, width), clean, lattice, SMALL) for width in (0.4, 0.7, 1)
    ]
    assert 1 > values[0] > values[1] > values[2]
    assert abs(sharpness(data.noisy[0], clean, lattice, SMALL) - 1) < 0.35
    assert sharpness(np.full_like(clean, 0.7), clean, lattice, SMALL) == pytest.approx(0, abs=1e-9)


def test_a_frame_too_small_for_a_row_has_no_straightness():
    tiny = dataclasses.replace(SMALL, frames=1, size=136)
    data = simulate(tiny, np.random.default_rng(0))
    lattice = dataclasses.replace(lattices_of(data)[0], size=40)
    assert np.isnan(straightness(data.clean[0, :40, :40], lattice, tiny)["single"])


@pytest.mark.parametrize(
    "wrong", [{"frames": 0}, {"cell": (5.0, 16.0)}, {"cell": (12.0, 90.0)}, {"pair": 0.0}]
)
def test_impossible_lattices_are_refused(wrong):
    with pytest.raises(SettingsError, match=f"frames.{next(iter(wrong))}"):
        dataclasses.replace(SMALL, **wrong)
