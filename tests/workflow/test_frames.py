"""A series of frames through the real workflow, and refusals of what cannot be done with frames."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
import yaml
from PIL import Image

from .conftest import clone

Snakemake = Callable[..., subprocess.CompletedProcess[str]]

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
    folder = clone(tmp_path_factory.mktemp("frames"))
    generator = np.random.default_rng(1)
    for name, frames in (("first", 12), ("second", 3)):
        clean = waves(frames)
        noisy = (clean + SIGMA * generator.standard_normal(clean.shape)).round().astype(np.uint16)
        tifffile.imwrite(folder / f"{name}.tif", noisy, imagej=True, metadata={"axes": "TYX", "unit": "nm"})
    np.save(folder / "tiny.npy", np.ones((3, 16, 16)))
    (folder / "stacks.tsv").write_text("brick\timage\nfirst\tfirst.tif\nsecond\tsecond.tif\ntiny\ttiny.npy\n")
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
    assert json.loads((run / "model/model.json").read_text())["offset"] == noise["level"]


@pytest.mark.workflow
def test_a_stack_that_is_done_is_passed_over_and_another_trains_nothing(
    folder: Path, run: Path, snakemake: Snakemake
) -> None:
    assert "Nothing to be done" in snakemake(folder, "--configfile", "series.yaml").stdout
    kept = (run / "frames/first.tif").stat().st_mtime_ns
    model = (run / "model/model.safetensors").stat().st_mtime_ns
    (run / "frames/second.tif").unlink()
    said = snakemake(folder, "--configfile", "series.yaml").stdout
    assert "denoise_stack" in said
    assert "train" not in said.split("Finished")[0]
    assert (run / "frames/first.tif").stat().st_mtime_ns == kept
    assert (run / "model/model.safetensors").stat().st_mtime_ns == model


@pytest.mark.workflow
@pytest.mark.parametrize(
    ("changes", "bricks", "images", "line"),
    [
        (
            {"train": {"objective": "recorrupted"}},
            "first",
            "",
            "train.objective: recorrupted needs the",
        ),
        ({"train": {"loss": "flux"}}, "first", "", "train.loss: flux needs input and target of independent"),
        ({"predict": {"recover": True}}, "first", "", "predict.recover: true needs the measured noise"),
        (
            {"survey": {"bands": ["g", "r"]}},
            "first",
            "",
            "survey.bands: 2 names (g, r) for first.tif",
        ),
        ({}, "tiny", "", "patches.size: 32 is more than the frames of tiny.npy have, 16x16"),
        ({}, "third", "", "stacks.tsv: there is no stack third, only first, second, tiny"),
        ({"mosaics": {"all": {"bricks": "all"}}}, "first", "", "mosaics.all: frames of stacks have no place"),
        ({}, "first", "sky\tg\tsky.fits\t\n", "first is a stack of frames, sky is an image of the sky"),
        (
            {},
            "lost",
            "lost\t\tlost.mrc\t\n",
            "lost.mrc: there is no such file; mend it, or say no to",
        ),
        ({}, "first", "odd\t\todd.npy\tJy\n", "stack odd: column units is for images of the sky"),
    ],
)
def test_what_frames_cannot_have_is_refused_at_once(
    changes: dict[str, dict[str, object]],
    bricks: str,
    images: str,
    line: str,
    folder: Path,
    snakemake: Snakemake,
) -> None:
    settings = {key: dict(value) if isinstance(value, dict) else value for key, value in SETTINGS.items()}
    for key, value in changes.items():
        settings[key] = settings.get(key, {}) | value
    table = (folder / "stacks.tsv").read_text()
    if images:
        table = "brick\tband\timage\tunits\nfirst\t\tfirst.tif\t\n" + images
    (folder / "wrong.tsv").write_text(table)
    (folder / "wrong_bricks.tsv").write_text(f"brick\ttrain\tpredict\n{bricks}\tyes\tyes\n")
    settings["survey"] = settings["survey"] | {"files": "wrong.tsv" if images else "stacks.tsv"}
    settings["bricks"] = "wrong_bricks.tsv"
    (folder / "wrong.yaml").write_text(yaml.safe_dump(settings))
    done = snakemake(folder, "--dry-run", "--configfile", "wrong.yaml", check=False)
    assert done.returncode != 0
    assert any(line in said and "config: " in said for said in done.stdout.splitlines()), done.stdout
    assert "Traceback" not in done.stdout
