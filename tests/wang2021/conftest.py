"""An experiment of Wang et al. (2021) in a folder of its own."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import matplotlib
import pytest

from tests.workflow.conftest import REPOSITORY, Snakemake, snakemake

__all__ = ["snakemake"]

EXPERIMENT = REPOSITORY / "experiments/wang2021"
FONT = Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSans.ttf"
"""A font that is always there; it has no ideographs."""

Experiment = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def experiment(snakemake: Snakemake) -> Experiment:
    """Function (folder, *arguments) that runs the experiments' workflow there, beside its configurations."""

    def run(folder: Path, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / "config").exists():
            (folder / "config").symlink_to(EXPERIMENT / "config")
        return snakemake(folder, "--snakefile", str(EXPERIMENT / "Snakefile"), *arguments, check=check)

    return run
