"""Sources put in: methods with a known effect on fluxes are found out, by as much as they do."""

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.image import imread

from skydenoise.errors import BrickError
from skydenoise.evaluate.again.false_peaks import RATE, false_peaks, thresholds
from skydenoise.evaluate.again.injection import (
    Injection,
    InjectionSettings,
    empty_places,
    inject,
    join,
    recover_sources,
    survey_ground,
)
from skydenoise.evaluate.again.recovery import injected_colours_table, leak_table, recovery_table
from skydenoise.evaluate.again.sources import draw_sources
from skydenoise.evaluate.apertures import aperture_sums
from skydenoise.evaluate.plots import injection_plot
from skydenoise.evaluate.psf import measure_fwhm, star_widths
from skydenoise.evaluate.tables import write_table
from skydenoise.io import Brick
from skydenoise.noise import NoiseModel
from skydenoise.noise.levels import noise_levels

BANDS = ("g", "r", "z")
SIZE, SIGMA = 256, (0.01, 0.02, 0.05)
FWHM = (5.5, 5.0, 4.5)


def noise_model():
    lag = np.arange(-3, 4)
    correlation = np.exp(-(lag[:, None] ** 2 + lag**2) / 0.9)
    levels = noise_levels(correlation, 3)
    return NoiseModel(BANDS, SIGMA, (1.0,) * 3, np.stack([correlation] * 3), np.stack([levels] * 3))


@pytest.fixture(scope="module")
def noise():
    return noise_model()


@pytest.fixture(scope="module")
def brick(noise):
    """Correlated noise, a hole, and one bright galaxy."""
    sigma = np.array(SIGMA, np.float32)[:, None, None]
    image = sigma * noise.draw((3, SIZE, SIZE), np.random.default_rng(1))
    y, x = np.mgrid[:SIZE, :SIZE]
    image += (200 * sigma * np.exp(-np.hypot(y - 70, x - 180) / 4)).astype(np.float32)
    invvar = np.broadcast_to(1 / sigma**2, image.shape).copy()
    invvar[1, 120:130, 90:100] = 0
    return Brick("0001p600", BANDS, image * (invvar > 0), invvar, np.zeros(image.shape, bool), ())


@pytest.fixture(scope="module")
def ground(brick, noise):
    return survey_ground(brick, noise, FWHM)


def several(ground, method, *, one_band=False, times=4, threshold=None, seed=2):
    generator = np.random.default_rng(seed)
    before = method(ground.brick)
    injections = [inject(ground, generator, count=9, one_band=one_band) for _ in range(times)]
    return join([recover_sources(injection, method, before, threshold) for injection in injections])


def rows(table, **wanted):
    for name, value in wanted.items():
        table = table[table[name] == value]
    return table


def identity(brick):
    return brick.image


def halved(brick):
    return 0.5 * brick.image


def mixed(brick):
    """Five per cent of each band's flux goes to the next one."""
    return 0.95 * brick.image + 0.05 * np.roll(brick.image, 1, axis=0)


def saturating(brick):
    """Bright pixels lose: not linear."""
    return (3 * np.arcsinh(brick.image / 3)).astype(np.float32)


def test_an_identity_gives_everything_back(ground):
    sources = several(ground, identity)
    table = recovery_table({"identity": sources}, BANDS, np.random.default_rng(0))
    assert set(table["shape"]) == {"all", "point", "disc"}
    np.testing.assert_allclose(table["bias_percent"], 0, atol=0.01)
    np.testing.assert_allclose(table["scatter_percent"], 0, atol=0.02)
    above = rows(table, binned_by="snr_above", low=5)
    np.testing.assert_allclose(above["slope"], 1, atol=1e-4)
    assert np.isnan(rows(table, binned_by="snr")["slope"]).all()
    assert np.isnan(table["detected"]).all()
    assert (table["judged"] == 0).all()
    colours = injected_colours_table({"identity": sources}, BANDS, np.random.default_rng(0))
    assert set(colours["colour"]) == {"g-r", "r-z"}
    np.testing.assert_allclose(colours["bias_mag"], 0, atol=1e-4)


def test_half_of_the_flux_is_missed(ground):
    table = recovery_table({"half": several(ground, halved)}, BANDS, np.random.default_rng(0))
    np.testing.assert_allclose(table["bias_percent"], -50, atol=0.01)
    np.testing.assert_allclose(table["bias_mag"], 2.5 * np.log10(2), atol=1e-3)
    np.testing.assert_allclose(rows(table, binned_by="snr_above", low=5)["slope"], 0.5, atol=1e-4)


def test_a_leak_of_five_per_cent_is_found_where_it_goes(ground):
    sources = several(ground, mixed, one_band=True)
    table = rows(
        leak_table({"mixed": sources}, BANDS, np.random.default_rng(0)), binned_by="snr_above", low=5
    )
    assert len(table) == 6
    for row in table:
        goes = BANDS.index(row["other"]) == (BANDS.index(row["band"]) + 1) % 3
        assert row["leak_percent"] == pytest.approx(5 if goes else 0, abs=0.01)
    clean = leak_table(
        {"identity": several(ground, identity, one_band=True)}, BANDS, np.random.default_rng(0)
    )
    np.testing.assert_allclose(clean["leak_percent"], 0, atol=1e-5)
    assert len(recovery_table({"mixed": sources}, BANDS, np.random.default_rng(0))) == 0


def test_a_method_that_is_not_linear_has_another_slope(ground):
    table = recovery_table({"s": several(ground, saturating)}, BANDS, np.random.default_rng(0))
    row = rows(table, binned_by="snr_above", low=5, band="z", shape="point")[0]
    assert row["slope"] < 0.99
    assert row["slope_err"] > 0


def test_a_red_colour_is_seen_as_one(ground, brick):
    def redder(brick):
        return brick.image * np.array([1, 1.1, 1], np.float32)[:, None, None]

    colours = injected_colours_table({"redder": several(ground, redder)}, BANDS, np.random.default_rng(0))
    bias = 2.5 * np.log10(1.1)
    np.testing.assert_allclose(rows(colours, colour="g-r")["bias_mag"], bias, atol=1e-3)
    np.testing.assert_allclose(rows(colours, colour="r-z")["bias_mag"], -bias, atol=1e-3)


def test_sources_are_as_bright_as_the_settings_say(ground, brick):
    settings = InjectionSettings(faintest=20, brightest=20.001, discs=0, margin=20)
    injection = inject(ground, np.random.default_rng(3), count=6, one_band=True, settings=settings)
    own = injection.flux[injection.alone, np.arange(6)] / injection.noise[injection.alone, np.arange(6)]
    np.testing.assert_allclose(own, 20, rtol=0.02)  # the aperture's share depends on where in a pixel it is
    assert sorted(injection.alone) == [0, 0, 1, 1, 2, 2]
    assert np.count_nonzero(injection.flux > 1e-3) == np.isfinite(injection.magnitude).sum() == 6
    difference = injection.brick.image - brick.image
    np.testing.assert_allclose(
        [aperture_sums(band, injection.x, injection.y) for band in difference], injection.flux, atol=1e-4
    )


def test_places_are_empty_apart_and_away_from_the_border(ground):
    settings = InjectionSettings()
    for seed in range(3):
        injection = inject(ground, np.random.default_rng(seed), count=99, settings=settings)
        x, y = injection.x, injection.y
        assert 5 < x.size < 30
        apart = np.hypot(x - x[:, None], y - y[:, None]) + 1e3 * np.eye(x.size)
        assert apart.min() > settings.separation - 2
        assert min(x.min(), y.min(), SIZE - 1 - x.max(), SIZE - 1 - y.max()) >= settings.margin - 1
        assert np.hypot(y - 70, x - 180).min() > 20
        hole = np.hypot(*(np.maximum(np.abs(at - middle) - 5, 0) for at, middle in ((y, 124.5), (x, 94.5))))
        assert hole.min() > 5
    nowhere = empty_places(np.zeros((99, 99), bool), 5, np.random.default_rng(0), settings)
    assert [axis.shape for axis in nowhere] == [(0,), (0,)]


def test_the_same_seed_puts_in_the_same(ground):
    one, other = (inject(ground, np.random.default_rng(4), count=5) for _ in range(2))
    np.testing.assert_array_equal(one.brick.image, other.brick.image)
    assert isinstance(one, Injection)
    assert one.disc.dtype == bool


def test_photon_noise_is_added_and_told(ground, brick, noise):
    settings = InjectionSettings(faintest=2e3, brightest=2.1e3, electrons=(100.0,) * 3)
    with_noise = inject(ground, np.random.default_rng(5), count=6, settings=settings)
    without = inject(ground, np.random.default_rng(5), count=6, settings=replace(settings, electrons=None))
    np.testing.assert_array_equal(with_noise.flux, without.flux)
    source = without.brick.image - brick.image
    bright = (source > 1) & (brick.invvar > 0)
    noise_sigma = np.sqrt(source[bright] / 100)
    pull = (with_noise.brick.image - without.brick.image)[bright] / noise_sigma
    assert pull.std() == pytest.approx(1, rel=0.2)
    added = 1 / with_noise.brick.invvar[bright] - 1 / brick.invvar[bright]
    np.testing.assert_allclose(added, noise_sigma**2, rtol=1e-3)
    assert (with_noise.brick.invvar[brick.invvar == 0] == 0).all()


def test_discs_are_as_large_as_they_are_drawn():
    middle, radii = np.array([40.0]), (0.0, 3.0)
    stamps = [
        draw_sources((81, 81), middle, middle, np.array([5.0]), 3.0, np.array([size])) for size in radii
    ]
    for stamp in stamps:
        assert stamp.sum() == pytest.approx(5, rel=0.01)
        assert np.unravel_index(stamp.argmax(), stamp.shape) == (40, 40)
    assert stamps[1].max() < 0.5 * stamps[0].max()


def test_bright_sources_are_found_and_faint_ones_are_not(ground, brick, noise):
    threshold = thresholds([false_peaks(brick, identity, noise, np.random.default_rng(6))])
    sources = several(ground, identity, threshold=threshold, times=8)
    table = rows(
        recovery_table({"identity": sources}, BANDS, np.random.default_rng(0)), shape="all", binned_by="snr"
    )
    for band in BANDS:
        one = rows(table, band=band)
        assert one["detected"][-1] == 1
        assert one["detected"][0] < 0.3
        assert (one["judged"] <= one["sources"]).all()
        assert (one["detected_err"][one["judged"] > 0] > 0).all()


def test_pure_noise_exceeds_the_threshold_as_often_as_said(brick, noise):
    parts = [false_peaks(brick, identity, noise, np.random.default_rng(seed)) for seed in range(5)]
    limits = thresholds(parts, rate=200)
    more = [false_peaks(brick, identity, noise, np.random.default_rng(seed)) for seed in range(5, 10)]
    for band, limit in enumerate(limits):
        false = sum(np.count_nonzero(part[0][band] > limit) for part in more)
        pixels = sum(part[1][band] for part in more)
        assert 100 < 1e6 * false / pixels < 400
    assert min(thresholds(parts, rate=RATE)) > max(limits)
    assert thresholds([([np.empty(0)] * 3, np.full(3, 1e6))]) == (0, 0, 0)


def test_few_sources_give_rows_without_errors_and_none_give_none(ground, tmp_path):
    one = several(ground, identity, times=1).select(np.array([0]))
    table = recovery_table({"one": one}, BANDS, np.random.default_rng(0))
    assert np.isnan(table["bias_percent_err"]).all()
    assert (table["sources"] == 1).all()
    write_table(tmp_path / "table.ecsv", table)
    none = one.select(np.array([], int))
    for make in (recovery_table, injected_colours_table, leak_table):
        assert len(make({"none": none}, BANDS, np.random.default_rng(0))) == 0
        assert len(make({}, BANDS, np.random.default_rng(0))) == 0


def test_injection_plot(ground, tmp_path):
    full = recovery_table({"half": several(ground, halved)}, BANDS, np.random.default_rng(0))
    injection_plot(full, tmp_path / "full.png")
    injection_plot(full[:0], tmp_path / "none.png")
    assert imread(tmp_path / "full.png").shape[1] > imread(tmp_path / "none.png").shape[1]


def field_of_stars(sigma, extended=True):
    """Eight stars and, half as many, galaxies, far apart; FWHM 5 pixels; (y, x)."""
    y, x = (axis.ravel() + 0.3 for axis in np.mgrid[40:400:90, 40:400:90].astype(float))
    radius = np.where(np.arange(x.size) % 3 == 0, 4.0, 0.0) if extended else np.zeros(x.size)
    flux = np.full(x.size, 100 * SIGMA[1] * 30)
    image = draw_sources((420, 420), x, y, flux, 5.0, radius)
    return image + sigma * np.random.default_rng(7).standard_normal(image.shape).astype(np.float32)


def test_the_seeing_is_measured_on_stars_not_on_galaxies():
    image = field_of_stars(SIGMA[1])
    usable, sigma = np.ones(image.shape, bool), np.full(image.shape, SIGMA[1], np.float32)
    widths = star_widths(image, usable, sigma)
    assert 6 <= widths.size <= 11
    np.testing.assert_allclose(widths, 5, rtol=0.05)
    assert np.median(widths) == pytest.approx(5, rel=0.01)
    assert star_widths(np.zeros_like(image), usable, sigma).size == 0


def test_a_band_without_stars_takes_the_seeing_of_the_others(noise, caplog):
    image = np.zeros((3, 420, 420), np.float32)
    image[1] = field_of_stars(SIGMA[1], extended=False)
    invvar = np.broadcast_to(np.array(SIGMA, np.float32)[:, None, None] ** -2, image.shape)
    brick = Brick("0001p600", BANDS, image, invvar, np.zeros(image.shape, bool), ())
    assert measure_fwhm(brick, noise) == pytest.approx((5, 5, 5), rel=0.01)
    assert "no star" in caplog.text
    with pytest.raises(BrickError, match="no isolated bright star"):
        measure_fwhm(replace(brick, image=np.zeros_like(image)), noise)
