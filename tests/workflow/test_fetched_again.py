"""`refresh` and `retry_skipped`: bricks are fetched again where the survey has others, or has mended them."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from survey_server import SurveyServer, make_survey

from skydenoise.io.manifest import Entry, read_manifest, write_manifest
from skydenoise.paths import raw_file

from .conftest import REPOSITORY

Snakemake = Callable[..., subprocess.CompletedProcess[str]]

BRICKS = TRAINED, DENOISED = "1410m032", "1412m032"
TRAIN, PREDICT = (f"results/small/fetch/{purpose}-c.tsv" for purpose in ("train", "predict"))
ARGUMENTS = ("--snakefile", str(REPOSITORY / "workflow/Snakefile"), "--configfile", "small.yaml")

pytestmark = pytest.mark.workflow


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, snakemake: Snakemake) -> Iterator[Path]:
    """Folder of a run that has fetched its bricks from the survey in the folder `mirror`."""
    folder = tmp_path_factory.mktemp("again")
    make_survey(folder / "mirror", BRICKS, "g")
    (folder / "bricks.tsv").write_text(f"brick\ttrain\tpredict\n{TRAINED}\tyes\tno\n{DENOISED}\tno\tyes\n")
    with SurveyServer(folder / "mirror") as server:
        survey = f"{{url: '{server.url}', bands: [g], retries: 0}}"
        (folder / "small.yaml").write_text(f"{{run: small, bricks: bricks.tsv, survey: {survey}}}")
        snakemake(folder, TRAIN, PREDICT, *ARGUMENTS)
        yield folder


def states(folder: Path) -> dict[str, str]:
    paths = [folder / path for path in (TRAIN, PREDICT) if (folder / path).exists()]
    return {entry.brick: entry.state for path in paths for entry in read_manifest(path)}


def image(folder: Path, brick: str) -> Path:
    return raw_file(folder / "raw", brick, "image", "g")


def original(folder: Path, brick: str) -> Path:
    return next((folder / "mirror").rglob(image(folder, brick).name))


def test_a_replaced_brick_is_fetched_again_and_no_other(run: Path, snakemake: Snakemake) -> None:
    make_survey(run / "new", (TRAINED,), "g", size=160)
    for path in (run / "new").rglob("*.*"):
        path.replace(run / "mirror" / path.relative_to(run / "new"))
    said = snakemake(run, "refresh", *ARGUMENTS).stdout
    assert f"brick {TRAINED} was replaced at the survey: {image(run, TRAINED).name}, " in said
    assert states(run) == {DENOISED: "done"}
    snakemake(run, TRAIN, PREDICT, *ARGUMENTS)
    assert states(run) == {TRAINED: "done", DENOISED: "done"}
    assert image(run, TRAINED).read_bytes() == original(run, TRAINED).read_bytes()


def test_bricks_that_any_step_skipped_are_fetched_again(run: Path, snakemake: Snakemake) -> None:
    for path, brick in (("patches/bricks.tsv", TRAINED), ("predict/c.tsv", DENOISED)):
        write_manifest(run / "results/small" / path, [Entry(brick, "skipped", reason="a pixel is wrong")])
        image(run, brick).write_bytes(image(run, brick).read_bytes()[::-1])
    assert snakemake(run, "retry_skipped", *ARGUMENTS).stdout.count("forgotten: ") == 4
    snakemake(run, TRAIN, PREDICT, *ARGUMENTS)
    assert states(run) == {TRAINED: "done", DENOISED: "done"}
    for brick in BRICKS:
        assert image(run, brick).read_bytes() == original(run, brick).read_bytes()
