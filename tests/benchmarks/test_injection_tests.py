"""What is found in pure noise, and thresholds at which methods are equally deep."""

import numpy as np
import pytest

from benchmarks.quality.injection_tests import equal_threshold, search_noise
from skydenoise.evaluate.detection.matched import (
    flux_errors,
    matched_filter,
    moffats,
    point_flux,
    smoothing_filter,
)
from skydenoise.evaluate.detection.matches import Matches
from skydenoise.evaluate.detection.tables import threshold_at_purity
from skydenoise.evaluate.images import noise_brick
from tests.builders import make_brick, make_noise

BANDS, SIZE = ("g", "r"), 420
PSF, NOISE = moffats((5.0, 4.5)), make_noise(BANDS, width=4.0)
MATCHED = matched_filter(PSF, NOISE)


def matches_of(score, true, found):
    block = np.zeros(len(found), int)
    true, found = np.asarray(true, bool), np.asarray(found, float)
    return Matches(np.asarray(score, float), true, block, found, np.zeros((1, found.size)), block, 1, 2.0)


def test_equal_thresholds_find_equally_many():
    reference = matches_of([9, 8, 7, 6], [1, 1, 1, 0], [9, 8, 7, 3, 2, -np.inf])
    assert equal_threshold(reference, reference) == threshold_at_purity(reference) == 7
    assert equal_threshold(matches_of([2], [1], [0.5, 0.9, 0.1, 0.7, -np.inf, -np.inf]), reference) == 0.5
    assert equal_threshold(matches_of([2], [1], [0.5, 0.9, *[-np.inf] * 4]), reference) == -np.inf
    assert np.isnan(equal_threshold(reference, matches_of([1], [0], [1])))


def test_what_is_found_in_pure_noise_are_peaks_of_a_gaussian_field():
    """Few peaks above 4 sigma, many above 2, none in an image that is empty."""
    brick = make_brick(np.zeros((2, SIZE, SIZE)), bands=BANDS, pixel=1 / 3600)
    drawn = noise_brick(brick, NOISE, np.random.default_rng(5))
    peaks, arcmin2 = search_noise(drawn, lambda brick: brick.image, MATCHED, MATCHED, NOISE)
    assert arcmin2 == pytest.approx((SIZE - 30) ** 2 / 3600)
    narrow = smoothing_filter(PSF, NOISE)
    empty, _ = search_noise(drawn, lambda brick: np.zeros_like(brick.image), narrow, MATCHED, NOISE)
    assert empty["g+r"].score.size == 0
    # peaks of a Gaussian field (Adler 1981, "The Geometry of Random Fields"): their density above u is
    # (2 pi)**-1.5 * var(slope) * u * exp(-u**2 / 2) for high u
    usable = np.ones((2, 600, 600), bool)
    field = NOISE.draw(usable.shape, np.random.default_rng(6))
    errors = flux_errors(np.ones(usable.shape), usable, MATCHED)
    score = (point_flux(field, usable, MATCHED) / errors)[0, 20:-20, 20:-20]
    slope = np.diff(score, axis=1).var() / score.var()
    expected = {u: (2 * np.pi) ** -1.5 * slope * u * np.exp(-(u**2) / 2) * (SIZE - 30) ** 2 for u in (2, 4)}
    low, high = np.sum(peaks["g"].score >= 2), np.sum(peaks["g+r"].score >= 4)
    assert low == pytest.approx(expected[2], rel=0.35)
    assert high < expected[4] + 4 * np.sqrt(expected[4]) < low
