"""Noise: what is drawn has the correlation it should, what is measured is what was there."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from astropy.io import fits
from builders import noise_of_bricks
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from skydenoise import starlet
from skydenoise.errors import BrickError, SettingsError
from skydenoise.io import Brick
from skydenoise.noise import NoiseModel
from skydenoise.noise.correlation import autocorrelation, power_spectrum, valid_correlation
from skydenoise.noise.levels import noise_levels
from skydenoise.noise.sky import empty_sky, mesh_background

L = 8
SCALES = 5


def near(side: float, diagonal: float, second: float) -> np.ndarray:
    """Correlation that ends at two pixels."""
    correlation = np.zeros((2 * L + 1, 2 * L + 1))
    correlation[L - 1 : L + 2, L - 1 : L + 2] = [
        [diagonal, side, diagonal],
        [side, 1, side],
        [diagonal, side, diagonal],
    ]
    correlation[L, [L - 2, L + 2]] = correlation[[L - 2, L + 2], L] = second
    return correlation


def resampled(width: float) -> np.ndarray:
    """Correlation of white noise smoothed by a Gaussian; 0.72 gives 0.60, 0.36 (diagonal), 0.15 (2 px)."""
    impulse = np.zeros((33, 33))
    impulse[16, 16] = 1
    found = autocorrelation(ndimage.gaussian_filter(impulse, width), L)
    return found / found[L, L]


WHITE, DECAM, BASS = near(0, 0, 0), near(0.11, 0.03, -0.06), resampled(0.72)


def model(*correlations: np.ndarray, scale: float = 1.0) -> NoiseModel:
    bands = "grzi"[: len(correlations)]
    levels = np.stack([noise_levels(each, SCALES) for each in correlations])
    ones = (1.0,) * len(bands)
    return NoiseModel(tuple(bands), ones, (scale,) * len(bands), np.stack(correlations), levels)


THREE = model(WHITE, DECAM, BASS, scale=0.9)


def noisy_sky(size: int, seed: int, noise: NoiseModel = THREE) -> Brick:
    """Empty sky on a sloping background; invvar differs by 8 over the field, some pixels have none."""
    generator = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size] / size
    invvar = np.repeat((np.where(x < 0.5, 100, 400) * (1 + y))[None], len(noise.bands), axis=0).astype(
        np.float32
    )
    invvar[generator.random(invvar.shape) < 0.01] = 0
    invvar[:, :20, :30] = 0
    image = noise.draw(invvar.shape, generator) * noise.sigma(invvar) + np.float32(0.05) * x.astype(
        np.float32
    )
    image[invvar == 0] = 0
    empty = np.zeros(invvar.shape, dtype=bool)
    return Brick("0000p000", noise.bands, image, invvar, empty, (fits.Header(),) * len(noise.bands))


def with_stars(brick: Brick, seed: int, density: float = 1e-3) -> Brick:
    """Stars with number counts N(>f) ~ 1/f, from about 1 sigma a pixel up, one saturated among them."""
    generator = np.random.default_rng(seed)
    height, width = brick.shape
    count = int(density * height * width)
    sky = np.zeros((height, width))
    flux = np.minimum(1.5 / generator.random(count), 300)
    np.add.at(sky, (generator.integers(0, height, count), generator.integers(0, width, count)), flux)
    sky[height // 2, width // 2] += 3000
    sky = ndimage.gaussian_filter(sky, 2.0)
    masked = np.repeat((sky > 20)[None], len(brick.bands), axis=0)
    image = brick.image + np.where(brick.invvar > 0, sky, 0).astype(np.float32)
    return Brick(brick.name, brick.bands, image, brick.invvar, masked, brick.headers)


@pytest.fixture(scope="module")
def measured() -> NoiseModel:
    return noise_of_bricks([noisy_sky(512, seed=1), noisy_sky(512, seed=2)], scales=SCALES, max_lag=L)


@pytest.fixture(scope="module")
def measured_among_stars() -> NoiseModel:
    bricks = (with_stars(noisy_sky(512, seed), seed + 10) for seed in (3, 4))
    return noise_of_bricks(bricks, scales=SCALES, max_lag=L)


def test_measured_correlation_is_the_true_one(measured: NoiseModel) -> None:
    np.testing.assert_allclose(measured.correlation, THREE.correlation, atol=0.012)


def test_measured_scale_is_the_true_one(measured: NoiseModel) -> None:
    np.testing.assert_allclose(measured.scale, 0.9, rtol=0.01)
    assert all(0 < error < 0.01 for error in measured.scale_error)


def test_measured_sigma_is_that_of_the_median_pixel(measured: NoiseModel) -> None:
    invvar = noisy_sky(512, seed=1).invvar
    for band, value in enumerate(measured.sigma_sky):
        here = invvar[band][invvar[band] > 0]
        assert value == pytest.approx(0.9 * np.median(1 / np.sqrt(here)), rel=0.03)


def test_measured_levels_are_those_of_starlet_coefficients_of_real_noise(measured: NoiseModel) -> None:
    np.testing.assert_allclose(measured.levels, THREE.levels, rtol=0.03)
    noise = THREE.draw((3, 512, 512), np.random.default_rng(5))
    planes = [[*starlet.planes(torch.from_numpy(band), SCALES)][:-1] for band in noise]
    rms = np.array([[float(plane.std()) for plane in each] for each in planes])
    np.testing.assert_allclose(
        measured.levels[:, :4], rms[:, :4], rtol=0.04
    )  # the fifth has few independent ones


def test_stars_change_little(measured_among_stars: NoiseModel) -> None:
    np.testing.assert_allclose(measured_among_stars.correlation, THREE.correlation, atol=0.025)
    np.testing.assert_allclose(measured_among_stars.scale, 0.9, rtol=0.02)


def test_one_band_alone_is_measured_without_the_help_of_others() -> None:
    noise = model(BASS, scale=0.9)
    found = noise_of_bricks([with_stars(noisy_sky(512, 6, noise), 16)], max_lag=L)
    np.testing.assert_allclose(found.correlation[0], BASS, atol=0.03)
    np.testing.assert_allclose(found.scale, 0.9, rtol=0.02)


def test_measured_correlation_is_one_of_a_possible_noise(measured_among_stars: NoiseModel) -> None:
    assert power_spectrum(measured_among_stars.correlation, 200, 333).min() > -1e-3
    np.testing.assert_array_equal(measured_among_stars.correlation[:, L, L], 1)


def test_background_of_sloping_sky_is_found_under_bright_stars() -> None:
    brick = with_stars(noisy_sky(512, 7), 17)
    y, sky = empty_sky(brick.image, brick.invvar, brick.usable, brick.masked)
    assert np.all(sky <= brick.usable)
    assert 0.2 < sky.mean() < 0.95
    assert np.all(np.abs([y[band][sky[band]].mean() for band in range(3)]) < 0.03)


def test_background_mesh_reproduces_a_plane() -> None:
    y, x = np.mgrid[:256, :320].astype(np.float32)
    plane = 3 + 0.01 * y - 0.02 * x
    found = mesh_background(plane, np.ones(plane.shape, dtype=bool))
    np.testing.assert_allclose(found[32:-32, 32:-32], plane[32:-32, 32:-32], atol=1e-3)


def test_a_band_without_enough_sky_is_named() -> None:
    brick = noisy_sky(200, seed=8)
    brick.invvar[1, :, 40:] = 0
    with pytest.raises(SettingsError, match=r"band r has \d+ pixels of empty sky"):
        noise_of_bricks([brick])


def test_no_brick_at_all_is_an_error() -> None:
    with pytest.raises(SettingsError, match="no training brick"):
        noise_of_bricks([])


def test_bands_must_agree() -> None:
    with pytest.raises(BrickError, match="bands g, not g, r, z"):
        noise_of_bricks([noisy_sky(128, 1), noisy_sky(128, 1, model(WHITE))])


@pytest.mark.parametrize("shape", [(2, 3, 256, 300), (3, 400, 401)])
def test_drawn_noise_has_unit_variance_and_the_correlation(shape: tuple[int, ...]) -> None:
    noise = THREE.draw(shape, np.random.default_rng(0)).reshape(-1, 3, *shape[-2:])
    assert noise.dtype == np.float32
    for band in range(3):
        products = sum(autocorrelation(each, L) for each in noise[:, band])
        pairs = len(noise) * autocorrelation(np.ones(shape[-2:]), L)
        np.testing.assert_allclose(products / pairs, THREE.correlation[band], atol=0.02)


def test_drawn_noise_does_not_wrap_around() -> None:
    noise = model(resampled(2.0)).draw((64, 1, 64, 64), np.random.default_rng(1))
    assert abs(np.mean(noise[..., 0, :] * noise[..., -1, :])) < 0.1
    assert abs(np.mean(noise[..., :, 0] * noise[..., :, -1])) < 0.1


def test_drawing_is_repeatable_and_bands_are_independent() -> None:
    first, second = (model(BASS, BASS).draw((2, 200, 200), np.random.default_rng(4)) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert abs(np.mean(first[0] * first[1])) < 0.03


def test_draw_refuses_another_number_of_bands() -> None:
    with pytest.raises(ValueError, match="2 bands"):
        THREE.draw((2, 32, 32), np.random.default_rng(0))


@given(height=st.integers(1, 70), width=st.integers(1, 70))
def test_amplitude_keeps_unit_variance_on_any_grid(height: int, width: int) -> None:
    amplitude = THREE.amplitude(height, width).astype(float)
    full = [np.fft.irfft2(band**2, s=(height, width))[0, 0] for band in amplitude]
    np.testing.assert_allclose(full, 1, rtol=1e-5)


@given(
    sigma=st.floats(1e-6, 1e6),
    scale=st.floats(0.1, 10),
    width=st.floats(0.1, 2),
    error=st.one_of(st.just(()), st.tuples(st.floats(0, 1))),
)
def test_json_round_trip(sigma: float, scale: float, width: float, error: tuple[float, ...]) -> None:
    first = NoiseModel(("g",), (sigma,), (scale,), resampled(width)[None], np.ones((1, 3)), error)
    second = NoiseModel.from_json(json.loads(json.dumps(first.to_json(), allow_nan=False)))
    assert first == second
    assert first.correlation.tobytes() == second.correlation.tobytes()


def test_sigma_is_scaled_and_zero_without_coverage() -> None:
    invvar = np.array([[[4, 0, -1, 100, np.nan]]], dtype=np.float32)
    before = invvar.copy()
    found = model(WHITE, scale=0.9).sigma(invvar)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, [[[0.45, 0, 0, 0.09, 0]]], rtol=1e-6)
    np.testing.assert_array_equal(invvar, before)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"scale": (0.0,)}, "noise.scale"),
        ({"sigma_sky": (np.nan,)}, "noise.sigma_sky"),
        ({"sigma_sky": (1.0, 2.0)}, "noise.sigma_sky"),
        ({"scale_error": (0.1, 0.1)}, "noise.scale_error"),
        ({"correlation": np.ones((1, 3, 5))}, "noise.correlation"),
        ({"correlation": np.arange(9.0).reshape(1, 3, 3)}, "not symmetric"),
        ({"levels": np.zeros((1, 3))}, "noise.levels"),
    ],
)
def test_impossible_models_are_refused(change: dict, reason: str) -> None:
    fields = {
        "bands": ("g",),
        "sigma_sky": (1.0,),
        "scale": (1.0,),
        "correlation": WHITE[None],
        "levels": np.ones((1, 3)),
    }
    with pytest.raises(ValueError, match=reason):
        NoiseModel(**(fields | change))


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), size=st.integers(20, 60))
def test_any_estimate_becomes_a_possible_correlation(seed: int, size: int) -> None:
    generator = np.random.default_rng(seed)
    image = ndimage.gaussian_filter(generator.standard_normal((size, size)), generator.uniform(0, 3))
    sky = generator.random((size, size)) < 0.6
    found = valid_correlation(autocorrelation(image * sky, L), autocorrelation(sky, L))
    assert found[L, L] == 1
    np.testing.assert_allclose(found, found[::-1, ::-1], atol=1e-12)
    assert (
        power_spectrum(found, 64, 64).min() > -0.05
    )  # exact on the grid it was made on, close to it elsewhere
    assert power_spectrum(found, 8 * 17, 8 * 17).min() > -1e-9


def test_autocorrelation_is_the_sum_over_pairs() -> None:
    values = np.random.default_rng(0).standard_normal((7, 9))
    found = autocorrelation(values, 2)
    assert found[2, 2] == pytest.approx(np.sum(values**2))
    assert found[3, 4] == pytest.approx(np.sum(values[1:, 2:] * values[:-1, :-2]))
    assert found[1, 4] == pytest.approx(np.sum(values[:-1, 2:] * values[1:, :-2]))


@pytest.mark.real
def test_noise_of_a_bass_coadd(real_data: Path) -> None:
    """Real BASS g: of the Tractor's own source-free pixels rho is 0.60, 0.35, 0.00, sigma sqrt(invvar) 0.835.

    Without masking sources the same pixels give 0.64, 0.43, 0.13 and 0.90: faint wings look like noise.
    """
    folder = real_data / "dr6/coadd/095/0959p805"
    image, invvar = (
        fits.getdata(folder / f"legacysurvey-0959p805-{kind}-g.fits.fz", 1)[:1000, :882].astype(np.float32)[
            None
        ]
        for kind in ("image", "invvar")
    )
    brick = Brick("0959p805", ("g",), image, invvar, np.zeros(image.shape, dtype=bool), (fits.Header(),))
    found = noise_of_bricks([brick])
    side, diagonal, second = (
        found.correlation[0, L, L + 1],
        found.correlation[0, L + 1, L + 1],
        found.correlation[0, L, L + 2],
    )
    assert (side, diagonal, second) == pytest.approx((0.596, 0.352, 0.0), abs=0.03)
    assert found.scale[0] == pytest.approx(0.835, abs=0.015)
    blobs = fits.getdata(real_data / "dr6/metrics/095/blobs-0959p805.fits.gz")[:1000, :882]
    clear = (blobs < 0) & brick.usable[0]
    y = (image[0] - mesh_background(image[0], clear))[clear] * np.sqrt(invvar[0][clear])
    assert found.scale[0] == pytest.approx(1.4826 * np.median(np.abs(y)), rel=0.02)
