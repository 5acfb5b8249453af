"""Detection: what is found, what of it is true, and how deep; in noise as correlated as a coadd's."""

from dataclasses import replace

import numpy as np
import pytest

from skydenoise.evaluate.aperture import variance_of_sum
from skydenoise.evaluate.detection.detect import Peaks, detect, find_peaks, search_field
from skydenoise.evaluate.detection.matched import (
    combined,
    flux_errors,
    matched_filter,
    moffats,
    point_flux,
    smoothing_filter,
)
from skydenoise.evaluate.detection.matches import Matches, compare, compare_peaks, match, pool
from skydenoise.evaluate.detection.tables import (
    completeness,
    completeness_table,
    detection_table,
    found_edges,
    magnitude_limit,
    purity_table,
    threshold_at_purity,
)
from tests.builders import SIGMA, make_known, make_noise, places, stamps

BANDS, SIZE = ("g", "r"), 420
PSF = moffats((5.0, 4.5))
NOISE = make_noise(BANDS, width=4.0)  # rho(1 px) = 0.78: smoother than any coadd
MATCHED = matched_filter(PSF, NOISE)
ERROR = SIGMA * MATCHED.error[:, None]


def make_field(x, y, flux, seed=0, noisy=True):
    """Points of flux (band, n) at whole pixels of an arcsec in correlated noise."""
    truth = stamps((SIZE, SIZE), x, y, flux, PSF)
    drawn = None if noisy else np.zeros(truth.shape)
    return make_known(truth, NOISE, x, y, flux, seed=seed, drawn=drawn, pixel=1 / 3600)


def images_of(known):
    return {"noisy": known.brick.image, "perfect": known.truth}


def grid_of(significance, seed=0):
    """Points of one significance in each band on a grid wide enough that none disturbs another."""
    x, y = places(SIZE, 30, 19)
    return make_field(x, y, np.outer(significance * ERROR, np.ones(x.size)), seed)


def test_the_filter_measures_the_flux_of_a_point():
    known = make_field([200], [180], np.array([[3.0], [5.0]]), noisy=False)
    for kind in (MATCHED, smoothing_filter(PSF, NOISE)):
        flux = point_flux(known.truth, known.measured, kind)[:, 180, 200]
        np.testing.assert_allclose(flux, (3, 5), rtol=1e-5)


def test_scores_of_noise_have_unit_variance_in_each_band_and_combined():
    drawn = SIGMA * NOISE.draw((2, 600, 600), np.random.default_rng(1))
    usable = np.ones(drawn.shape, bool)
    errors = flux_errors(np.full(drawn.shape, SIGMA), usable, MATCHED)
    score = (point_flux(drawn, usable, MATCHED) / errors)[:, 20:-20, 20:-20]
    assert score[0].std() == pytest.approx(1, abs=0.05)
    assert combined(score).std() == pytest.approx(1, abs=0.05)


def test_no_filter_is_better_than_the_matched_one():
    """The point spread function itself, which is best in white noise, has a larger error in this noise."""
    white = make_noise(BANDS)
    for band, psf in enumerate(MATCHED.psf):
        plain = psf / np.sum(psf**2)
        assert MATCHED.error[band] < np.sqrt(variance_of_sum(plain, NOISE.correlation[band]))
        # correlated noise averages out less
        assert MATCHED.error[band] > 1.5 * np.sqrt(variance_of_sum(plain, white.correlation[band]))


def test_masked_pixels_neither_add_flux_nor_can_be_searched():
    known = make_field([200], [180], np.array([[3.0], [5.0]]))
    usable = known.measured.copy()
    usable[:, 100:130, 100:130] = False
    image = np.where(usable, known.brick.image, np.float32(1e6))
    errors = flux_errors(np.full(image.shape, SIGMA), usable, MATCHED)
    assert np.abs(point_flux(image, usable, MATCHED) / errors).max() < 200
    assert np.isinf(errors[:, 115, 115]).all()
    assert np.isfinite(errors[:, 180, 200]).all()


def test_half_of_the_sources_at_the_threshold_are_found():
    """A source of significance 5 scores 5 +- 1: a threshold of 5 finds one in two, 4 finds 84 %, 6 16 %."""
    known = grid_of(5.0)
    found = detect(known, {"noisy": known.brick.image}, NOISE, PSF)
    score = point_flux(known.brick.image, known.measured, MATCHED)[0] / found.field.flux_error[0]
    at_sources = score[found.field.y.astype(int), found.field.x.astype(int)]
    assert np.mean(at_sources >= 5) == pytest.approx(0.5, abs=0.1)
    matches = compare(found)["noisy", "g"]
    for threshold, share in ((4, 0.84), (5, 0.5), (6, 0.16)):
        listed, shown = completeness(matches, 0, threshold, None, found_edges(matches, 0))
        # the highest of the pixels around a source lies a little above the score of its centre
        assert shown.sum() / listed.sum() == pytest.approx(share + 0.06, abs=0.1)


def test_two_bands_go_deeper_than_one():
    known = grid_of(4.0)
    found = compare(detect(known, images_of(known), NOISE, PSF))
    both, one = (np.mean(found["noisy", search].found >= 5) for search in ("g+r", "g"))
    assert both > 0.65 > 0.4 > one  # 4 sqrt(2) = 5.7


def test_a_plateau_is_one_peak_and_peaks_are_found_between_pixels():
    score = np.zeros((40, 40))
    score[10:13, 10:13] = 5
    rows = np.arange(40)
    score += 8 * np.exp(-((rows[:, None] - 25.3) ** 2 + (rows - 28.4) ** 2) / 8)
    searched = np.ones(score.shape, bool)
    peaks = find_peaks(score, searched)
    assert peaks.score.size == 2
    assert (peaks.x[0], peaks.y[0]) == pytest.approx((28.4, 25.3), abs=0.02)
    searched[:20] = False
    assert find_peaks(score, searched).score.size == 1


def test_each_source_takes_the_highest_peak_and_no_peak_is_two_sources():
    peaks = Peaks(np.array([10.0, 11, 50]), np.array([10.0, 10, 50]), np.array([9.0, 5, 3]))
    x, y = np.array([11.0, 10, 30]), np.array([10.0, 10, 30])
    assert match(peaks, x, y, np.array([7.0, 2, 9])).tolist() == [0, 1, -1]
    assert match(peaks, x[:2], y[:2], np.array([2.0, 7])).tolist() == [1, 0]


def test_false_are_those_without_a_source_and_blends_do_not_count():
    flux = 20 * ERROR * np.array([[1.0, 0.5, 0.03, 1.0]])
    known = make_field([100, 107, 200, 300], [100, 100, 200, 300], flux, noisy=False)
    at = np.array([100.0, 200, 250, 302])
    peaks = Peaks(at, at, np.array([20.0, 4, 3, 19]))
    matches = compare_peaks(peaks, search_field(known, NOISE, MATCHED), [0])
    assert matches.true.tolist() == [True, False, False, True]  # 200: its source has 0.6 sigma
    assert matches.found.tolist() == [20, -np.inf, 19]  # the companion at 107 is not asked for
    assert matches.arcmin2 == pytest.approx((SIZE - 2 * 15) ** 2 / 3600)


def test_what_is_seen_on_a_bright_body_is_neither_true_nor_false():
    known = make_field([100, 108, 300], [100, 108, 300], ERROR * np.array([[500.0, 5.0, 5.0]]), noisy=False)
    field = search_field(known, NOISE, MATCHED)
    assert field.body[0] > 12
    assert field.body[2] == 0
    at = np.array([100.0, 93, 300, 200])
    matches = compare_peaks(Peaks(at, at, np.array([500.0, 9, 5, 4])), field, [1])
    assert matches.score.tolist() == [500, 5, 4]
    assert matches.found.tolist() == [500, 5]


def test_saturated_stars_borders_and_gaps_are_not_searched():
    known = make_field([100, 300], [100, 300], np.full((2, 2), 1.0), noisy=False)
    known.sources["saturated"] = [True, False]
    invvar = known.brick.invvar.copy()
    invvar[1, 200:240, 200:240] = 0
    brick = replace(known.brick, invvar=invvar)
    searched = search_field(replace(known, brick=brick, measured=invvar > 0), NOISE, MATCHED).searched
    assert not searched[[100, 220], [100, 220]].any()
    assert not searched[10].any()
    assert searched[300, 300]


def matches_of(score, true, found, magnitude):
    return Matches(
        score=np.asarray(score, float),
        true=np.asarray(true, bool),
        detection_block=np.arange(len(score)),
        found=np.asarray(found, float),
        magnitude=np.atleast_2d(np.asarray(magnitude, float)),
        source_block=np.arange(len(found)),
        blocks=max(len(score), len(found)),
        arcmin2=2.0,
    )


def test_threshold_of_the_longest_pure_list():
    true = np.ones(20, bool)
    true[[4, 15, 16, 17]] = False
    matches = matches_of(np.arange(20.0, 0, -1), true, [1.0], [20.0])
    assert threshold_at_purity(matches) == 6  # 14 of 15 = 0.93; 14 of 16 = 0.88
    assert np.isnan(threshold_at_purity(matches_of([3.0], [False], [1.0], [20.0])))
    weight = np.ones(20)
    weight[15:18] = 0
    assert threshold_at_purity(matches, weight) == 1


def test_the_limit_is_where_completeness_falls_through_nine_tenths():
    magnitude = np.repeat(np.arange(20.125, 24, 0.25), 200)
    share = np.clip((24 - magnitude) / 2, 0, 1)  # 90 % at 22.2
    rank = np.tile(np.arange(200) / 200, magnitude.size // 200)
    matches = matches_of([5.0], [True], np.where(rank < share, 5.0, -np.inf), magnitude)
    edges = found_edges(matches, 0)
    assert magnitude_limit(edges, *completeness(matches, 0, 5.0, None, edges)) == pytest.approx(
        22.2, abs=0.02
    )
    assert np.isnan(magnitude_limit(edges, *completeness(matches, 0, 6.0, None, edges)))


@pytest.fixture(scope="module")
def compared():
    """Two bricks full of sources of 0.3 to 30 sigma."""
    parts = []
    for seed in (1, 2):
        x, y = places(SIZE, 25, 17)
        flux = ERROR * 10 ** np.random.default_rng(seed).uniform(-0.5, 1.5, x.size)
        known = make_field(x, y, flux, seed)
        parts.append(compare(detect(known, images_of(known), NOISE, PSF)))
    return pool(parts)


def test_a_perfect_image_is_deeper_than_the_noisy_one(compared):
    table = detection_table(compared, BANDS, np.random.default_rng(0))
    rows = {(row["method"], row["search"], row["band"]): row for row in table}
    searched = (("g", "g"), ("r", "r"), ("g+r", "g"), ("g+r", "r"))
    assert set(rows) == {(method, *search) for method in ("noisy", "perfect") for search in searched}
    alone, both, perfect = rows["noisy", "g", "g"], rows["noisy", "g+r", "g"], rows["perfect", "g", "g"]
    assert alone["gain_single"] == alone["gain_single_err"] == both["gain_combined"] == 0
    # equal significance in both bands: sqrt(2) in flux
    assert abs(both["gain_single"] - 0.376) < 4 * both["gain_single_err"] < 0.8
    assert perfect["gain_single"] > 4 * perfect["gain_single_err"] > 0
    assert 0.9 <= alone["purity"] < 0.95
    assert alone["area"] == pytest.approx(2 * (SIZE - 30) ** 2 / 3600)


def test_curves_fall_and_hold_every_source(compared):
    curve = completeness_table(compared, BANDS)
    chosen = curve[(curve["method"] == "noisy") & (curve["search"] == "g")]
    assert chosen["completeness"][0] == 1
    assert chosen["completeness"][-1] < 0.5
    assert np.all(chosen["completeness_low"] <= chosen["completeness"])
    assert np.all(chosen["completeness_high"] >= chosen["completeness"])
    pure = purity_table(compared)
    noisy = pure[(pure["method"] == "noisy") & (pure["search"] == "g")]
    assert noisy["purity"][0] == 1
    assert noisy["purity"][-1] < 0.9
    assert np.all(np.diff(noisy["threshold"]) <= 0)


def test_without_sources_or_detections_tables_are_there():
    none = np.zeros(0, int)
    known = make_field(none, none, np.zeros((2, 0)), noisy=False)
    compared = compare(detect(known, images_of(known), NOISE, PSF))
    table = detection_table(compared, BANDS, np.random.default_rng(0))
    assert len(table) == 8
    assert np.isnan(table["limit_mag"]).all()
    assert len(completeness_table(compared, BANDS)) == len(purity_table(compared)) == 0
    assert len(detection_table(pool([]), BANDS, np.random.default_rng(0))) == 0
