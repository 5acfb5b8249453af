"""Pictures: made of what they claim to show, at places chosen by rule."""

import numpy as np
import pytest
from matplotlib.image import imread

from skydenoise.evaluate.figures.bricks import draw_zones, make_views, sky_noise
from skydenoise.evaluate.figures.colour import composite
from skydenoise.evaluate.figures.zones import choose_zones, galaxy_zones
from tests.builders import SIGMA, gaussians, make_showcase

SIZE, GALAXY = 200, (50, 140)


@pytest.fixture(scope="module")
def pair():
    return make_showcase()


def test_zones_follow_their_rules(pair):
    brick, denoised, _ = pair
    sigma = sky_noise(brick)
    assert sigma == pytest.approx([SIGMA] * 3)
    galaxy = galaxy_zones(brick, denoised.image, sigma)[0]
    assert (galaxy.y + 32, galaxy.x + 32) == GALAXY
    zones = {zone.title: zone for zone in choose_zones(brick, denoised.image, sigma, size=60)}
    assert list(zones) == ["galaxy 1", "faint field", "largest saturated or bad area"]
    field = zones["faint field"].window
    assert denoised.image[1][field].max() < 30 * SIGMA
    assert brick.usable[(slice(None), *field)].all()
    assert brick.masked[1][zones["largest saturated or bad area"].window].sum() == brick.masked[1].sum()


def test_a_star_with_wings_is_no_galaxy(pair):
    brick, _, truth = pair
    wings = gaussians((SIZE, SIZE), [40], [100], [1500]) + gaussians((SIZE, SIZE), [40], [100], [1500], 9)
    galaxy = galaxy_zones(brick, truth + wings.astype(np.float32), sky_noise(brick), count=1)[0]
    assert (galaxy.y + 32, galaxy.x + 32) == GALAXY


def test_an_empty_brick_has_no_zones_but_a_field():
    brick, denoised, _ = make_showcase(saturated=False)
    zones = choose_zones(brick, np.zeros_like(denoised.image), sky_noise(brick), size=1000)
    assert [(zone.title, zone.size) for zone in zones] == [("faint field", SIZE)]


def test_one_scaling_serves_every_version(pair):
    _, denoised, truth = pair
    colours = composite(denoised.image, (SIGMA,) * 3)
    assert colours.bands == (2, 1, 0)
    assert colours.describe(("g", "r", "z")).startswith("red, green, blue = z, r, g")
    half, full = colours.render(0.5 * truth), colours.render(truth)
    assert full.shape == (SIZE, SIZE, 3)
    assert full.dtype == np.uint8
    assert full[GALAXY].min() > half[GALAXY].min() > full[0, 0].max()


def test_bright_pixels_are_neutral_in_the_median(pair):
    red = pair[2] * np.array([0.5, 1, 2], np.float32)[:, None, None]
    pixel = composite(red, (SIGMA,) * 3).render(red)[GALAXY].astype(int)
    assert np.ptp(pixel) <= 2


@pytest.mark.parametrize("bands", ["grz", "i"])
def test_every_version_has_a_column_and_every_zone_a_row(tmp_path, bands):
    brick, denoised, truth = make_showcase(bands)
    with_truth, without = make_views(brick, denoised, truth, "Simulated sky."), make_views(brick, denoised)
    zones = galaxy_zones(brick, denoised.image, with_truth.sigma)
    draw_zones(with_truth, zones, tmp_path / "a.png", whole=True)
    draw_zones(without, zones, tmp_path / "b.png", whole=False)
    draw_zones(without, [], tmp_path / "c.png", whole=False)
    wide, narrow, whole = (imread(tmp_path / f"{name}.png") for name in "abc")
    assert wide.shape[1] > 1.4 * narrow.shape[1]
    assert wide.shape[0] > 1.2 * narrow.shape[0]
    assert min(narrow[..., :3].std(), whole[..., :3].std()) > 0.1
    assert len(list(tmp_path.iterdir())) == 3


def test_no_data_is_white():
    brick, denoised, _ = make_showcase("r")
    assert not (make_views(brick, denoised).versions["denoised"] == 255).any(axis=1).all()
    brick.invvar[:, :, :100] = brick.image[:, :, :100] = denoised.image[:, :, :100] = 0
    for pixels in make_views(brick, denoised).versions.values():
        assert (pixels[:, :100] == 255).all()
        assert (pixels[:, 100:] < 255).any()
