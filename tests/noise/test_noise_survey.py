"""The noise of many bricks, which several processes share."""

import numpy as np
import pytest
from astropy.io import fits
from builders import noise_of_bricks

from skydenoise.errors import BrickError
from skydenoise.io import Brick
from skydenoise.noise import SkyOf, measure_survey_noise

L, SCALES = 3, 2


def white_sky(name: str) -> Brick:
    """White noise whose seed is the brick's name; there is no brick "0"."""
    if name == "0":
        raise BrickError("no file", brick=name)
    image = np.random.default_rng(int(name)).normal(0, 0.1, (1, 128, 128)).astype(np.float32)
    masked = np.zeros(image.shape, dtype=bool)
    return Brick(name, ("r",), image, np.full_like(image, 100), masked, (fits.Header(),))


def test_bricks_side_by_side_give_what_one_after_the_other_gives(caplog: pytest.LogCaptureFixture) -> None:
    names, sky = ["3", "0", "1", "2"], SkyOf(white_sky, L)
    found = measure_survey_noise(names, sky, 2, scales=SCALES)
    assert caplog.text.count("left out of noise: brick 0: no file") == 1
    assert found.sigma_sky[0] == pytest.approx(0.1, rel=0.02)
    assert found == measure_survey_noise(names, sky, 1, scales=SCALES)
    assert found == noise_of_bricks(map(white_sky, ["3", "1", "2"]), scales=SCALES, max_lag=L)
