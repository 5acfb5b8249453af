"""Sources put in: methods with a known effect on fluxes are found out, by as much as they do."""

import galsim
import numpy as np
import pytest

from skydenoise.evaluate.aperture import aperture_sums
from skydenoise.evaluate.injection.inject import (
    BRIGHTEST,
    FAINTEST,
    MARGIN,
    SEPARATION,
    draw_sources,
    empty_places,
    inject,
    make_canvas,
    measure_injected,
)
from skydenoise.evaluate.injection.rounds import RATE, inject_many, noise_peaks, thresholds
from skydenoise.evaluate.injection.tables import injection_table, leak_table
from skydenoise.evaluate.psf import BETA
from skydenoise.evaluate.statistics import joined, selected
from tests.builders import draw_noise, gaussians, make_brick, make_noise

BANDS, SIZE, FWHM = ("g", "r", "z"), 256, (5.5, 5.0, 4.5)
NOISE = make_noise(BANDS, (0.01, 0.02, 0.05), width=0.9)
SIGMA = np.array(NOISE.sigma_sky, np.float32)[:, None, None]


@pytest.fixture(scope="module")
def canvas():
    """Correlated noise, a hole, and one bright galaxy."""
    y, x = np.mgrid[:SIZE, :SIZE]
    image = draw_noise(NOISE, (SIZE, SIZE), seed=1) + 200 * SIGMA * np.exp(-np.hypot(y - 70, x - 180) / 4)
    brick = make_brick(image, NOISE.sigma_sky)
    brick.invvar[1, 120:130, 90:100] = brick.image[1, 120:130, 90:100] = 0
    return make_canvas(brick, NOISE, FWHM)


def measured(canvas, method, *, one_band=False, times=4, threshold=None):
    generator = np.random.default_rng(2)
    without = method(canvas.brick)
    turns = [turn % 3 if one_band else None for turn in range(3 * times if one_band else times)]
    injections = [inject(canvas, generator, count=9, one_band=turn) for turn in turns]
    return joined([measure_injected(injection, method, without, threshold) for injection in injections])


def table_of(make, sources, **wanted):
    table = make({"method": sources}, BANDS, np.random.default_rng(0))
    for name, value in wanted.items():
        table = table[table[name] == value]
    return table


def identity(brick):
    return brick.image


def mixed(brick):
    """Five per cent of each band's flux goes to the next one."""
    return 0.95 * brick.image + 0.05 * np.roll(brick.image, 1, axis=0)


def saturating(brick):
    """Bright pixels lose: not linear."""
    return (3 * np.arcsinh(brick.image / 3)).astype(np.float32)


def test_an_identity_gives_everything_back(canvas):
    sources = measured(canvas, identity)
    table = table_of(injection_table, sources)
    assert set(table["shape"]) == {"all", "point", "disc"}
    np.testing.assert_allclose(table["bias_percent"], 0, atol=0.01)
    np.testing.assert_allclose(table["scatter_percent"], 0, atol=0.02)
    np.testing.assert_allclose(
        table[(table["binned_by"] == "snr_above") & (table["low"] == 5)]["slope"], 1, atol=1e-4
    )
    assert np.isnan(table[table["binned_by"] == "snr"]["slope"]).all()
    assert np.isnan(table["detected"]).all()
    assert (table["judged"] == 0).all()


def test_half_of_the_flux_is_missed(canvas):
    sources = measured(canvas, lambda brick: 0.5 * brick.image)
    table = table_of(injection_table, sources, binned_by="snr_above", low=5)
    np.testing.assert_allclose(table["bias_percent"], -50, atol=0.01)
    np.testing.assert_allclose(table["bias_mag"], 2.5 * np.log10(2), atol=1e-3)
    np.testing.assert_allclose(table["slope"], 0.5, atol=1e-4)


def test_a_leak_of_five_per_cent_is_found_where_it_goes(canvas):
    sources = measured(canvas, mixed, one_band=True)
    table = table_of(leak_table, sources, binned_by="snr_above", low=5)
    assert len(table) == 6
    for row in table:
        goes = BANDS.index(row["other"]) == (BANDS.index(row["band"]) + 1) % 3
        assert row["leak_percent"] == pytest.approx(5 if goes else 0, abs=0.01)
    clean = table_of(leak_table, measured(canvas, identity, one_band=True))
    np.testing.assert_allclose(clean["leak_percent"], 0, atol=1e-5)
    assert len(table_of(injection_table, sources)) == 0


def test_a_method_that_is_not_linear_has_another_slope(canvas):
    wanted = {"binned_by": "snr_above", "low": 5, "band": "z", "shape": "point"}
    (row,) = table_of(injection_table, measured(canvas, saturating), **wanted)
    assert row["slope"] < 0.99
    assert row["slope_err"] > 0


def test_sources_are_as_bright_as_they_should_be(canvas):
    injection = inject(canvas, np.random.default_rng(3), count=6, one_band=1)
    sources = injection.sources
    own = (sources.flux / sources.noise)[sources.alone, np.arange(6)]
    # the aperture's share depends on where in a pixel it is
    assert 0.95 * FAINTEST < own.min() < own.max() < 1.05 * BRIGHTEST
    assert sources.alone.tolist() == [1] * 6
    assert not sources.flux[[0, 2]].any()
    difference = injection.brick.image - canvas.brick.image
    np.testing.assert_allclose(aperture_sums(difference, sources.x, sources.y), sources.flux, atol=1e-4)


def test_places_are_empty_apart_and_away_from_the_border(canvas):
    for seed in range(3):
        x, y = empty_places(canvas.empty, 99, np.random.default_rng(seed))
        assert 5 < x.size < 30
        apart = np.hypot(x - x[:, None], y - y[:, None]) + 1e3 * np.eye(x.size)
        assert apart.min() > SEPARATION - 2
        assert min(x.min(), y.min(), SIZE - 1 - x.max(), SIZE - 1 - y.max()) >= MARGIN - 1
        assert np.hypot(y - 70, x - 180).min() > 20
        hole = np.hypot(*(np.maximum(np.abs(at - middle) - 5, 0) for at, middle in ((y, 124.5), (x, 94.5))))
        assert hole.min() > 5
    nowhere = empty_places(np.zeros((99, 99), bool), 5, np.random.default_rng(0))
    assert [axis.shape for axis in nowhere] == [(0,), (0,)]


def test_the_same_seed_puts_in_the_same(canvas):
    one, other = (inject(canvas, np.random.default_rng(4), count=5) for _ in range(2))
    np.testing.assert_array_equal(one.brick.image, other.brick.image)


@pytest.mark.parametrize("radius", [0.0, 1.0, 3.0])
def test_sources_are_the_convolution_of_their_profiles(radius):
    """Against GalSim, which draws them with other code: fluxes to 1e-5, pixels to 3e-4 of the brightest."""
    x, y = np.array([40.3]), np.array([39.8])
    profile = galsim.Moffat(beta=BETA, fwhm=3.0)
    if radius:
        profile = galsim.Convolve(galsim.Exponential(half_light_radius=radius), profile)
    centre = galsim.PositionD(41.3, 40.8)
    expected = profile.drawImage(nx=81, ny=81, scale=1, method="no_pixel", center=centre).array
    drawn = draw_sources((81, 81), x, y, np.ones(1), 3.0, np.array([radius]))
    np.testing.assert_allclose(drawn, expected, atol=3e-4 * expected.max())
    assert aperture_sums([drawn], x, y) == pytest.approx(aperture_sums([expected], x, y), rel=1e-5)
    assert drawn.sum() == pytest.approx(1, rel=1e-3)


def test_a_source_near_the_border_is_cut():
    edge = draw_sources((50, 60), np.array([0.0]), np.array([20.0]), np.ones(1), 4.0, np.zeros(1))
    assert 0.5 < edge.sum() < 0.7


def test_bright_sources_are_found_and_faint_ones_are_not(canvas):
    threshold = thresholds([noise_peaks(canvas.brick, identity, NOISE, np.random.default_rng(6))])
    sources = measured(canvas, identity, threshold=threshold, times=8)
    for band in BANDS:
        table = table_of(injection_table, sources, shape="all", binned_by="snr", band=band)
        assert table["detected"][-1] == 1
        assert table["detected"][0] < 0.3
        assert (table["judged"] <= table["sources"]).all()
        assert (table["detected_err"][table["judged"] > 0] > 0).all()


def test_pure_noise_exceeds_the_threshold_as_often_as_said(canvas):
    every = [noise_peaks(canvas.brick, identity, NOISE, np.random.default_rng(seed)) for seed in range(10)]
    parts, more = every[:5], every[5:]
    limits = thresholds(parts, rate=200)
    for band, limit in enumerate(limits):
        false = sum(np.count_nonzero(part[0][band] > limit) for part in more)
        pixels = sum(part[1][band] for part in more)
        assert 100 < 1e6 * false / pixels < 400
    assert min(thresholds(parts, rate=RATE)) > max(limits)
    assert thresholds([([np.empty(0)] * 3, np.full(3, 1e6))]) == (0, 0, 0)


def test_few_sources_give_rows_without_errors_and_none_give_none(canvas):
    every = measured(canvas, identity, times=1)
    one, none = (selected(every, np.array(chosen, int)) for chosen in ([0], []))
    table = table_of(injection_table, one)
    assert np.isnan(table["bias_percent_err"]).all()
    assert (table["sources"] == 1).all()
    for make in (injection_table, leak_table):
        assert len(table_of(make, none)) == 0
        assert len(make({}, BANDS, np.random.default_rng(0))) == 0


def test_a_crowded_cutout_has_no_room(canvas):
    noise = make_noise("g")
    x, y = (at.ravel() for at in np.meshgrid(np.arange(5, 200, 10), np.arange(5, 200, 10)))
    sky = draw_noise(noise, (200, 200))
    empty = make_brick(sky)
    full = make_brick(sky + gaussians((200, 200), x, y, np.full(x.size, 30.0)))

    def put(*bricks, fwhm=(5.0,)):
        cutouts = [(brick, brick.image, fwhm) for brick in bricks]
        return inject_many(cutouts, identity, noise, np.random.default_rng(0), 12)

    assert put(full) is None
    assert put(full, empty).measured.shape == (1, 12)
    assert (put(empty).alone >= 0).any()  # of few sources some are in one band alone
    assert put(empty, fwhm=()) is None
