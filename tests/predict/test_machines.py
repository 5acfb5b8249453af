"""A brick is the same wherever it is denoised, to rounding: numbers of threads, sets of instructions."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

MODEL = Path(__file__).parents[2] / "models/reference"
SIGMA = 0.01
DENOISE = """
import sys
from pathlib import Path
import numpy as np, torch
from astropy.io import fits
from skydenoise.config import PredictSettings
from skydenoise.io import Brick
from skydenoise.predict import load_denoiser
from skydenoise.predict.denoise import estimate_sky, noise_of

torch.set_num_threads(int(sys.argv[3]))
y, x = np.mgrid[:256, :256]
places = ((60, 70, 1), (150, 99, 30), (90, 200, 4000))
stars = sum(peak * np.exp(-((y - b) ** 2 + (x - a) ** 2) / 6) for a, b, peak in places)
image = np.random.default_rng(1).normal(stars, 1, (3, 256, 256)).astype(np.float32) * np.float32(sys.argv[4])
invvar = np.full_like(image, float(sys.argv[4]) ** -2)
brick = Brick("1500p600", ("g", "r", "z"), image, invvar, np.zeros(image.shape, bool), (fits.Header(),) * 3)
denoiser = load_denoiser(Path(sys.argv[1]), PredictSettings(), "cpu")
np.save(sys.argv[2], estimate_sky(brick, noise_of(brick, denoiser), denoiser)[0])
"""


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> np.ndarray:
    """Denoised by one thread with all that the processor can do."""
    return denoised(tmp_path_factory.mktemp("usual"), 1)


def denoised(folder: Path, threads: int, **environment: str) -> np.ndarray:
    arguments = [str(MODEL), str(folder / "image.npy"), str(threads), str(SIGMA)]
    subprocess.run(
        [sys.executable, "-c", DENOISE, *arguments], check=True, env=os.environ | environment, timeout=120
    )
    return np.load(folder / "image.npy")


@pytest.mark.parametrize(
    ("threads", "environment"),
    [(2, {}), (1, {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"})],
    ids=["two threads", "AVX2"],
)
def test_a_brick_is_the_same_to_rounding(
    threads: int, environment: dict[str, str], usual: np.ndarray, tmp_path: Path
) -> None:
    """To 1e-5 of the noise where the sky is faint, and to rounding of float32 where it is bright."""
    other = denoised(tmp_path, threads, **environment)
    assert np.abs(usual).max() > 1000 * SIGMA
    np.testing.assert_allclose(other, usual, rtol=1e-6, atol=1e-5 * SIGMA)
