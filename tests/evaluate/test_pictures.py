"""Figures: made of what they claim to show, at places chosen by rule."""

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from matplotlib.image import imread

from skydenoise.evaluate import before_after, bias_plot, galaxy_gallery, residual_plot, training_curve
from skydenoise.evaluate.pictures.colour import composite
from skydenoise.evaluate.pictures.draw import arcsec_per_pixel, sky_noise
from skydenoise.evaluate.pictures.zones import brightest_galaxies, choose_zones
from skydenoise.io import Brick, Denoised

SIZE, SIGMA = 200, 0.01
GALAXY, STAR, SATURATED = (50, 140), (150, 60), (150, 160)


def make_brick(bands=("g", "r", "z"), saturated=True):
    """A round galaxy, a star, a saturated star and twelve faint stars; (y, x) above."""
    y, x = np.mgrid[:SIZE, :SIZE]
    generator = np.random.default_rng(0)

    def profile(at, width, peak):
        return peak * np.exp(-((y - at[0]) ** 2 + (x - at[1]) ** 2) / (2 * width**2))

    truth = profile(GALAXY, 6, 2) + profile(STAR, 2, 5)
    for at in generator.uniform(10, 90, (12, 2)):
        truth += profile(at, 2, 0.15)
    if saturated:
        truth += profile(SATURATED, 2, 50)
    truth = np.repeat(truth[None], len(bands), axis=0).astype(np.float32)
    noisy = truth + (SIGMA * generator.standard_normal(truth.shape)).astype(np.float32)
    invvar = np.full(truth.shape, SIGMA**-2, np.float32)
    header = fits.Header({"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 0.15, "CRVAL2": 60.0})
    header.update(
        {"CRPIX1": 1.0, "CRPIX2": 1.0, "CD1_1": -7.2e-5, "CD1_2": 0.0, "CD2_1": 0.0, "CD2_2": 7.2e-5}
    )
    brick = Brick("0001p600", bands, noisy, invvar, truth > 20, (header,) * len(bands))
    return brick, Denoised(truth, np.full_like(truth, SIGMA), np.zeros((SIZE, SIZE), np.int32)), truth


@pytest.fixture(scope="module")
def scene():
    return make_brick()


def test_zones_follow_their_rules(scene):
    brick, denoised, _ = scene
    sigma = sky_noise(brick)
    galaxy = brightest_galaxies(brick, denoised.image, sigma, 3)
    assert (galaxy["y"][0], galaxy["x"][0]) == pytest.approx(GALAXY, abs=0.5)
    zones = {zone.title: zone for zone in choose_zones(brick, denoised.image, sigma, size=60)}
    assert list(zones) == ["brightest unmasked galaxy", "faint field", "largest saturated or bad area"]
    field = zones["faint field"].window
    assert denoised.image[1][field].max() < 30 * SIGMA
    assert brick.usable[(slice(None), *field)].all()
    assert brick.masked[1][zones["largest saturated or bad area"].window].sum() == brick.masked[1].sum()


def test_an_empty_brick_has_no_zones_but_a_field(scene):
    brick, denoised, _ = make_brick(saturated=False)
    zones = choose_zones(brick, np.zeros_like(denoised.image), sky_noise(brick), size=1000)
    assert [(zone.title, zone.size) for zone in zones] == [("faint field", SIZE)]


def test_scale_and_noise_come_from_the_brick(scene):
    brick, *_ = scene
    assert sky_noise(brick) == pytest.approx([SIGMA] * 3)
    assert arcsec_per_pixel(brick.headers[0]) == pytest.approx(0.2592)
    assert arcsec_per_pixel(fits.Header()) is None


def test_one_scaling_serves_every_version(scene):
    _, denoised, truth = scene
    colours = composite(denoised.image, (SIGMA,) * 3)
    assert colours.bands == (2, 1, 0)
    assert colours.describe(("g", "r", "z")).startswith("red, green, blue = z, r, g")
    half, full = colours.render(0.5 * truth), colours.render(truth)
    assert full.shape == (SIZE, SIZE, 3)
    assert full.dtype == np.uint8
    assert full[GALAXY].min() > half[GALAXY].min() > full[0, 0].max()


def test_bright_pixels_are_neutral_in_the_median(scene):
    _, _, truth = scene
    red = truth * np.array([0.5, 1, 2], np.float32)[:, None, None]
    pixel = composite(red, (SIGMA,) * 3).render(red)[GALAXY].astype(int)
    assert np.ptp(pixel) <= 2


@pytest.mark.parametrize("bands", [("g", "r", "z"), ("i",)])
def test_before_and_after(tmp_path, bands):
    brick, denoised, truth = make_brick(bands)
    before_after(brick, denoised, tmp_path / "a.png", truth, title="A title", credit="Simulated sky.")
    before_after(brick, denoised, tmp_path / "b.png")
    wide, narrow = imread(tmp_path / "a.png"), imread(tmp_path / "b.png")
    assert wide.shape[1] > 1.4 * narrow.shape[1]
    assert narrow[..., :3].std() > 0.1
    assert len(list(tmp_path.iterdir())) == 2


def test_no_data_is_white_and_said_to_be(tmp_path):
    brick, denoised, _ = make_brick(("r",))
    before_after(brick, denoised, tmp_path / "all.png")
    brick.invvar[:, :, :100] = brick.image[:, :, :100] = denoised.image[:, :, :100] = 0
    before_after(brick, denoised, tmp_path / "half.png")
    whole, half = ((imread(tmp_path / name)[..., :3] == 1).mean() for name in ("all.png", "half.png"))
    assert half > whole + 0.1


def test_galaxies_side_by_side(tmp_path, scene):
    brick, denoised, truth = scene
    galaxy_gallery(brick, denoised, tmp_path / "a.png", truth)
    empty = Denoised(np.zeros_like(truth), denoised.sigma, denoised.flags)
    galaxy_gallery(brick, empty, tmp_path / "b.png")
    assert imread(tmp_path / "a.png").shape[0] > imread(tmp_path / "b.png").shape[0]


def test_training_curve_bears_gaps_in_the_validation(tmp_path):
    log = tmp_path / "log.csv"
    log.write_text(
        "epoch,step,loss,validation,rate,seconds\n1,10,1.5,,1e-3,3\n2,20,1.1,1.2,5e-4,6\n3,30,1.0,nan,1e-4,9\n"
    )
    training_curve(log, tmp_path / "curve.png")
    assert imread(tmp_path / "curve.png").std() > 0.05


def test_bias_plot(tmp_path):
    table = Table(
        {
            "band": ["g", "g", "r"],
            "method": ["noisy", "denoised", "noisy"],
            "binned_by": ["magnitude"] * 3,
            "low": [20.0, 20.0, 21.0],
            "high": [20.5, 20.5, 21.5],
            "bias_percent": [0.1, -1.0, np.nan],
            "bias_percent_err": [0.2, 0.3, np.nan],
        }
    )
    bias_plot(table, tmp_path / "bias.png")
    bias_plot(table[:0], tmp_path / "none.png")
    assert imread(tmp_path / "bias.png").shape[1] > imread(tmp_path / "none.png").shape[1]


def test_residual_plot(tmp_path):
    table = Table({"band": ["g", "g"], "zone": ["sky", "all"]})
    for scale in (1, 2):
        table[f"starlet_{scale}"], table[f"starlet_{scale}_err"] = [1.0, np.nan], [0.01, np.nan]
    residual_plot(table, tmp_path / "residual.png")
    assert imread(tmp_path / "residual.png").std() > 0.05
