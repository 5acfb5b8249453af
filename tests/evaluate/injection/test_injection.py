"""Sources put in: methods with a known effect on fluxes are found out, by as much as they do."""

import numpy as np
import pytest

from skydenoise.evaluate.aperture import aperture_sums
from skydenoise.evaluate.injection.inject import (
    BRIGHTEST,
    FAINTEST,
    MARGIN,
    SEPARATION,
    empty_places,
    inject,
    make_canvas,
    measure_injected,
)
from skydenoise.evaluate.injection.rounds import RATE, inject_many, noise_peaks, thresholds
from skydenoise.evaluate.injection.sources import draw_sources
from skydenoise.evaluate.injection.tables import injected_colours_table, injection_table, leak_table
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
    injections = [inject(canvas, generator, count=9, one_band=one_band) for _ in range(times)]
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


def redder(brick):
    return brick.image * np.array([1, 1.1, 1], np.float32)[:, None, None]


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
    colours = table_of(injected_colours_table, sources)
    assert set(colours["colour"]) == {"g-r", "r-z"}
    np.testing.assert_allclose(colours["bias_mag"], 0, atol=1e-4)


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


def test_a_red_colour_is_seen_as_one(canvas):
    colours, bias = table_of(injected_colours_table, measured(canvas, redder)), 2.5 * np.log10(1.1)
    np.testing.assert_allclose(colours[colours["colour"] == "g-r"]["bias_mag"], bias, atol=1e-3)
    np.testing.assert_allclose(colours[colours["colour"] == "r-z"]["bias_mag"], -bias, atol=1e-3)


def test_sources_are_as_bright_as_they_should_be(canvas):
    injection = inject(canvas, np.random.default_rng(3), count=6, one_band=True)
    sources = injection.sources
    own = (sources.flux / sources.noise)[sources.alone, np.arange(6)]
    # the aperture's share depends on where in a pixel it is
    assert 0.95 * FAINTEST < own.min() < own.max() < 1.05 * BRIGHTEST
    assert sorted(sources.alone) == [0, 0, 1, 1, 2, 2]
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


def test_photon_noise_is_added_and_told(canvas):
    with_noise, without = (
        inject(canvas, np.random.default_rng(5), count=9, electrons=electrons)
        for electrons in ((5.0,) * 3, None)
    )
    np.testing.assert_array_equal(with_noise.sources.flux, without.sources.flux)
    old, source = canvas.brick.invvar, without.brick.image - canvas.brick.image
    bright = (source > 0.3 * SIGMA) & (old > 0)
    noise_sigma = np.sqrt(source[bright] / 5)
    pull = (with_noise.brick.image - without.brick.image)[bright] / noise_sigma
    assert pull.std() == pytest.approx(1, rel=0.2)
    np.testing.assert_allclose(
        1 / with_noise.brick.invvar[bright] - 1 / old[bright], noise_sigma**2, rtol=1e-2
    )
    assert (with_noise.brick.invvar[old == 0] == 0).all()


def test_discs_are_as_large_as_they_are_drawn():
    middle = np.array([40.0])
    point, disc = (
        draw_sources((81, 81), middle, middle, np.array([5.0]), 3.0, np.array([size])) for size in (0.0, 3.0)
    )
    for stamp in (point, disc):
        assert stamp.sum() == pytest.approx(5, rel=0.01)
        assert np.unravel_index(stamp.argmax(), stamp.shape) == (40, 40)
    assert disc.max() < 0.5 * point.max()


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
    for make in (injection_table, injected_colours_table, leak_table):
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
    assert put(full, empty).flux.shape == (1, 12)
    assert (put(empty).sources.alone >= 0).any()  # of few sources some are in one band alone
    assert put(empty, fwhm=()) is None
