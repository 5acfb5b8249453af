import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from skydenoise.survey.external.noise import measure_noise, without_outliers
from skydenoise.survey.external.plane import ImageError

SIZE = 300


def galaxy(peak: float, scale: float) -> np.ndarray:
    """Exponential disc, in the middle of the image."""
    y, x = np.indices((SIZE, SIZE))
    return peak * np.exp(-np.hypot(x - SIZE / 2, y - SIZE / 2) / scale)


def stars(count: int) -> np.ndarray:
    generator = np.random.default_rng(1)
    y, x = np.indices((SIZE, SIZE))
    image = np.zeros((SIZE, SIZE))
    for x0, y0, logarithm in generator.uniform((0, 0, 1), (SIZE, SIZE, 3.5), (count, 3)):
        image += 10**logarithm / 25 * np.exp(-((x - x0) ** 2 + (y - y0) ** 2) / 8)
    return image


def white() -> np.ndarray:
    return np.random.default_rng(3).normal(0, 1, (SIZE, SIZE))


def correlated() -> np.ndarray:
    """Noise with a correlation of 0.6 between neighbours, as resampling leaves it."""
    smooth = gaussian_filter(white(), 0.75)
    return smooth / smooth.std()


@pytest.mark.parametrize("noise", [white(), correlated()], ids=["white", "correlated"])
@pytest.mark.parametrize(
    ("light", "little_sky"),
    [
        (np.zeros((SIZE, SIZE)), False),
        (200 + 0.01 * np.indices((SIZE, SIZE))[0], False),
        (stars(150), False),
        (galaxy(1000, 60), True),
        (galaxy(300, 150), True),
    ],
    ids=["sky", "gradient", "stars", "galaxy", "large galaxy"],
)
def test_noise_is_measured_beneath_light(noise: np.ndarray, light: np.ndarray, little_sky: bool) -> None:
    found, sky = measure_noise(noise + light)
    assert found == pytest.approx(1, rel=0.04)
    assert (sky < 0.1) == little_sky


def test_noise_of_integers_and_with_holes() -> None:
    pixels = np.rint(white())
    pixels[:40] = np.nan
    assert measure_noise(pixels)[0] == pytest.approx(np.hypot(1, 12**-0.5), rel=0.04)


@pytest.mark.parametrize("shape", [(5, 5), (1, 40), (30, 30)])
def test_without_noise_there_is_a_remedy(shape: tuple[int, int]) -> None:
    with pytest.raises(ImageError, match="no noise can be measured") as caught:
        measure_noise(np.ones(shape))
    assert caught.value.remedy == "give the column invvar"
    with pytest.raises(ImageError, match="no valid pixel"):
        measure_noise(np.full(shape, np.nan))


@pytest.mark.parametrize("sentinel", [-999.0, -1e30, -32768.0])
@pytest.mark.parametrize("share", [0.001, 0.7])
def test_sentinels_are_no_light(sentinel: float, share: float) -> None:
    pixels = white() + galaxy(1000, 60)
    missing = np.random.default_rng(4).random(pixels.shape) < share
    pixels[missing] = sentinel
    kept, outliers = without_outliers(pixels)
    np.testing.assert_array_equal(np.isnan(kept), missing)
    assert outliers.startswith(
        f"{missing.sum()} pixels, {missing.sum()} of them {sentinel:g}, the first at x "
    )


def test_sentinels_close_to_the_noise_are_known_by_their_number() -> None:
    pixels = 50 * white()
    pixels[10:20, 30:40] = -999
    _, outliers = without_outliers(pixels)
    assert outliers == "100 pixels, 100 of them -999, the first at x 30, y 10"


def test_a_hot_pixel_is_named_and_a_bright_star_is_none() -> None:
    pixels = white()
    pixels[50, 60], pixels[70, 80] = 1e30, 1e6
    kept, outliers = without_outliers(pixels)
    assert outliers == "1 pixels, 1 of them 1e+30, the first at x 60, y 50"
    assert kept[70, 80] == 1e6
    assert without_outliers(white())[1] == ""
