"""Spots are drawn where they are said to be, found again, and located to a thousandth of a pixel."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.wang2021.spots import add_spots, located, matched, peaks

SIGMA = 1.4


def drawn(positions, heights, background=0.0):
    image = np.full((40, 50), background)
    add_spots(image, np.array(positions, dtype=float), np.array(heights, dtype=float), SIGMA)
    return image


def test_a_spot_has_its_height_and_its_integral_and_adds_to_what_is_there():
    image = drawn([(20, 25)], [3.0], background=1.0)
    assert image[20, 25] == 4.0
    np.testing.assert_allclose((image - 1).sum(), 3 * 2 * np.pi * SIGMA**2, rtol=1e-3)
    twice = drawn([(20, 25), (20, 25)], [3.0, 3.0])
    np.testing.assert_allclose(twice, 2 * (image - 1))


def test_what_falls_beyond_the_edge_is_lost_and_nothing_wraps():
    image = drawn([(-1, 10)], [1.0])
    assert image[0, 10] > 0.5
    assert image[20:].max() == 0
    assert drawn(np.empty((0, 2)), []).max() == 0


@settings(deadline=None, max_examples=40)
@given(st.floats(10, 29), st.floats(10, 39), st.floats(0, 5), st.floats(-0.7, 0.7))
def test_a_spot_is_located_on_any_background_from_a_guess_that_is_off(y, x, background, off):
    image = drawn([(y, x)], [2.0], background)
    np.testing.assert_allclose(located(image, np.array([[y + off, x - off]]), SIGMA), [[y, x]], atol=2e-3)


def test_spots_at_the_edge_or_that_are_not_there_have_no_place():
    image = drawn([(20, 25), (1, 25)], [1.0, 1.0])
    places = located(image, np.array([(20.0, 25.0), (1.0, 25.0), (20.0, 31.0)]), SIGMA)
    assert np.isfinite(places[0]).all()
    assert np.isnan(places[1]).all()


def test_peaks_are_the_highest_pixels_in_the_region_brightest_first():
    image = drawn([(10, 10), (20, 30), (30, 45)], [1.0, 3.0, 2.0])
    where = np.ones(image.shape, dtype=bool)
    where[:, 40:] = False
    positions, heights = peaks(image, where & (image > 0.1), 2)
    np.testing.assert_array_equal(positions, [(20, 30), (10, 10)])
    np.testing.assert_allclose(heights, [3, 1])


def test_each_true_place_is_found_once_and_others_near_it_are_not_false():
    found = np.array([(0.0, 0.0), (0.0, 1.0), (9.0, 9.0)])
    true = np.array([(0.0, 0.4), (5.0, 5.0)])
    number, close = matched(found, true, 2)
    assert number == 1
    np.testing.assert_array_equal(close, [True, True, False])
    number, close = matched(np.array([(0.0, 0.0), (0.0, 2.0)]), np.array([(0.0, 1.5), (0.0, 0.9)]), 1.5)
    assert number == 2
    assert matched(np.empty((0, 2)), true, 2)[0] == 0
