"""Impossible settings are refused before any job starts, in one line with the key and the reason."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import clone


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = clone(tmp_path_factory.mktemp("config"))
    (folder / "untrained.tsv").write_text("brick\ttrain\tpredict\n1410m032\tno\tyes\n")
    return folder


@pytest.mark.workflow
@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ("tiles: 3", "config: tiles: there is no such key, only bricks, bricks_per_job"),
        ("survey: {bandz: [g]}", "survey.bandz: there is no such key, only bands, cache"),
        ("patches: {size: large}", "patches.size: 'large' is not of type 'integer'"),
        ("predict: {tile: 100}", "predict.tile: 100 is not a multiple of the network's stride 16"),
        ("predict: {tile: 128, overlap: 128}", "predict.overlap: 128 is not in the range [0, 128)"),
        ("survey: {bands: [g, r, g]}", "survey.bands: g, r, g names a band twice"),
        ("model: {bottleneck: 0}", "model.bottleneck: 0 is less than the minimum of 1"),
        ("train: {objective: identity}", "model.skips: with train.objective 'identity'"),
        ("survey: {source: files, files: nowhere.tsv}", "survey.files: nowhere.tsv: there is no such table"),
        ("bricks: nowhere.tsv", "nowhere.tsv: no such table of bricks"),
        ("bricks: untrained.tsv", "untrained.tsv: no brick has train = yes"),
        ("run: ../elsewhere", "run: '../elsewhere' does not match"),
        ("evaluate: {fwhm: [1.2]}", "evaluate.fwhm: 1 values for the bands g, r, z"),
        ("mosaics: {a: {bricks: [1500p600]}}", "mosaics.a: 1500p600 is not a brick that is denoised"),
    ],
)
def test_impossible_settings_are_refused(
    settings: str, line: str, folder: Path, snakemake: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    (folder / "impossible.yaml").write_text(settings)

    done = snakemake(folder, "--dry-run", "--configfile", "impossible.yaml", check=False)

    assert done.returncode != 0
    assert any(line in said and "config: " in said for said in done.stdout.splitlines()), done.stdout
    assert "Traceback" not in done.stdout


@pytest.mark.workflow
@pytest.mark.parametrize("name", ["config", "demo"])
def test_shipped_configurations_are_possible(
    name: str, folder: Path, snakemake: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    snakemake(folder, "--dry-run", "--quiet", "--configfile", f"config/{name}.yaml")
