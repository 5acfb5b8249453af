"""The workflow used from other folders, and as a module of another one: the same files, never made twice."""

from pathlib import Path

import pytest

from .conftest import REPOSITORY, SNAKEFILE, Snakemake

pytestmark = pytest.mark.workflow

MODULE = """
configfile: "config/config.yaml"

module denoising:
    snakefile: "{snakefile}"
    config: config

rule mine:
    input: "results/test/evaluation/training.png"
    output: "mine.png"
    shell: "cp {{input}} {{output}}"

use rule * from denoising as sky_*
"""


@pytest.fixture
def module(copy: Path) -> Path:
    """Snakefile of a workflow that uses this one."""
    (copy / "Snakefile").write_text(MODULE.format(snakefile=SNAKEFILE))
    return copy / "Snakefile"


@pytest.mark.parametrize("snakefile", [SNAKEFILE, REPOSITORY / "Snakefile"], ids=["workflow", "root"])
def test_another_folder_s_run_goes_on_wherever_the_command_is_given(
    finished: Path, snakemake: Snakemake, snakefile: Path
) -> None:
    """It was made by `--directory` from the repository."""
    assert "Nothing to be done" in snakemake(finished, "--dry-run", snakefile=snakefile).stdout


def test_a_profile_is_found_from_the_root_of_a_clone(finished: Path, snakemake: Snakemake) -> None:
    arguments = ("--profile", "slurm", "--directory", str(finished), "--dry-run")
    done = snakemake(REPOSITORY, *arguments, snakefile=REPOSITORY / "Snakefile")
    assert "Nothing to be done" in done.stdout


def test_a_module_makes_the_same_files(module: Path, snakemake: Snakemake) -> None:
    folder = module.parent
    said = snakemake(folder, "--dry-run", "sky_all", snakefile=module).stdout
    assert "Nothing to be done" in said

    (folder / "results/test/evaluation/training.png").unlink()
    said = snakemake(folder, snakefile=module).stdout

    assert "rule sky_training_curve:" in said
    assert "2 of 2 steps" in said
    assert (folder / "mine.png").stat().st_size > 10_000


@pytest.mark.parametrize("snakefile", [SNAKEFILE, REPOSITORY / "Snakefile"], ids=["workflow", "root"])
def test_a_module_leaves_the_default_target_to_its_user(
    finished: Path, tmp_path: Path, snakemake: Snakemake, snakefile: Path
) -> None:
    mine = tmp_path / "Snakefile"
    mine.write_text(MODULE.format(snakefile=snakefile))
    said = snakemake(finished, "--dry-run", snakefile=mine).stdout
    assert "rule mine:" in said
    assert "rule sky_" not in said
