"""The experiments by their one command: glyphs, a STEM series of one's own, and the survey figure."""

import re
from pathlib import Path

import numpy as np
import pytest
import tifffile
import yaml
from astropy.io import fits
from astropy.table import Table

from experiments.wang2021.settings import StemSettings
from experiments.wang2021.stem import draw_frames, expose
from tests.workflow.conftest import BROKEN, DENOISED

from .conftest import FONT, Experiment

pytestmark = pytest.mark.workflow

GLYPHS = {
    "run": "toy",
    "frames": {"font": str(FONT), "characters": "ABCDEFGHKLMNOPQRSTUVWXYZ", "size": 32},
    "variants": {"l2": None, "l1_single": None, "l2_single": None},
    "patches": {"size": 32, "count": 24},
    "model": {"layout": "residual_unet", "width": 2, "residual_blocks": 0},
    "train": {"epochs": 2, "batch_size": 8},
    "snapshots": 2,
    "predict": {"tile": 32},
}

STEM = ("config/stem_series.yaml", "config/small/stem_series.yaml")
TOY = {
    "run": "toy",
    "patches": {"size": 32, "count": 32},
    "model": {"levels": 2, "width": 4, "residual_blocks": 1, "outputs": 2},
    "train": {"epochs": 2},
    "predict": {"tile": 64, "overlap": 16},
}


def test_the_glyphs_are_run_by_one_command(tmp_path: Path, experiment: Experiment) -> None:
    (tmp_path / "toy.yaml").write_text(yaml.safe_dump(GLYPHS))
    arguments = ("--configfile", "config/glyphs.yaml", "toy.yaml")
    experiment(tmp_path, *arguments)
    results = tmp_path / "results/toy"
    table = Table.read(results / "measures.ecsv", format="ascii.ecsv")
    assert list(table["method"]) == ["noisy", "l1", "Noise2Self"]
    assert (results / "figure-panel.png").exists()
    assert "Nothing to be done" in experiment(tmp_path, "--dry-run", *arguments).stdout


def test_variants_that_cut_the_same_patches_share_them(tmp_path: Path, experiment: Experiment) -> None:
    (tmp_path / "font.yaml").write_text(yaml.safe_dump({"frames": {"font": str(FONT)}}))
    said = experiment(tmp_path, "--dry-run", "--configfile", "config/glyphs.yaml", "font.yaml").stdout
    assert re.search(r"^patches +1$", said, re.MULTILINE)
    assert re.search(r"^train +4$", said, re.MULTILINE)


def test_an_impossible_configuration_is_refused_in_one_line(tmp_path: Path, experiment: Experiment) -> None:
    (tmp_path / "none.yaml").write_text("frames: {font: none.ttf}")
    files = ("config/glyphs.yaml", "none.yaml")
    said = experiment(tmp_path, "--dry-run", "--configfile", *files, check=False).stdout
    assert "config: frames.font: there is no none.ttf (apt-get" in said
    assert "Traceback" not in said


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


def test_a_series_is_denoised_by_the_preset(series: Path, experiment: Experiment) -> None:
    experiment(series, "--configfile", *STEM, "toy.yaml")
    noisy = tifffile.imread(series / "series.tif")
    denoised = tifffile.imread(series / "results/toy/frames/series.tif")
    assert denoised.shape == noisy.shape == (6, 96, 96)
    assert denoised.std() < noisy.std()


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


def test_the_survey_figure_is_drawn_of_what_the_main_workflow_made(
    copy: Path, experiment: Experiment
) -> None:
    said = experiment(copy, "--configfile", "config/config.yaml", "--", "dr8_figure").stdout
    assert "rule predict" not in said
    table = Table.read(copy / f"results/test/dr8-{DENOISED}.ecsv", format="ascii.ecsv")
    assert list(table["band"]) == ["g", "r", "z"]
    assert (table["sky_denoised"] < table["sky_raw"]).all()
    assert (copy / f"results/test/dr8-{DENOISED}.png").stat().st_size > 100_000
    assert len(Table.read(copy / f"results/test/dr8-{BROKEN}.ecsv", format="ascii.ecsv")) == 0
