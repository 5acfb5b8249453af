"""A survey of ten thousand bricks, all of them done, and one brick more."""

import re
from pathlib import Path

import pytest

from skydenoise.survey.bricks_table import write_bricks_table

from .conftest import Snakemake

BRICKS = [f"{ra:04d}p{dec:03d}" for dec in range(0, 500, 5) for ra in range(0, 1000, 10)]

pytestmark = pytest.mark.workflow


def planned(snakemake: Snakemake, folder: Path) -> dict[str, int]:
    """Jobs by rule of a dry run."""
    said = snakemake(folder, "-n", "--quiet", "rules").stdout
    return {rule: int(count) for rule, count in re.findall(r"^(\w+)\s+(\d+)$", said, re.MULTILINE)}


@pytest.fixture(scope="module")
def survey(tmp_path_factory: pytest.TempPathFactory, snakemake: Snakemake) -> Path:
    """Folder in which Snakemake takes everything for done; the files themselves are empty."""
    folder = tmp_path_factory.mktemp("survey")
    (folder / "config").mkdir()
    (folder / "config/config.yaml").write_text("{run: wide, bricks: bricks.tsv, survey: {}}")
    write_bricks_table(folder / "bricks.tsv", BRICKS, BRICKS[:20], BRICKS)
    table = snakemake(folder, "--summary").stdout
    for name in re.findall(r"^(results/\S+)\t", table, re.MULTILINE):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir() if path.name == "pictures" else path.touch()
    snakemake(folder, "--touch", "--forceall", "--quiet", "all")
    return folder


def test_a_finished_survey_starts_no_job(survey: Path, snakemake: Snakemake) -> None:
    assert planned(snakemake, survey) == {}


def test_one_brick_more_starts_the_jobs_of_its_chunk_alone(survey: Path, snakemake: Snakemake) -> None:
    write_bricks_table(survey / "bricks.tsv", [*BRICKS, "2003m001"], BRICKS[:20], [*BRICKS, "2003m001"])
    jobs = planned(snakemake, survey)
    assert set(jobs) == {"fetch", "predict", "overview", "summary", "all", "total"}
    assert jobs["fetch"] == jobs["predict"] <= 2  # two, if the chunk was full and splits
