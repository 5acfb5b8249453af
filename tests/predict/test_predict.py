"""One brick: what happens to its pixels, from the survey's to the denoised ones."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st

from skydenoise.config import Architecture, PredictSettings, RecoverSettings
from skydenoise.errors import BrickError, SettingsError
from skydenoise.io import Brick, flag_bit
from skydenoise.network import ModelDescription
from skydenoise.noise import NoiseModel
from skydenoise.noise.levels import noise_levels
from skydenoise.predict import Denoiser, denoise_brick
from skydenoise.predict.flags import low_coverage
from skydenoise.predict.uncertainty import Curve, UncertaintyModel
from skydenoise.stretch import Stretch

BANDS = ("g", "r", "z")
SIGMA = 0.01
TILE = 32


class Identity(torch.nn.Module):
    """Gives its input back, and counts the tiles it saw."""

    tiles = 0

    def forward(self, u):
        self.tiles += len(u)
        return (u, u)


class Nothing(torch.nn.Module):
    def forward(self, u):
        return (torch.zeros_like(u),)


class Broken(torch.nn.Module):
    def forward(self, u):
        u = u.clone()
        u[:, 1, 3:5, 7] = torch.nan
        return (u,)


def denoiser_of(network, **settings):
    white = np.ones((1, 1))
    noise = NoiseModel(
        BANDS, (SIGMA,) * 3, (1.0,) * 3, np.ones((3, 1, 1)), np.stack([noise_levels(white, 5)] * 3)
    )
    architecture = Architecture(levels=2, outputs=1, skips=False)
    description = ModelDescription(architecture, BANDS, Stretch(3.0), noise, {}, sha256="ab" * 32)
    usual = {"tile": TILE, "overlap": 8, "batch_tiles": 3, "recover": RecoverSettings(False)}
    settings = usual | {"background": "remove"} | settings
    return Denoiser(network, description, PredictSettings(**settings))


def test_as_many_tiles_go_through_at_once_as_suit_the_device(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    automatic = denoiser_of(Identity(), batch_tiles="auto")
    assert 1 <= automatic.batch_tiles < replace(automatic, device="cuda:1").batch_tiles
    large = denoiser_of(Identity(), batch_tiles="auto", tile=512)
    assert large.batch_tiles == 1 < replace(large, device="cuda").batch_tiles
    assert denoiser_of(Identity(), batch_tiles=7).batch_tiles == 7


def brick_of(shape=(70, 90), seed=0):
    image = np.random.default_rng(seed).normal(0, SIGMA, (3, *shape)).astype(np.float32)
    invvar = np.full_like(image, SIGMA**-2)
    return Brick("1410m032", BANDS, image, invvar, np.zeros(image.shape, bool), (fits.Header(),) * 3)


def has(denoised, flag, band):
    return (denoised.flags >> flag_bit(flag, band)) & 1 == 1


@pytest.mark.parametrize("shape", [(32, 32), (33, 32), (70, 90), (96, 41)])
def test_an_identity_network_gives_every_pixel_back(shape):
    brick = brick_of(shape)
    brick.image[1, 20, 20] = 1e4
    denoised = denoise_brick(brick, denoiser_of(Identity()))
    np.testing.assert_allclose(denoised.image, brick.image, rtol=1e-5, atol=1e-6 * SIGMA)
    np.testing.assert_allclose(denoised.sigma, SIGMA, rtol=0.02)  # as the brick itself shows
    assert denoised.image.dtype == denoised.sigma.dtype == np.float32
    assert denoised.flags.dtype == np.int32
    assert not denoised.flags.any()


def test_tiles_in_one_pass_do_not_matter():
    brick = brick_of()
    one, many = (denoise_brick(brick, denoiser_of(Identity(), batch_tiles=size)) for size in (1, 99))
    np.testing.assert_array_equal(one.image, many.image)


def test_the_bricks_own_pixels_stay_as_they_are():
    brick = brick_of()
    brick.invvar[:, :20] = 0
    brick.masked[:, 30:33, 30:33] = True
    before = brick.image.copy(), brick.invvar.copy()
    denoise_brick(brick, denoiser_of(Identity(), recover=RecoverSettings()))
    np.testing.assert_array_equal(brick.image, before[0])
    np.testing.assert_array_equal(brick.invvar, before[1])


def test_no_data_is_zero_without_sigma_and_flagged():
    brick = brick_of()
    for pixels in (brick.image, brick.invvar):
        pixels[2, :, 50:] = 0
    denoised = denoise_brick(brick, denoiser_of(Identity()))
    empty = np.zeros(brick.shape, bool)
    empty[:, 50:] = True
    for band, expected in enumerate((~empty & empty, ~empty & empty, empty)):
        np.testing.assert_array_equal(has(denoised, "NODATA", band), expected)
        np.testing.assert_array_equal(np.isnan(denoised.sigma[band]), expected)
        assert (denoised.image[band][expected] == 0).all()
    assert not has(denoised, "INPAINTED", 2).any()


def test_masked_pixels_are_inpainted_and_their_values_never_matter():
    plain, saturated = brick_of(), brick_of()
    for brick in (plain, saturated):
        brick.masked[0, 30:36, 40:46] = True
    saturated.image[0, 30:36, 40:46] = 1e5
    settings = {"recover": RecoverSettings()}
    one, other = (denoise_brick(brick, denoiser_of(Identity(), **settings)) for brick in (plain, saturated))
    np.testing.assert_array_equal(one.image, other.image)
    np.testing.assert_array_equal(has(one, "INPAINTED", 0), plain.masked[0])
    np.testing.assert_array_equal(np.isnan(one.sigma[0]), plain.masked[0])
    assert np.abs(one.image[0][plain.masked[0]]).max() < 3 * SIGMA
    assert one.image[0][plain.masked[0]].any()
    assert not has(one, "INPAINTED", 1).any()


def test_masked_pixels_without_coverage_are_inpainted_near_measured_ones_only():
    brick = brick_of((96, 128))
    brick.masked[1, :, 60:] = True
    for pixels in (brick.image, brick.invvar):
        pixels[1, :, 60:] = 0
    denoised = denoise_brick(brick, denoiser_of(Identity()))
    reach = TILE // 2
    assert has(denoised, "INPAINTED", 1)[:, 60 : 60 + reach].all()
    assert has(denoised, "NODATA", 1)[:, 60 + reach :].all()
    assert not has(denoised, "INPAINTED", 1)[:, 60 + reach :].any()
    assert (denoised.image[1, :, 60 + reach :] == 0).all()
    assert np.isnan(denoised.sigma[1, :, 60:]).all()


@given(st.lists(st.floats(0.0, 1e3, width=32, exclude_min=True), min_size=1, max_size=30))
def test_low_coverage_is_below_a_share_of_numpys_median(values):
    invvar = np.array([[values]], dtype=np.float32)
    expected = invvar < 0.5 * np.median(invvar.astype(np.float64))
    np.testing.assert_array_equal(low_coverage(invvar, 0.5), expected)


def test_low_coverage_is_flagged_against_the_bands_own_median():
    brick = brick_of()
    brick.invvar[1] *= 100
    brick.invvar[0, 5:9, 5:9] *= 0.2
    brick.invvar[0, 12:14] *= 0.3
    denoised = denoise_brick(brick, denoiser_of(Identity(), low_coverage=0.25))
    expected = np.zeros(brick.shape, bool)
    expected[5:9, 5:9] = True
    np.testing.assert_array_equal(has(denoised, "LOWCOV", 0), expected)
    assert not has(denoised, "LOWCOV", 1).any()


def test_what_the_network_misses_is_put_back_and_flagged():
    brick = brick_of((96, 96))
    y, x = np.indices(brick.shape)
    star = 40 * SIGMA * np.exp(-((y - 48) ** 2 + (x - 48) ** 2) / (2 * 2.0**2)).astype(np.float32)
    brick.image[:] += star
    denoised = denoise_brick(brick, denoiser_of(Nothing(), recover=RecoverSettings()))
    core = star > 20 * SIGMA
    for band in range(3):
        assert has(denoised, "RECOVERED", band)[core].all()
        assert abs(denoised.image[band][core].sum() / star[core].sum() - 1) < 0.1
        assert has(denoised, "RECOVERED", band)[:20].mean() < 0.2
    bare = denoise_brick(brick, denoiser_of(Nothing()))
    assert not bare.image.any()
    assert not bare.flags.any()


def test_tiles_without_any_data_do_not_cost_a_pass():
    brick, network = brick_of((32, 32 * 5)), Identity()
    for pixels in (brick.image, brick.invvar):
        pixels[:, :, 32:] = 0
    denoised = denoise_brick(brick, denoiser_of(network, overlap=0))
    assert network.tiles == 1
    assert has(denoised, "NODATA", 0)[:, 32:].all()


def test_calibrated_sigma_follows_the_noise_of_each_pixel():
    brick = brick_of()
    brick.invvar[:, :, 45:] /= 4
    plain = denoiser_of(Nothing())
    curve = Curve((0.0,), (0.1,))
    model = UncertaintyModel(BANDS, *[(curve,) * 3] * 3, plain.conditions)
    sigma = denoise_brick(brick, replace(plain, uncertainty=model), plain.description.noise).sigma
    np.testing.assert_allclose(sigma[:, :, :45], 0.1 * SIGMA, rtol=1e-5)
    np.testing.assert_allclose(sigma[:, :, 45:], 0.2 * SIGMA, rtol=1e-5)


def test_where_a_band_lacks_sigma_is_that_of_bands_alone_unless_all_are_alone():
    brick = brick_of()
    brick.invvar[0, :, 45:] = 0
    joint, curves = denoiser_of(Nothing()), [(Curve((0.0,), (ratio,)),) * 3 for ratio in (0.1, 0.9, 0.3)]
    separate = replace(joint, settings=replace(joint.settings, bands="separate"))
    for plain, ratio in ((joint, 0.3), (separate, 0.1)):
        denoiser = replace(plain, uncertainty=UncertaintyModel(BANDS, *curves, plain.conditions))
        sigma = denoise_brick(brick, denoiser, plain.description.noise).sigma
        np.testing.assert_allclose(sigma[:, :, :45], 0.1 * SIGMA, rtol=1e-5)
        np.testing.assert_allclose(sigma[1:, :, 45:], ratio * SIGMA, rtol=1e-5)


def test_uncertainty_of_other_settings_is_refused():
    plain = denoiser_of(Nothing())
    curve = Curve((0.0,), (0.1,))
    model = UncertaintyModel(BANDS, *[(curve,) * 3] * 3, plain.conditions)
    with pytest.raises(SettingsError, match="measure it again"):
        replace(plain, uncertainty=model, settings=replace(plain.settings, recover=RecoverSettings()))
    replace(plain, uncertainty=model, settings=replace(plain.settings, batch_tiles=7))


def test_a_tile_that_does_not_fit_the_network_is_refused():
    with pytest.raises(SettingsError, match=r"predict.tile: 30 is not a multiple of the network's stride 8"):
        denoiser_of(Identity(), tile=30)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda brick: brick_of((32, 31)), "image 31x32 is smaller than a tile of 32 (set predict.tile)"),
        (lambda brick: replace(brick, bands=("r", "g", "z")), "its bands are r g z, the model's are g r z"),
        (lambda brick: replace(brick, invvar=0 * brick.invvar), "not one usable pixel"),
    ],
)
def test_a_brick_that_cannot_be_denoised_is_named_in_one_line(spoil, message):
    with pytest.raises(BrickError) as caught:
        denoise_brick(spoil(brick_of()), denoiser_of(Identity()))
    assert str(caught.value).startswith("brick 1410m032: ")
    assert message in str(caught.value)


def test_a_network_gone_wrong_is_told_from_a_result():
    line = "brick 1410m032, band r: the network's image is not finite in .* pixels, first at x 7, y 3 from 0"
    with pytest.raises(BrickError, match=line):
        denoise_brick(brick_of(), denoiser_of(Broken()))


def test_the_key_changes_with_all_that_changes_pixels():
    plain = denoiser_of(Identity())
    changed = [
        replace(plain, settings=replace(plain.settings, overlap=9)),
        replace(plain, settings=replace(plain.settings, recover=RecoverSettings())),
        replace(plain, description=replace(plain.description, sha256="cd" * 32)),
        replace(
            plain,
            uncertainty=UncertaintyModel(BANDS, *[(Curve((0.0,), (0.1,)),) * 3] * 3, plain.conditions),
        ),
    ]
    assert len({plain.key, *(other.key for other in changed)}) == 5
    assert denoiser_of(Nothing()).key == plain.key


def test_a_network_sees_every_pixel_in_units_of_its_own_noise():
    seen = []

    class Watching(torch.nn.Module):
        def forward(self, u):
            seen.append(u)
            return (u,)

    brick = brick_of((64, 64))
    brick.image[:, :, 32:] *= 5
    brick.invvar[:, :, 32:] /= 25
    denoised = denoise_brick(brick, denoiser_of(Watching(), overlap=0, tile=64))
    v = 3 * torch.sinh(seen[0][0]).numpy()
    np.testing.assert_allclose(v.std(axis=(1, 2)), 1, rtol=0.05)
    np.testing.assert_allclose(v[:, :, 32:].std(), v[:, :, :32].std(), rtol=0.05)
    np.testing.assert_allclose(denoised.image, brick.image, rtol=1e-5, atol=1e-6 * SIGMA)


class Mixing(torch.nn.Module):
    """Gives each band the mean of all, and keeps what it saw: a network that leaks."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def forward(self, u):
        self.seen.append(u.clone())
        return (u.mean(1, keepdim=True).expand_as(u),)


def with_source(brick, band, peak=40):
    y, x = np.indices(brick.shape)
    source = peak * SIGMA * np.exp(-((y - 48) ** 2 + (x - 48) ** 2) / (2 * 2.0**2)).astype(np.float32)
    image = brick.image.copy()
    image[band] += source
    return replace(brick, image=image), source > 5 * SIGMA


def test_bands_that_are_denoised_separately_do_not_leak():
    empty = brick_of((96, 96))
    bright, core = with_source(empty, 0)
    usual = {"recover": RecoverSettings(), "background": "keep"}
    for bands in ("joint", "separate"):
        denoiser = denoiser_of(Mixing(), bands=bands, **usual)
        images = [denoise_brick(brick, denoiser).image for brick in (empty, bright)]
        leak = [np.abs(images[1] - images[0])[band, core].max() for band in range(3)]
        assert leak[0] > 5 * SIGMA
        assert (leak[1] == leak[2] == 0) if bands == "separate" else min(leak) > SIGMA


def test_what_other_bands_decided_is_flagged():
    bright, core = with_source(brick_of((96, 96)), 0)
    flagged = {on: denoise_brick(bright, denoiser_of(Mixing(), flag_borrowed=on)) for on in (False, True)}
    for band in range(3):
        borrowed = has(flagged[True], "BORROWED", band)
        assert borrowed[core].mean() > 0.9 if band else borrowed[core].mean() < 0.2
        assert borrowed[:20].mean() < 0.2
        assert not has(flagged[False], "BORROWED", band).any()
    np.testing.assert_array_equal(flagged[True].image, flagged[False].image)


@pytest.mark.parametrize("bands", ["joint", "separate"])
def test_a_band_that_is_left_out_is_zero_for_the_network_as_in_training(bands):
    brick, network = brick_of((64, 64)), Mixing()
    brick.invvar[1] = brick.image[1] = 0
    brick.image[2] += 5 * SIGMA
    brick.invvar[2, :, 32:] = brick.image[2, :, 32:] = 0  # no data in half of the tiles
    denoised = denoise_brick(brick, denoiser_of(network, overlap=0, batch_tiles=1, bands=bands))
    shown = [tuple(u[0, band].any().item() for band in range(3)) for u in network.seen]
    left, right = (True, False, True), (True, False, False)
    alone = [(True, False, False), (False, False, True), (True, False, False), (False, False, False)]
    assert shown == ([left, right] * 2 if bands == "joint" else alone * 2)
    assert has(denoised, "NODATA", 1).all()
    assert not denoised.image[1].any()


def test_a_model_that_saw_all_bands_in_training_is_used_without_some_with_a_word(caplog):
    brick, plain = brick_of((64, 64)), denoiser_of(Nothing())
    description = replace(plain.description, provenance={"settings": '{"band_dropout": 0}'})
    denoise_brick(brick, replace(plain, description=description))
    assert "band_dropout" not in caplog.text
    brick.invvar[1] = brick.image[1] = 0
    denoise_brick(brick, plain)
    assert "band_dropout" not in caplog.text
    denoise_brick(brick, replace(plain, description=description))
    assert "brick 1410m032: the model was trained without train.band_dropout" in caplog.text


def test_a_band_that_is_lacking_does_not_raise_the_threshold_of_others():
    whole, _ = with_source(brick_of((96, 96)), 0, peak=9)
    lacking = replace(whole, invvar=whole.invvar * np.float32([1, 0, 0])[:, None, None])
    lacking.image[1:] = 0
    alone = denoiser_of(Nothing(), recover=RecoverSettings(), bands="separate")
    found = [denoise_brick(lacking, each, alone.description.noise) for each in (
        alone, replace(alone, settings=replace(alone.settings, bands="joint")))]  # fmt: skip
    np.testing.assert_array_equal(*(each.image for each in found))


@pytest.mark.parametrize("level", [-20.0, -0.25, 0.0, 200.0])
def test_a_sky_level_is_kept_by_a_network_that_knows_none(level):
    brick = brick_of((256, 256))
    brick.image[:] += level * SIGMA
    plain = denoiser_of(Nothing(), background="keep")
    curve = Curve((0.0, 3.0), (0.1, 0.9))
    model = UncertaintyModel(BANDS, *[(curve,) * 3] * 3, plain.conditions)
    denoised = denoise_brick(brick, replace(plain, uncertainty=model))
    assert np.abs(denoised.image.mean(axis=(1, 2)) / SIGMA - level).max() < 0.02
    assert denoised.image.std() < 0.1 * SIGMA
    np.testing.assert_allclose(denoised.sigma, 0.1 * SIGMA, rtol=0.3)  # a level is no signal


def test_a_brick_with_foreign_noise_is_done_with_a_word_or_skipped(caplog):
    brick = brick_of((96, 96))
    brick.invvar[1] /= 100
    brick.image[1] *= 10
    denoise_brick(brick, denoiser_of(Identity()))
    assert "brick 1410m032: the model was not trained for its noise (r: noise 0.0998 not in" in caplog.text
    with pytest.raises(BrickError, match=r"not trained for its noise .* \(train on such bricks"):
        denoise_brick(brick, denoiser_of(Identity(), foreign_noise="skip"))
