"""Impossible settings are refused before any job starts, in one line with the key and the reason."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import clone

BARE = """
model: {skips: false}
train: {objective: identity, loss: l1}
predict: {recover: false}
"""


def variants(text: str, glyphs: str = "font: Snakefile") -> str:
    """Settings of an experiment of the paper with these variants; while planning, any file is a font."""
    return f"paper: {{experiment: glyphs, variants: {text}, glyphs: {{{glyphs}}}}}"


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
        ("paper: {experiment: glyphs, variants: {}}", "paper.variants: {} "),
        (variants("{a: {modell: {}}}"), "paper.variants.a.modell: there is no such key, only model"),
        (variants("{a: {model: {width: 0}}}"), "paper.variants.a: model.width: 0 is less than"),
        (variants("{a: {predict: {tile: 40}}}"), "paper.variants.a: predict.tile: 40 is not a multiple"),
        (variants("{a: {}}"), "paper.variants.a: train.objective: recorrupted needs the measured noise"),
        (
            variants("{a: {}}", "font: no.ttf"),
            "paper.glyphs.font: there is no no.ttf (apt-get",
        ),
        (
            variants("{a: {}}", "font: Snakefile, size: 32") + BARE,
            "paper.variants.a: patches.size: 128 is more than the frames of the experiment have, 32x32",
        ),
        (
            "paper: {experiment: tribolium, variants: {a: {}}, tribolium: {path: nowhere}}",
            "paper.tribolium.path: nowhere is not there; unpack CARE's Tribolium data set to it",
        ),
        (variants("{a: {}}", "fond: x"), "paper.glyphs.fond: there is no such key, only count"),
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
@pytest.mark.parametrize("name", ["config", "demo", "dr8_paper", "paper/glyphs", "paper/dr8"])
def test_shipped_configurations_are_possible(
    name: str,
    folder: Path,
    snakemake: Callable[..., subprocess.CompletedProcess[str]],
    request: pytest.FixtureRequest,
) -> None:
    if name == "paper/glyphs":
        request.getfixturevalue("glyph_font")
    snakemake(folder, "--dry-run", "--quiet", "--configfile", f"config/{name}.yaml")


@pytest.mark.workflow
def test_the_paper_s_target_without_an_experiment_says_what_it_needs(
    folder: Path, snakemake: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    done = snakemake(folder, "--dry-run", "paper", check=False)
    assert done.returncode != 0
    assert "no experiment is set; add --configfile config/paper/glyphs.yaml" in done.stdout
