"""What a step reads decides on it: a listed image, or a model, that was exchanged under its name."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import external_images
import pytest

from .conftest import REPOSITORY

Snakemake = Callable[..., subprocess.CompletedProcess[str]]

SETTINGS = """
run: listed
bricks: bricks.tsv
pretrained: shipped
survey: {source: files, files: images.tsv, bands: [g, r, z]}
"""
MADE = ("results/listed/fetch/predict-c.tsv", "results/listed/model/model.json")
CONFIGURED = ("--configfile", "listed.yaml")

pytestmark = pytest.mark.workflow


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, snakemake: Snakemake) -> Path:
    """Folder of a run that has imported its images and taken its model."""
    folder = tmp_path_factory.mktemp("listed")
    (folder / "listed.yaml").write_text(SETTINGS)
    (folder / "bricks.tsv").write_text("brick\ttrain\tpredict\nA\tyes\tyes\n")
    lines = ["brick\tband\timage\n"]
    for seed, band in enumerate("grz"):
        scene = external_images.scene(seed=seed)
        external_images.write(folder / f"{band}.fits", scene, external_images.header())
        lines.append(f"A\t{band}\t{band}.fits\n")
    (folder / "images.tsv").write_text("".join(lines))
    shutil.copytree(REPOSITORY / "models/reference", folder / "shipped")
    snakemake(folder, *MADE, *CONFIGURED)
    return folder


def rules(folder: Path, snakemake: Snakemake) -> str:
    return snakemake(folder, *MADE, *CONFIGURED, "--dry-run").stdout


def test_a_rewritten_image_is_imported_again(run: Path, snakemake: Snakemake) -> None:
    assert "Nothing to be done" in rules(run, snakemake)
    (run / "r.fits").unlink()
    external_images.write(run / "r.fits", external_images.scene(seed=9), external_images.header())
    said = rules(run, snakemake)
    assert "rule fetch:" in said
    assert "rule adopt:" not in said


def test_an_image_that_is_exchanged_for_an_older_one_is_imported_again(
    run: Path, snakemake: Snakemake
) -> None:
    snakemake(run, *MADE, *CONFIGURED)
    os.utime(run / "g.fits", (1e9, 1e9))
    assert "rule fetch:" in rules(run, snakemake)


def test_an_exchanged_model_is_adopted_again(run: Path, snakemake: Snakemake) -> None:
    description = run / "shipped/model.json"
    times = description.stat()
    description.write_text(description.read_text() + "\n")
    os.utime(description, ns=(times.st_atime_ns, times.st_mtime_ns))  # as `cp -a` and rsync leave it
    assert "rule adopt:" in rules(run, snakemake)


def test_a_model_that_is_not_there_is_told_before_any_job(run: Path, snakemake: Snakemake) -> None:
    done = snakemake(run, *MADE, *CONFIGURED, "--config", "pretrained=nowhere", "--dry-run", check=False)
    assert done.returncode != 0
    assert "nowhere/model.safetensors" in done.stdout
    assert "Traceback" not in done.stdout
