"""What the network misses is put back, and noise is not."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from skydenoise import starlet
from skydenoise.config import RecoverSettings
from skydenoise.noise.levels import noise_levels
from skydenoise.predict.recover import recover
from skydenoise.predict.support import Plane, find_candidates, find_support, reached

SETTINGS = RecoverSettings()
DECAM, BASS = (0.11, 0.02, 0.01), (0.60, 0.35, 0.00)  # correlation at lags (0,1), (1,1), (0,2)


def mended(image, network, *others):
    """The network's image with what was put back, and where that was."""
    restored = network.copy()
    recovered = recover(image, restored, *others)
    return restored, recovered


def drawn_noise(lags, shape, seed):
    """Unit-variance noise (band, y, x) float32 with about this correlation, and its starlet levels."""
    near, diagonal, far = lags
    function = np.zeros((17, 17))
    function[8, 8] = 1
    for axis in (0, 1):
        for shift, value in ((1, near), (2, far)):
            function[np.roll([8 + shift, 8], axis)[0], np.roll([8 + shift, 8], axis)[1]] = value
            function[np.roll([8 - shift, 8], axis)[0], np.roll([8 - shift, 8], axis)[1]] = value
    function[7, 7] = function[7, 9] = function[9, 7] = function[9, 9] = diagonal
    wrapped = np.zeros(shape[-2:])
    wrapped[:17, :17] = function
    power = np.fft.rfft2(np.roll(wrapped, (-8, -8), (0, 1))).real.clip(0)
    true = np.fft.irfft2(power, shape[-2:])
    correlation = np.roll(true, (8, 8), (0, 1))[:17, :17] / true[0, 0]
    white = np.random.default_rng(seed).normal(size=shape)
    noise = np.fft.irfft2(np.fft.rfft2(white) * np.sqrt(power / true[0, 0]), shape[-2:])
    levels = np.tile(noise_levels(correlation, SETTINGS.scales), (shape[0], 1))
    return noise.astype(np.float32), levels


def stars(shape, flux, places, fwhm=4.0, beta=3.0):
    """Moffat stars of `flux` at (y, x) places, the same in every band: (band, y, x) float32."""
    y, x = np.mgrid[: shape[1], : shape[2]]
    scale = fwhm / 2 / np.sqrt(2 ** (1 / beta) - 1)
    image = sum(
        flux * (beta - 1) / (np.pi * scale**2) * (1 + np.hypot(y - row, x - column) ** 2 / scale**2) ** -beta
        for row, column in places
    )
    return np.broadcast_to(image, shape).astype(np.float32)


def everywhere(shape):
    """Sigma of 1 and every pixel usable."""
    return np.ones(shape, np.float32), np.ones(shape, bool)


GRID = [(row + 0.3, column - 0.2) for row in range(40, 400, 80) for column in range(40, 400, 80)]


def apertures(image, radius=12):
    """Sum of each band in circles around the stars of GRID: (star, band)."""
    y, x = np.mgrid[: image.shape[1], : image.shape[2]]
    return np.array([image[:, np.hypot(y - row, x - column) < radius].sum(axis=1) for row, column in GRID])


@pytest.mark.parametrize("lags", [DECAM, BASS], ids=["DECam", "BASS"])
def test_pure_noise_stays_out(lags):
    shape = (3, 512, 512)
    noise, levels = drawn_noise(lags, shape, seed=1)
    restored, recovered = mended(noise, np.zeros_like(noise), *everywhere(shape), levels, SETTINGS)
    assert recovered.mean() < 1e-3
    assert restored.std() < 0.02


def test_a_star_missed_in_part_gets_its_flux_back():
    shape = (3, 400, 400)
    noise, levels = drawn_noise(DECAM, shape, seed=2)
    truth = stars(shape, 3000, GRID)  # peak of 110 sigma; total S/N of several hundred
    restored, _ = mended(truth + noise, 0.7 * truth, *everywhere(shape), levels, SETTINGS)
    bias = (apertures(restored) / apertures(truth)).mean(axis=0) - 1  # noise of the mean: 0.2 %
    assert np.all(np.abs(bias) < 0.005)
    assert (restored - truth).min() > -6.5  # no moats, no holes: no deeper than noise at the core
    profile = (restored - truth).reshape(3, 5, 80, 5, 80).mean(axis=(0, 1, 3))
    assert np.abs(profile).max() < 2  # the mean star keeps its shape: it lacked 36 at its peak


def test_a_star_of_signal_to_noise_100_gets_its_flux_back():
    shape = (3, 400, 400)
    noise, levels = drawn_noise(DECAM, shape, seed=3)
    truth = stars(shape, 1000, GRID)  # noise of an optimal flux, (sum of psf**2)**-1/2, is about 8
    restored, _ = mended(truth + noise, 0.7 * truth, *everywhere(shape), levels, SETTINGS)
    ratio = apertures(restored, radius=6) / apertures(truth, radius=6)
    assert abs(ratio.mean() - 1) < 0.005
    assert (restored - truth)[:, 20:60, 20:60].mean() > -0.02


def test_without_noise_a_missed_star_comes_back_to_its_wings():
    shape = (1, 400, 400)
    _, levels = drawn_noise(DECAM, shape, seed=0)
    truth = stars(shape, 3e4, GRID)
    restored, _ = mended(truth, 0.6 * truth, *everywhere(shape), levels, SETTINGS)
    np.testing.assert_allclose(apertures(restored), apertures(truth), rtol=0.005)
    assert np.abs(restored - truth).max() < 5  # the finest threshold; the stars lack 400 sigma at their peaks


def test_what_the_network_invents_is_taken_away():
    shape = (1, 400, 400)
    noise, levels = drawn_noise(DECAM, shape, seed=4)
    invented = stars(shape, 1000, GRID)
    restored, _ = mended(noise, invented, *everywhere(shape), levels, SETTINGS)
    assert abs(apertures(restored, radius=6).mean()) < 0.02 * apertures(invented, radius=6).mean()


def test_a_perfect_network_is_left_alone():
    shape = (3, 400, 400)
    noise, levels = drawn_noise(DECAM, shape, seed=5)
    truth = stars(shape, 2000, GRID)
    restored, recovered = mended(truth + noise, truth, *everywhere(shape), levels, SETTINGS)
    assert recovered.mean() < 3e-3  # one false detection at a coarse scale has hundreds of pixels
    assert (restored - truth).std() < 0.02


def test_bands_together_find_what_one_alone_does_not():
    shape = (3, 400, 400)
    noise, levels = drawn_noise(DECAM, shape, seed=6)
    faint = stars(shape, 42, GRID) + 0.3 * noise
    together, _ = mended(faint, np.zeros_like(faint), *everywhere(shape), levels, SETTINGS)
    alone, _ = mended(faint[:1], np.zeros_like(faint[:1]), *everywhere((1, 400, 400)), levels[:1], SETTINGS)
    assert (
        np.count_nonzero(apertures(together, 5)[:, 0] > 10) > np.count_nonzero(apertures(alone, 5) > 10) + 5
    )


def test_unusable_pixels_neither_matter_nor_change():
    shape = (1, 200, 200)
    noise, levels = drawn_noise(DECAM, shape, seed=7)
    truth = stars(shape, 2000, [(100, 100), (40, 150)])
    usable = np.ones(shape, bool)
    usable[0, 92:109, 92:109] = False
    network, sigma = 0.7 * truth, np.ones(shape, np.float32)
    clean, saturated = truth + noise, truth + noise
    clean[~usable] = 0
    saturated[~usable] = 1e5
    saturated[0, 100, 100] = np.nan
    expected, _ = mended(clean, network, np.where(usable, sigma, 0), usable, levels, SETTINGS)
    restored, recovered = mended(saturated, network, sigma, usable, levels, SETTINGS)
    np.testing.assert_array_equal(restored, expected)
    np.testing.assert_array_equal(restored[~usable], network[~usable])
    assert not recovered[~usable].any()
    assert recovered.any()


def test_the_noise_is_local():
    shape = (1, 512, 512)
    noise, levels = drawn_noise(DECAM, shape, seed=8)
    sigma = np.ones(shape, np.float32)
    sigma[:, :, 256:] = 8  # a step in exposure
    restored, recovered = mended(
        noise * sigma, np.zeros(shape, np.float32), sigma, sigma > 0, levels, SETTINGS
    )
    assert recovered.mean() < 2e-3
    assert (restored / sigma).std() < 0.03


def test_units_do_not_matter():
    shape = (2, 200, 200)
    noise, levels = drawn_noise(DECAM, shape, seed=9)
    truth = stars(shape, 3000, [(60, 60), (140, 120)])
    network, (sigma, usable) = 0.7 * truth, everywhere(shape)
    restored, recovered = mended(truth + noise, network, sigma, usable, levels, SETTINGS)
    small = np.float32(2.0**-9)
    scaled, where = mended(small * (truth + noise), small * network, small * sigma, usable, levels, SETTINGS)
    np.testing.assert_array_equal(where, recovered)
    np.testing.assert_array_equal(scaled, small * restored)


def test_too_much_light_is_taken_back_and_the_sky_gets_no_dark_pits():
    shape = (2, 200, 200)
    noise, levels = drawn_noise(DECAM, shape, seed=9)
    truth = stars(shape, 3000, [(60, 60)])
    pits = stars(shape, 3000, [(140, 140)])
    usual = everywhere(shape)
    restored, recovered = mended(truth - pits + noise, 1.3 * truth, *usual, levels, SETTINGS)
    assert restored[:, 55:66, 55:66].sum() == pytest.approx(truth[:, 55:66, 55:66].sum(), rel=0.02)
    assert not recovered[:, 137:144, 137:144].any()


def test_the_mask_marks_exactly_what_changed():
    shape = (3, 120, 100)
    noise, levels = drawn_noise(BASS, shape, seed=10)
    truth = stars(shape, 3000, [(60, 50)])
    network = 0.7 * truth
    restored, recovered = mended(truth + noise, network, *everywhere(shape), levels, SETTINGS)
    assert (restored.shape, restored.dtype, recovered.dtype) == (shape, np.float32, bool)
    np.testing.assert_array_equal(recovered, restored != network)
    assert recovered[:, 58:63, 48:53].all()


def test_the_finest_scale_follows_the_sharpness():
    shape = (1, 200, 200)
    _, levels = drawn_noise(DECAM, shape, seed=0)
    sharp, broad = stars(shape, 3e3, [(60, 60)]), 3e3 * stars(shape, 1, [(140, 140)], fwhm=30.0, beta=4)
    measured, noise, good = torch.from_numpy(sharp + broad), torch.ones(shape), torch.ones(shape) > 0
    finest = find_support(measured, torch.zeros(shape), noise, good, levels, SETTINGS)
    assert finest.dtype == torch.uint8
    assert finest[0, 60, 60] == 0
    assert 2 <= finest[0, 140, 140] < SETTINGS.scales
    assert finest[0, 5, 190] == SETTINGS.scales


@pytest.mark.parametrize("share", [0.0, 0.05, 0.35, 0.45, 1.0])  # from single pixels to one region
def test_regions_that_hold_a_seed_are_reached_from_it_and_no_others(share):
    generator = np.random.default_rng(5)
    mask = generator.random((60, 70)) < share
    places = np.flatnonzero(mask)
    seeds = generator.random(places.shape) < 0.01
    labels = ndimage.label(mask, np.ones((3, 3)))[0].ravel()[places]
    np.testing.assert_array_equal(reached(places, seeds, mask.shape), np.isin(labels, labels[seeds]))
    assert not reached(places, np.zeros_like(seeds), mask.shape).any()


def test_regions_end_at_the_borders_of_the_image():
    mask = np.zeros((5, 6), bool)
    mask[1:4, [0, -1]] = True  # along the rows these pixels follow each other, in the image they do not
    places = np.flatnonzero(mask)
    seeds = places == 6
    np.testing.assert_array_equal(reached(places, seeds, mask.shape), places % 6 == 0)


@pytest.mark.parametrize("rows", [64, 1024], ids=["in slabs", "at once"])
def test_support_is_that_of_all_coefficients_judged_one_by_one(strips_of, monkeypatch, rows):
    strips_of(5000)
    monkeypatch.setattr(starlet, "SLAB_ROWS", rows)
    shape = (3, 256, 256)
    noise, levels = drawn_noise(DECAM, shape, seed=14)
    levels *= np.array([[1.0], [1.1], [0.9]])
    flux = np.array([1.0, 0.3, 0.1], np.float32)[:, None, None]
    residual = torch.from_numpy(flux * stars(shape, 300, [(60.3, 60.1), (130, 200), (200.2, 70.4)]) + noise)
    rms = torch.from_numpy(np.random.default_rng(1).uniform(0.7, 1.4, shape).astype(np.float32))
    bright = torch.from_numpy(np.random.default_rng(2).random(shape) < 0.5)
    base, good = torch.where(bright, 2.0, 0.0), torch.ones(shape) > 0
    measured, variance = residual + base, rms.square()
    residual = measured - base
    finest = find_support(measured, base, rms, good, levels, SETTINGS).numpy()
    expected = np.full(shape, SETTINGS.scales, np.uint8)
    footprint = np.zeros(shape, bool)
    smooth, spread = list(residual), list(variance)
    for scale, threshold in enumerate(SETTINGS.threshold):
        spread = [starlet.smooth(band, 2**scale) for band in spread]
        coarse = [starlet.smooth(band, 2**scale) for band in smooth]
        rms = [each.sqrt() * float(level) for each, level in zip(spread, levels[:, scale], strict=True)]
        values = [((s - c) / r).numpy() for s, c, r in zip(smooth, coarse, rms, strict=True)]
        in_all = np.abs(sum(values)) > threshold * 3**0.5
        for band, value in enumerate(values):
            labels, _ = ndimage.label(np.abs(value) > SETTINGS.growth, np.ones((3, 3)))
            region = (labels > 0) & np.isin(labels, labels[in_all | (np.abs(value) > threshold)])
            region &= (value > 0) | bright[band].numpy()
            above = (smooth[band].abs() > SETTINGS.growth * rms[band]).numpy()
            expected[band][region & (expected[band] == SETTINGS.scales)] = scale
            footprint[band] |= region & above & ((smooth[band] > 0).numpy() == (value > 0))
        smooth = coarse
    assert footprint.sum(axis=(1, 2)).min() > 20
    np.testing.assert_array_equal(finest, np.where(footprint, expected, SETTINGS.scales))


def test_no_coefficient_is_missed_because_its_square_was_rounded():
    generator = np.random.default_rng(15)
    fine, variance = generator.normal(size=(64, 64)), generator.uniform(0.5, 2, (64, 64))
    fine, variance = (torch.from_numpy(each.astype(np.float32)) for each in (fine, variance))
    plane = Plane(fine, torch.empty_like(fine), torch.empty_like(fine), 0.9)
    everything = torch.arange(fine.numel())
    find_candidates(plane, variance, 1, 1.0)  # smooths
    for place, value in enumerate(plane.significance(everything).abs().tolist()[:300]):
        just_below = value * (1 - 1e-7)
        assert place in find_candidates(plane, variance, 1, just_below)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_a_gpu_puts_back_what_a_cpu_does():
    shape = (3, 400, 400)
    noise, levels = drawn_noise(DECAM, shape, seed=2)
    truth = stars(shape, 3000, GRID)
    inputs = truth + noise, 0.7 * truth, *everywhere(shape), levels, SETTINGS
    (restored, recovered), (expected, where) = mended(*inputs, "cuda"), mended(*inputs)
    same = (recovered == where) & np.isclose(restored, expected, rtol=1e-5, atol=1e-3)
    assert same.mean() > 0.999  # where a coefficient lies on a threshold a last digit decides


def test_disabled_gives_the_bare_network():
    shape = (1, 40, 40)
    noise, levels = drawn_noise(DECAM, shape, seed=11)
    network = ndimage.gaussian_filter(noise, 2)
    restored, recovered = mended(
        1000 * noise, network, *everywhere(shape), levels, RecoverSettings(enabled=False)
    )
    np.testing.assert_array_equal(restored, network)
    assert not recovered.any()


def test_no_data_at_all_changes_nothing():
    nothing = np.zeros((1, 30, 30), np.float32)
    _, levels = drawn_noise(DECAM, nothing.shape, seed=0)
    restored, recovered = mended(nothing, nothing + 1, nothing, nothing > 0, levels, SETTINGS)
    assert np.all(restored == 1)
    assert not recovered.any()


def test_impossible_input_is_refused():
    image = np.zeros((2, 20, 20), np.float32)
    sigma, usable = everywhere(image.shape)
    with pytest.raises(ValueError, match="shapes"):
        recover(image, image[:1], sigma, usable, np.ones((2, 5)), SETTINGS)
    for levels in (np.ones((1, 5)), np.ones((2, 4)), np.zeros((2, 5))):
        with pytest.raises(ValueError, match="noise levels"):
            recover(image, image, sigma, usable, levels, SETTINGS)
