"""Detection: what is found, what of it is true, and how deep; in noise as correlated as a coadd's."""

from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from skydenoise.evaluate.apertures import variance_of_sum
from skydenoise.evaluate.psf import moffat_image
from skydenoise.evaluate.scene import Scene
from skydenoise.evaluate.search.completeness import (
    completeness,
    equal_threshold,
    magnitude_bins,
    magnitude_limit,
    pool_matches,
    threshold_at_purity,
)
from skydenoise.evaluate.search.detection import Matches, Peaks, compare, detect, find_peaks, match
from skydenoise.evaluate.search.detectionplot import detection_plot
from skydenoise.evaluate.search.detectiontables import completeness_table, detection_table, purity_table
from skydenoise.evaluate.search.falsealarm import Detector, false_detections
from skydenoise.evaluate.search.matched import (
    combined,
    depth,
    matched_filter,
    moffats,
    point_flux,
    scores,
    smoothing_filter,
)
from skydenoise.evaluate.search.searchfield import Search, search_field, searches
from skydenoise.io import Brick
from skydenoise.noise import NoiseModel
from skydenoise.noise.levels import noise_levels

BANDS = ("g", "r")
SIZE = 420
SIGMA = 0.01
FWHM = (5.0, 4.5)
PSF = moffats(FWHM)


def correlated_model():
    lag = np.arange(-4, 5) ** 2
    correlation = np.exp(-np.add.outer(lag, lag) / 4.0)  # rho(1 px) = 0.78: smoother than any coadd
    levels = noise_levels(correlation, 3)
    return NoiseModel(BANDS, (SIGMA,) * 2, (1.0,) * 2, np.stack([correlation] * 2), np.stack([levels] * 2))


@pytest.fixture(scope="module")
def noise():
    return correlated_model()


@pytest.fixture(scope="module")
def matched(noise):
    return matched_filter(PSF, noise)


def header():
    cards = {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 0.15, "CRVAL2": 60.0}
    cards |= {"CRPIX1": 100.5, "CRPIX2": 100.5, "CD1_1": -1 / 3600, "CD1_2": 0.0, "CD2_1": 0.0}
    return fits.Header(cards | {"CD2_2": 1 / 3600})


def make_scene(noise, x, y, flux, seed=0, noisy=True):
    """Points of flux (band, n) at whole pixels in correlated noise."""
    truth = np.zeros((2, SIZE, SIZE))
    reach = PSF.shape[1] // 2
    for column, row, totals in zip(x, y, flux.T, strict=True):
        part = (slice(None), slice(row - reach, row + reach + 1), slice(column - reach, column + reach + 1))
        truth[part] += totals[:, None, None] * PSF
    truth = truth.astype(np.float32)
    drawn = noise.draw(truth.shape, np.random.default_rng(seed)) if noisy else 0
    sources = Table(
        {"x": np.asarray(x, float), "y": np.asarray(y, float), "flux_g": flux[0], "flux_r": flux[1]}
    )
    invvar = np.full(truth.shape, SIGMA**-2, np.float32)
    image = (truth + np.float32(SIGMA) * drawn).astype(np.float32)
    brick = Brick("0001p600", BANDS, image, invvar, np.zeros(truth.shape, bool), (header(),) * 2)
    methods = {"noisy": brick.image, "perfect": truth}
    return Scene(brick, methods, invvar > 0, invvar == 0, None, truth, sources, FWHM)


def grid_scene(noise, matched, significance, seed=0, step=19):
    """Points of one significance in each band on a grid wide enough that none disturbs another."""
    at = np.arange(30, SIZE - 30, step)
    x, y = (places.ravel() for places in np.meshgrid(at, at))
    error = SIGMA * matched.error
    return make_scene(noise, x, y, np.outer(significance * error, np.ones(x.size)), seed)


def test_the_filter_measures_the_flux_of_a_point(noise, matched):
    scene = make_scene(noise, [200], [180], np.array([[3.0], [5.0]]), noisy=False)
    for kind in (matched, smoothing_filter(PSF, noise)):
        flux = point_flux(scene.truth, scene.measured, kind)[:, 180, 200]
        np.testing.assert_allclose(flux, (3, 5), rtol=1e-5)


def test_scores_of_noise_have_unit_variance_in_each_band_and_combined(noise, matched):
    drawn = SIGMA * noise.draw((2, 600, 600), np.random.default_rng(1))
    usable = np.ones(drawn.shape, bool)
    limits = depth(np.full(drawn.shape, SIGMA), usable, matched)
    score = scores(drawn, usable, limits, matched)[:, 20:-20, 20:-20]
    assert score[0].std() == pytest.approx(1, abs=0.05)
    assert combined(score).std() == pytest.approx(1, abs=0.05)


def test_no_filter_is_better_than_the_matched_one(noise, matched):
    """The point spread function itself, which is best in white noise, has a larger error in this noise."""
    for psf, error, correlation in zip(matched.psf, matched.error, noise.correlation, strict=True):
        plain = psf / np.sum(psf**2)
        assert error < np.sqrt(variance_of_sum(plain, correlation))
        white = np.zeros_like(correlation)
        white[4, 4] = 1
        assert error > 1.5 * np.sqrt(variance_of_sum(plain, white))  # correlated noise averages out less


def test_the_widths_of_profiles_are_those_asked_for():
    profile = moffat_image(6.0, 30)
    assert profile.sum() == pytest.approx(1)
    assert profile[30, 33] == pytest.approx(profile[30, 30] / 2)


def test_masked_pixels_neither_add_flux_nor_can_be_searched(noise, matched):
    scene = make_scene(noise, [200], [180], np.array([[3.0], [5.0]]))
    usable = scene.measured.copy()
    usable[:, 100:130, 100:130] = False
    image = np.where(usable, scene.brick.image, np.float32(1e6))
    limits = depth(np.full(image.shape, SIGMA), usable, matched)
    score = scores(image, usable, limits, matched)
    assert np.abs(score).max() < 200
    assert not limits.searched[:, 115, 115].any()
    assert np.isinf(limits.flux_error[:, 115, 115]).all()
    assert limits.searched[:, 180, 200].all()


def test_half_of_the_sources_at_the_threshold_are_found(noise, matched):
    """A source of significance 5 scores 5 +- 1: a threshold of 5 finds one in two, 4 finds 84 %, 6 16 %."""
    scene = grid_scene(noise, matched, 5.0)
    found = detect(scene, {"noisy": scene.brick.image}, noise, PSF)
    field, search = found.field, found.searches[0]
    score = scores(scene.brick.image, scene.measured, field.depth, matched)[0]
    at_sources = score[field.y.astype(int), field.x.astype(int)]
    assert np.mean(at_sources >= 5) == pytest.approx(0.5, abs=0.1)
    matches = compare(found.peaks["noisy"][search.name], search, field)
    edges = magnitude_bins(matches, 0)
    for threshold, share in ((4, 0.84), (5, 0.5), (6, 0.16)):
        listed, shown = completeness(matches, 0, threshold, edges)
        # the highest of the pixels around a source lies a little above the score of its centre
        assert shown.sum() / listed.sum() == pytest.approx(share + 0.06, abs=0.1)


def test_two_bands_go_deeper_than_one(noise, matched):
    scene = grid_scene(noise, matched, 4.0)
    found = detect(scene, scene.methods, noise, PSF).compare()["noisy"]
    shares = {name: np.mean(matches.found >= 5) for name, matches in found.items()}
    assert shares["g+r"] > 0.65 > 0.4 > shares["g"]  # 4 sqrt(2) = 5.7


def test_a_plateau_is_one_peak_and_peaks_are_found_between_pixels():
    score = np.zeros((40, 40))
    score[10:13, 10:13] = 5
    rows = np.arange(40)
    score += 8 * np.exp(-((rows[:, None] - 25.3) ** 2 + (rows - 28.4) ** 2) / 8)
    searched = np.ones(score.shape, bool)
    peaks = find_peaks(score, searched, 1.0)
    assert peaks.score.size == 2
    assert (peaks.x[0], peaks.y[0]) == pytest.approx((28.4, 25.3), abs=0.02)
    searched[:20] = False
    assert find_peaks(score, searched, 1.0).score.size == 1


def test_each_source_takes_the_highest_peak_and_no_peak_is_two_sources():
    peaks = Peaks(np.array([10.0, 11, 50]), np.array([10.0, 10, 50]), np.array([9.0, 5, 3]))
    x, y = np.array([11.0, 10, 30]), np.array([10.0, 10, 30])
    assert match(peaks, x, y, np.array([7.0, 2, 9])).tolist() == [0, 1, -1]
    assert match(peaks, x[:2], y[:2], np.array([2.0, 7])).tolist() == [1, 0]


def test_false_are_those_without_a_source_and_blends_do_not_count(noise, matched):
    flux = 20 * SIGMA * matched.error[:, None] * np.array([[1.0, 0.5, 0.03, 1.0]])
    scene = make_scene(noise, [100, 107, 200, 300], [100, 100, 200, 300], flux, noisy=False)
    field, search = search_field(scene, noise, matched), Search("g", (0,))
    places = np.array([100.0, 200, 250, 302])
    peaks = Peaks(places, places, np.array([20.0, 4, 3, 19]))
    matches = compare(peaks, search, field)
    assert matches.true.tolist() == [True, False, False, True]  # 200: its source has 0.6 sigma
    assert matches.found.tolist() == [20, -np.inf, 19]  # the companion at 107 is not asked for
    assert matches.arcmin2 == pytest.approx((SIZE - 2 * 15) ** 2 / 3600)


def test_what_is_seen_on_a_bright_body_is_neither_true_nor_false(noise, matched):
    flux = SIGMA * matched.error[:, None] * np.array([[500.0, 5.0, 5.0]])
    scene = make_scene(noise, [100, 108, 300], [100, 108, 300], flux, noisy=False)
    field = search_field(scene, noise, matched)
    assert field.body[0] > 12
    assert field.body[2] == 0
    places = np.array([100.0, 93, 300, 200])
    matches = compare(Peaks(places, places, np.array([500.0, 9, 5, 4])), Search("r", (1,)), field)
    assert matches.score.tolist() == [500, 5, 4]
    assert matches.found.tolist() == [500, 5]


def test_saturated_stars_borders_and_gaps_are_not_searched(noise, matched):
    scene = make_scene(noise, [100, 300], [100, 300], np.full((2, 2), 1.0), noisy=False)
    scene.sources["saturated"] = [True, False]
    invvar = scene.brick.invvar.copy()
    invvar[1, 200:240, 200:240] = 0
    brick = replace(scene.brick, invvar=invvar)
    field = search_field(replace(scene, brick=brick, measured=invvar > 0), noise, matched)
    assert not field.searched[100, 100]
    assert not field.searched[220, 220]
    assert not field.searched[10].any()
    assert field.searched[300, 300]


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
    score = np.arange(20.0, 0, -1)
    true = np.ones(20, bool)
    true[[4, 15, 16, 17]] = False
    matches = matches_of(score, true, [1.0], [20.0])
    assert threshold_at_purity(matches) == 6  # 14 of 15 = 0.93; 14 of 16 = 0.88
    assert threshold_at_purity(matches, 0.95) == 17
    assert np.isnan(threshold_at_purity(matches_of([3.0], [False], [1.0], [20.0])))
    weight = np.ones(20)
    weight[15:18] = 0
    assert threshold_at_purity(matches, weight=weight) == 1


def test_the_limit_is_where_completeness_falls_through_nine_tenths():
    magnitude = np.repeat(np.arange(20.125, 24, 0.25), 200)
    share = np.clip((24 - magnitude) / 2, 0, 1)  # 90 % at 22.2
    rank = np.tile(np.arange(200) / 200, magnitude.size // 200)
    matches = matches_of([5.0], [True], np.where(rank < share, 5.0, -np.inf), magnitude)
    edges = magnitude_bins(matches, 0)
    assert magnitude_limit(edges, *completeness(matches, 0, 5.0, edges)) == pytest.approx(22.2, abs=0.02)
    assert np.isnan(magnitude_limit(edges, *completeness(matches, 0, 6.0, edges)))


def test_equal_thresholds_find_equally_many():
    magnitude = np.zeros(6)
    reference = matches_of([9, 8, 7, 6], [1, 1, 1, 0], [9, 8, 7, 3, 2, -np.inf], magnitude)
    assert equal_threshold(reference, reference) == threshold_at_purity(reference) == 7
    other = matches_of([2.0], [True], [0.5, 0.9, 0.1, 0.7, -np.inf, -np.inf], magnitude)
    assert equal_threshold(other, reference) == 0.5
    fewer = matches_of([2.0], [True], [0.5, 0.9, *[-np.inf] * 4], magnitude)
    assert equal_threshold(fewer, reference) == -np.inf
    assert np.isnan(equal_threshold(reference, matches_of([1.0], [False], [1.0], [20.0])))


def compared_of(scenes, noise):
    found = [detect(scene, scene.methods, noise, PSF).compare() for scene in scenes]
    return {
        method: {name: pool_matches([one[method][name] for one in found]) for name in by_search}
        for method, by_search in found[0].items()
    }


@pytest.fixture(scope="module")
def compared(noise, matched):
    scenes = []
    for seed in (1, 2):
        generator = np.random.default_rng(seed)
        at = np.arange(25, SIZE - 25, 17)
        x, y = (places.ravel() for places in np.meshgrid(at, at))
        error = SIGMA * matched.error[:, None]
        scenes.append(make_scene(noise, x, y, error * 10 ** generator.uniform(-0.5, 1.5, x.size), seed))
    return compared_of(scenes, noise)


def test_a_perfect_image_is_deeper_than_the_noisy_one(compared):
    table = detection_table(compared, searches(BANDS), BANDS, np.random.default_rng(0))
    rows = {(row["method"], row["search"], row["band"]): row for row in table}
    assert set(rows) == {
        (method, *search)
        for method in ("noisy", "perfect")
        for search in (("g", "g"), ("r", "r"), ("g+r", "g"), ("g+r", "r"))
    }
    alone, both, perfect = rows["noisy", "g", "g"], rows["noisy", "g+r", "g"], rows["perfect", "g", "g"]
    assert alone["gain_single"] == alone["gain_single_err"] == both["gain_combined"] == 0
    # equal significance in both bands: sqrt(2) in flux
    assert abs(both["gain_single"] - 0.376) < 4 * both["gain_single_err"] < 0.8
    assert perfect["gain_single"] > 4 * perfect["gain_single_err"] > 0
    assert 0.9 <= alone["purity"] < 0.95
    assert alone["threshold"] <= alone["threshold_equal"] < alone["threshold"] + 0.2
    assert alone["area"] == pytest.approx(2 * (SIZE - 30) ** 2 / 3600)


def test_curves_fall_and_hold_every_source(compared, tmp_path):
    curve = completeness_table(compared, searches(BANDS), BANDS)
    chosen = curve[(curve["method"] == "noisy") & (curve["search"] == "g")]
    assert chosen["completeness"][0] == 1
    assert chosen["completeness"][-1] < 0.5
    assert np.all(chosen["completeness_low"] <= chosen["completeness"])
    assert np.all(chosen["completeness_high"] >= chosen["completeness"])
    pure = purity_table(compared, searches(BANDS))
    noisy = pure[(pure["method"] == "noisy") & (pure["search"] == "g")]
    assert noisy["purity"][0] == 1
    assert noisy["purity"][-1] < 0.9
    assert np.all(np.diff(noisy["threshold"]) <= 0)
    detection_plot(curve, pure, tmp_path / "detection.png")
    assert (tmp_path / "detection.png").stat().st_size > 10_000


def test_without_sources_or_detections_tables_are_there(noise, tmp_path):
    none = np.zeros(0, int)
    scene = make_scene(noise, none, none, np.zeros((2, 0)), noisy=False)
    compared = compared_of([scene], noise)
    table = detection_table(compared, searches(BANDS), BANDS, np.random.default_rng(0))
    assert len(table) == 8
    assert np.isnan(table["limit_mag"]).all()
    curve, pure = (
        completeness_table(compared, searches(BANDS), BANDS),
        purity_table(compared, searches(BANDS)),
    )
    assert len(curve) == len(pure) == 0
    detection_plot(curve, pure, tmp_path / "empty.png")
    assert len(detection_table({}, searches(BANDS), BANDS, np.random.default_rng(0))) == 0


def test_false_detections_of_pure_noise_are_those_of_a_gaussian_field(noise, matched):
    """Few peaks above 4 sigma, many above 2, none in an image that is empty."""
    scene = make_scene(noise, [100], [100], np.full((2, 1), 500.0), noisy=False)
    detectors = {
        "noisy": Detector(lambda brick: brick.image, matched),
        "empty": Detector(lambda brick: np.zeros_like(brick.image), smoothing_filter(PSF, noise)),
    }
    single, both = searches(BANDS)[0], searches(BANDS)[-1]
    wanted = {("noisy", single): 2.0, ("noisy", both): 4.0, ("empty", both): 0.5}
    found = false_detections(scene.brick, noise, matched, detectors, wanted, np.random.default_rng(5))
    assert set(found) == set(wanted)
    assert found["empty", both].count == 0
    assert found["empty", both].density[1] > 0
    # peaks of a Gaussian field (Adler 1981, "The Geometry of Random Fields"): their density above u is
    # (2 pi)**-1.5 * var(slope) * u * exp(-u**2 / 2) for high u
    usable = np.ones((2, 600, 600), bool)
    drawn = noise.draw(usable.shape, np.random.default_rng(6))
    score = scores(drawn, usable, depth(np.ones(usable.shape), usable, matched), matched)[0, 20:-20, 20:-20]
    slope = np.diff(score, axis=1).var() / score.var()
    expected = {u: (2 * np.pi) ** -1.5 * slope * u * np.exp(-(u**2) / 2) * (SIZE - 30) ** 2 for u in (2, 4)}
    assert found["noisy", single].count == pytest.approx(expected[2], rel=0.35)
    assert found["noisy", both].count < expected[4] + 4 * np.sqrt(expected[4]) < found["noisy", single].count
