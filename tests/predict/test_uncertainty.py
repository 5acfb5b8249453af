"""Uncertainty: the curves, and that sigma covers the error as often as it claims, on a known sky."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from skydenoise.config import Architecture, PredictSettings, RecoverSettings
from skydenoise.errors import BrickError
from skydenoise.io import Brick
from skydenoise.network import ModelDescription
from skydenoise.noise import NoiseModel
from skydenoise.noise.levels import noise_levels
from skydenoise.predict.calibrate import calibrate, random_cutouts, stand_in
from skydenoise.predict.denoise import estimate_sky
from skydenoise.predict.denoiser import Denoiser
from skydenoise.predict.uncertainty import (
    COVERAGE,
    LEAST_PIXELS,
    Curve,
    Sample,
    UncertaintyModel,
    fit_curve,
    fit_curves,
    half_width,
    local_signal,
)
from skydenoise.stretch import Stretch

BANDS = ("g", "r")
SIGMA = (0.01, 0.02)


def curve_strategy():
    ratios = st.lists(st.floats(1e-3, 10), min_size=1, max_size=6)
    return ratios.map(lambda ratio: Curve(tuple(np.arange(len(ratio)) ** 2.0), tuple(ratio)))


@given(curve_strategy(), st.lists(st.floats(0, 1e5), min_size=1, max_size=20))
def test_a_curve_stays_within_its_ratios_and_meets_its_knots(curve, signal):
    ratio = curve(torch.tensor(signal)).numpy()
    assert ratio.dtype == np.float32
    assert (ratio >= np.float32(min(curve.ratio)) * (1 - 1e-6)).all()
    assert (ratio <= np.float32(max(curve.ratio)) * (1 + 1e-6)).all()
    np.testing.assert_allclose(curve(torch.tensor(curve.signal)), curve.ratio, rtol=1e-5)


@pytest.mark.parametrize(
    ("signal", "ratio"),
    [((), ()), ((0, 1), (1,)), ((1, 0), (1, 1)), ((0,), (0,)), ((0,), (float("nan"),)), ((1e18,), (1,))],
)
def test_impossible_curves_are_refused(signal, ratio):
    with pytest.raises(ValueError, match="curve"):
        Curve(signal, ratio)


@given(curve_strategy(), curve_strategy())
def test_a_model_survives_json(one, other):
    model = UncertaintyModel(BANDS, (one, other), (other, one), (one, one), "tile 32")
    assert UncertaintyModel.from_json(json.loads(json.dumps(model.to_json()))) == model


def test_fitted_curves_follow_errors_that_grow_with_signal():
    generator = np.random.default_rng(1)
    signal = generator.exponential(3, 40000)
    error = generator.normal(size=40000) * (0.1 + np.minimum(signal, 8) / 10)
    curve = fit_curve(signal, error)
    np.testing.assert_allclose(curve(torch.tensor([0.5, 2, 4, 7])), [0.15, 0.3, 0.5, 0.8], rtol=0.1)
    ratio = curve(torch.from_numpy(signal.astype(np.float32))).numpy()
    assert np.mean(np.abs(error) <= ratio) == pytest.approx(COVERAGE[0], abs=0.01)


@pytest.mark.parametrize("count", [1, LEAST_PIXELS - 1, LEAST_PIXELS + 1])
def test_few_pixels_make_one_knot(count):
    generator = np.random.default_rng(2)
    curve = fit_curve(generator.exponential(30, count), np.full(count, 0.3))
    assert len(curve.ratio) == 1
    assert 0.15 < curve.ratio[0] <= 0.3 * (1 + 1e-6)


def test_no_error_at_all_is_not_certainty():
    assert fit_curve(np.zeros(1000), np.zeros(1000)).ratio[0] > 0


def test_both_kinds_of_pixels_have_their_curve():
    generator = np.random.default_rng(3)
    recovered = np.repeat([False, True], 4000)
    error = np.where(recovered, 1, 0.2) * generator.normal(size=8000)
    signal = np.full(8000, 1.0)
    network, put_back = fit_curves([Sample(signal, error, recovered, signal, error**2)])
    np.testing.assert_allclose(network.ratio, 0.2, rtol=0.1)
    np.testing.assert_allclose(put_back.ratio, 1, rtol=0.1)


def test_half_width_is_the_sigma_of_a_gaussian_and_holds_both_shares_as_well_as_it_can():
    error = np.random.default_rng(4).normal(size=100_000)
    assert half_width(0.3 * error) == pytest.approx(0.3, rel=0.01)
    tailed = np.where(np.arange(error.size) % 10, 1, 4) * error
    within = [np.mean(np.abs(tailed) <= reach * half_width(tailed)) for reach in (1, 2)]
    assert within[0] - COVERAGE[0] == pytest.approx(COVERAGE[1] - within[1], abs=1e-3)
    assert within[0] > COVERAGE[0]


def test_the_stand_in_is_empty_where_the_image_is_and_gives_back_what_faint_sources_lost():
    noise = np.ones((12, 40), np.float32)
    image = np.zeros_like(noise)
    image[:, :10], image[:, 10:20], image[:, 20:30] = 0.02, 0.5, 100
    known = stand_in(image, 0.8 * image, noise)
    assert (known[:, 35:] == 0).all()
    assert (known[:, :8] < 0.01).all()
    assert (known[:, 12:18] > 0.5).all()
    np.testing.assert_allclose(known[:, 22:28], 100, rtol=0.01)


def test_sigma_takes_the_curve_of_its_kind_of_pixel(strips_of):
    strips_of(64 * 8)  # several strips, the last one shorter
    model = UncertaintyModel(("g",), *((Curve((0,), (ratio,)),) for ratio in (0.1, 0.9, 0.3)))
    noise = np.full((1, 300, 8), 2, np.float32)
    noise[0, 0] = 0
    recovered = np.zeros(noise.shape, bool)
    recovered[0, 280] = True
    single = np.zeros(noise.shape[1:], bool)
    single[279:282] = True
    sigma = model.sigma(np.zeros_like(noise), noise, recovered, single=single)
    expected = np.where(recovered, 1.8, np.where(single, 0.6, 0.2)) * (noise > 0)
    np.testing.assert_allclose(sigma, expected, rtol=1e-6)
    np.testing.assert_allclose(model.sigma(np.zeros_like(noise), noise), 0.2 * (noise > 0), rtol=1e-6)


def test_sigma_of_a_tall_image_is_that_of_its_signal_in_one_piece(strips_of):
    strips_of(64 * 40)
    generator = np.random.default_rng(3)
    image = (50 * generator.normal(size=(1, 600, 40))).astype(np.float32)
    noise = generator.uniform(0.5, 2, image.shape).astype(np.float32)
    curve = Curve((0.1, 1.0, 30.0), (0.2, 0.5, 1.0))
    signal = local_signal(torch.from_numpy(image[0]), torch.from_numpy(noise[0])).numpy()
    ratio = np.interp(np.arcsinh(signal), np.arcsinh(curve.signal), curve.ratio)
    model = UncertaintyModel(("g",), (curve,), (curve,), (curve,))
    np.testing.assert_allclose(model.sigma(image, noise)[0], ratio * noise[0], rtol=1e-5)
    if torch.cuda.is_available():
        np.testing.assert_allclose(model.sigma(image, noise, None, "cuda")[0], ratio * noise[0], rtol=1e-5)


def test_local_signal_is_in_units_of_the_noise_and_never_negative():
    image = torch.full((9, 9), -1.0)
    image[:, 5:] = 3
    noise = torch.full((9, 9), 0.5)
    noise[0], noise[1] = 0, float("nan")
    signal = local_signal(image, noise)
    assert (signal[:, :3] == 0).all()
    np.testing.assert_allclose(signal[2:, 7:], 6)
    assert (signal[:2] == 0).all()


class Smoothing(torch.nn.Module):
    """A Gaussian of 1.5 pixels for a network; 0 gives the identity."""

    def __init__(self, width):
        super().__init__()
        self.width = width

    def forward(self, u):
        if not self.width:
            return (u,)
        return (torch.from_numpy(ndimage.gaussian_filter(u.numpy(), (0, 0, self.width, self.width))),)


def noise_model():
    lag = np.arange(-3, 4)
    correlation = np.exp(-(lag[:, None] ** 2 + lag**2) / 1.5)
    levels = noise_levels(correlation, 5)
    return NoiseModel(BANDS, SIGMA, (1.0, 1.0), np.stack([correlation] * 2), np.stack([levels] * 2))


def denoiser_of(width, recover):
    architecture = Architecture(bands=2, levels=2, outputs=1, skips=False)
    stretch = Stretch(3.0)
    description = ModelDescription(architecture, BANDS, stretch, noise_model(), {}, sha256="ab" * 32)
    settings = PredictSettings(tile=64, overlap=24, recover=RecoverSettings(recover))
    return Denoiser(Smoothing(width), description, settings)


def sky_and_brick(generator, size=256, sources=60):
    """Round sources of many sizes and fluxes, and a brick of them in correlated noise, half deeper."""
    y, x = np.indices((size, size))
    truth = np.zeros((2, size, size), np.float32)
    for _ in range(sources):
        row, column = generator.uniform(0, size, 2)
        width = generator.uniform(1.5, 4)
        blob = np.exp(-((y - row) ** 2 + (x - column) ** 2) / (2 * width**2)) * 10 ** generator.uniform(
            -1, 0.5
        )
        truth += (blob * np.array([[[0.3]], [[1]]])).astype(np.float32)
    depth = np.ones((2, size, size), np.float32)
    depth[:, :, : size // 2] = 4
    invvar = depth / np.array(SIGMA, np.float32)[:, None, None] ** 2
    noise = noise_model()
    image = truth + noise.draw(truth.shape, generator) * noise.sigma(invvar)
    return truth, Brick("1410m032", BANDS, image.astype(np.float32), invvar, np.zeros(truth.shape, bool), ())


def coverage(width, recover):
    """Share of errors within 1 sigma on a sky not calibrated on: overall, empty sky, bright pixels."""
    generator = np.random.default_rng(7)
    denoiser = denoiser_of(width, recover)
    bricks = (sky_and_brick(generator)[1] for _ in range(2))
    model = calibrate(bricks, denoiser, generator, per_brick=1, size=256)
    truth, brick = sky_and_brick(generator)
    noise = denoiser.description.noise
    noise_sigma = noise.sigma(brick.invvar)
    image, recovered = estimate_sky(brick, noise, denoiser)
    within = np.abs(image - truth) <= model.sigma(image, noise_sigma, recovered)
    significance = truth / noise_sigma
    return [within.mean(), within[significance < 0.01].mean(), within[significance > 5].mean()], model


def test_sigma_of_an_identity_network_is_that_of_the_noise():
    shares, model = coverage(0, recover=False)
    np.testing.assert_allclose(shares, COVERAGE[0], atol=0.03)
    for curve in model.network:
        bright = np.array(curve.signal) > 5
        np.testing.assert_allclose(np.array(curve.ratio)[bright], 1, rtol=0.2)


def test_sigma_of_a_denoised_image_covers_its_errors():
    shares, model = coverage(1.5, recover=True)
    np.testing.assert_allclose(shares, COVERAGE[0], atol=0.05)
    for network, recovered in zip(model.network, model.recovered, strict=True):
        assert network.ratio[0] < 0.6
        assert network.ratio[0] < recovered.ratio[-1]
    faintest = [curves[0].ratio[0] for curves in (model.single, model.network)]
    assert faintest[0] == pytest.approx(faintest[1], rel=0.2)  # this network's bands know nothing of others


def test_the_same_seed_gives_the_same_model():
    models = [
        calibrate(
            [sky_and_brick(np.random.default_rng(3), 64, 5)[1]],
            denoiser_of(1, True),
            np.random.default_rng(4),
        )
        for _ in range(2)
    ]
    assert models[0] == models[1]


def test_cutouts_look_for_coverage():
    _, brick = sky_and_brick(np.random.default_rng(5), 200, 0)
    brick.invvar[:, :, 60:] = 0
    for cutout in random_cutouts(brick, 3, 50, np.random.default_rng(6)):
        assert cutout.shape == (50, 50)
        assert cutout.usable.mean() > 0.5
    with pytest.raises(BrickError, match="not one usable pixel"):
        next(random_cutouts(Brick("x", BANDS, brick.image, 0 * brick.invvar, brick.masked, ()), 1, 50, None))


def test_a_band_that_no_brick_has_gets_the_noise_of_the_input(caplog):
    _, brick = sky_and_brick(np.random.default_rng(5), 64, 0)
    brick.invvar[1] = 0
    model = calibrate([brick], denoiser_of(0, False), np.random.default_rng(0))
    assert model.network[1] == model.recovered[1] == model.single[1] == Curve((0.0,), (1.0,))
    assert model.network[0] != model.network[1]
    assert f"no training brick has band {BANDS[1]}" in caplog.text
