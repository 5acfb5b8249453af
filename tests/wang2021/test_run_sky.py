"""The paper's presets for data of one's own: a STEM series, and images of the sky for the survey figure."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
import yaml
from astropy.io import fits

from experiments.wang2021.settings import StemSettings
from experiments.wang2021.stem import draw_frames, expose

from .conftest import Experiment

pytestmark = pytest.mark.workflow

STEM = ("config/stem_series.yaml", "config/small/stem_series.yaml")
TOY = {
    "run": "toy",
    "patches": {"size": 32, "count": 32},
    "model": {"levels": 2, "width": 4, "residual_blocks": 1, "outputs": 2},
    "train": {"epochs": 2},
    "predict": {"tile": 64, "overlap": 16},
}


@pytest.fixture(scope="module")
def series(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with a short series of frames of 96 x 96 pixels, 16-bit counts."""
    folder = tmp_path_factory.mktemp("stem")
    generator = np.random.default_rng(9)
    settings = StemSettings(frames=6, series=6, size=96, radius=(12, 20))
    frames = [expose(frame.clean, generator) for frame in draw_frames(settings, generator)]
    tifffile.imwrite(folder / "series.tif", np.squeeze(frames).astype(np.uint16))
    (folder / "series.tsv").write_text("brick\timage\nseries\tseries.tif\n")
    (folder / "toy.yaml").write_text(yaml.safe_dump(TOY))
    return folder


def test_a_series_is_denoised_by_the_preset_and_by_a_model_trained_before(
    series: Path, experiment: Experiment
) -> None:
    experiment(series, "--configfile", *STEM, "toy.yaml")
    again = ("--config", "run=again", "pretrained=results/toy/model")
    said = experiment(series, "--configfile", *STEM, "toy.yaml", *again).stdout

    assert "rule train" not in said
    noisy = tifffile.imread(series / "series.tif")
    denoised = [tifffile.imread(series / f"results/{run}/frames/series.tif") for run in ("toy", "again")]
    assert denoised[0].shape == noisy.shape == (6, 96, 96)
    assert denoised[0].std() < noisy.std()
    np.testing.assert_array_equal(*denoised)
    assert (series / "results/toy/evaluation/training.png").exists()
    assert not (series / "results/again/patches").exists()


def test_the_presets_can_be_planned_for_files_of_one_s_own(series: Path, experiment: Experiment) -> None:
    large = series / "large.npy"
    np.save(large, np.zeros((2, 512, 512), dtype=np.float32))
    (series / "large.tsv").write_text("brick\timage\nseries\tlarge.npy\n")
    (series / "large.yaml").write_text("survey: {files: large.tsv}\n")
    said = experiment(series, "--dry-run", "--configfile", STEM[0], "large.yaml").stdout
    assert "denoise_stack" in said

    bands = ("r", "i", "z")
    for band in bands:
        fits.writeto(series / f"{band}.fits", np.zeros((4, 4), dtype=np.float32))
    rows = "".join(f"field\t{band}\t{band}.fits\n" for band in bands)
    (series / "images.tsv").write_text("brick\tband\timage\n" + rows)
    (series / "bricks.tsv").write_text("brick\ttrain\tpredict\nfield\tyes\tyes\n")
    files = ("config/dr8.yaml", "config/dr8_images.yaml")
    said = experiment(series, "--dry-run", "--configfile", *files, "--", "dr8_figure").stdout
    assert "fetch" in said
    assert "dr8_brick" in said
