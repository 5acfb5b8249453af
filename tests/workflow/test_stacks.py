"""A series of frames through the real workflow, and refusals in one line."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import tifffile
import yaml
from PIL import Image

from .conftest import Snakemake

SETTINGS = {
    "run": "series",
    "bricks": "bricks.tsv",
    "survey": {"source": "files", "files": "stacks.tsv", "bands": ["e"]},
    "patches": {"size": 32, "count": 64},
    "noise": {"softening": 3},
    "model": {"levels": 2, "width": 8, "bottleneck": 8, "residual_blocks": 1, "skips": False, "outputs": 2},
    "train": {"objective": "identity", "loss": "l1", "epochs": 10, "batch_size": 8, "learning_rate": 0.01},
    "predict": {"tile": 32, "overlap": 8, "recover": False},
}
LEVEL, AMPLITUDE, SIGMA = 1000.0, 40.0, 30.0


def waves(frames: int, height: int = 48, width: int = 64) -> np.ndarray:
    """Frames without noise: (n, y, x) float32, smooth waves of `AMPLITUDE` around `LEVEL`."""
    y, x = np.mgrid[:height, :width]
    phase = np.linspace(0, 6, frames)[:, None, None]
    return (LEVEL + AMPLITUDE * np.sin(2 * np.pi * x / 24 + phase) * np.cos(2 * np.pi * y / 32)).astype(
        np.float32
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("frames")
    generator = np.random.default_rng(1)
    for name, frames in (("first", 12), ("second", 3)):
        clean = waves(frames)
        noisy = (clean + SIGMA * generator.standard_normal(clean.shape)).round().astype(np.uint16)
        tifffile.imwrite(folder / f"{name}.tif", noisy, imagej=True, metadata={"axes": "TYX", "unit": "nm"})
    (folder / "stacks.tsv").write_text("brick\timage\nfirst\tfirst.tif\nsecond\tsecond.tif\n")
    (folder / "bricks.tsv").write_text("brick\ttrain\tpredict\nfirst\tyes\tyes\nsecond\tno\tyes\n")
    (folder / "series.yaml").write_text(yaml.safe_dump(SETTINGS))
    return folder


@pytest.fixture(scope="module")
def run(folder: Path, snakemake: Snakemake) -> Path:
    snakemake(folder, "--configfile", "series.yaml")
    return folder / "results/series"


@pytest.mark.workflow
def test_stacks_come_back_denoised_in_their_own_format(run: Path) -> None:
    for name, frames in (("first", 12), ("second", 3)):
        with tifffile.TiffFile(run / f"frames/{name}.tif") as file:
            assert file.is_imagej
            assert file.imagej_metadata["unit"] == "nm"
            denoised = file.asarray()
        assert (denoised.shape, denoised.dtype) == ((frames, 48, 64), np.float32)
        error = np.sqrt(np.mean((denoised - waves(frames)) ** 2))
        assert error < 0.7 * SIGMA
        assert abs(np.median(denoised - waves(frames))) < 0.1 * SIGMA
        with Image.open(run / f"frames/{name}.png") as picture:
            assert min(picture.size) > 300
    assert not (run / "coadd").exists()
    assert (run / "evaluation/training.png").exists()
    noise = json.loads((run / "patches/noise.json").read_text())
    assert noise["level"] == pytest.approx([LEVEL], abs=5)
    assert json.loads((run / "model/model.json").read_text())["noise"]["level"] == noise["level"]


@pytest.mark.workflow
def test_a_stack_that_is_done_is_passed_over_and_one_exchanged_trains_nothing(
    folder: Path, run: Path, snakemake: Snakemake
) -> None:
    assert "Nothing to be done" in snakemake(folder, "--configfile", "series.yaml").stdout
    kept = (run / "frames/first.tif").stat().st_mtime_ns
    model = (run / "model/model.safetensors").stat().st_mtime_ns
    os.utime(folder / "second.tif", (1e9, 1e9))  # for an older file
    said = snakemake(folder, "--configfile", "series.yaml").stdout
    assert "denoise_stack" in said
    assert "train" not in said.split("Finished")[0]
    assert (run / "frames/first.tif").stat().st_mtime_ns == kept
    assert (run / "model/model.safetensors").stat().st_mtime_ns == model


@pytest.mark.workflow
def test_a_stack_that_cannot_be_read_is_one_line_before_any_job(folder: Path, snakemake: Snakemake) -> None:
    (folder / "lost.tsv").write_text("brick\timage\nfirst\tfirst.tif\nlost\tlost.mrc\n")
    (folder / "lost_bricks.tsv").write_text("brick\ttrain\tpredict\nfirst\tyes\tno\nlost\tno\tyes\n")
    (folder / "lost.yaml").write_text("{bricks: lost_bricks.tsv, survey: {files: lost.tsv}}")
    done = snakemake(folder, "--dry-run", "--configfile", "series.yaml", "lost.yaml", check=False)
    assert done.returncode != 0
    line = "config: lost.mrc: there is no such file; mend it, or say no to stack lost in the table of bricks"
    assert any(line in said for said in done.stdout.splitlines()), done.stdout
    assert "Traceback" not in done.stdout


@pytest.mark.workflow
def test_an_impossible_setting_is_one_line_before_any_job(folder: Path, snakemake: Snakemake) -> None:
    done = snakemake(folder, "--dry-run", "--configfile", "series.yaml", "--config", "tiles=3", check=False)
    assert done.returncode != 0
    line = "config: tiles: there is no such key, only bricks, bricks_per_job"
    assert any(line in said for said in done.stdout.splitlines()), done.stdout
    assert "Traceback" not in done.stdout
