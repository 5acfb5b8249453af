"""An experiment of Wang et al. (2021) in a folder of its own."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib
import pytest
import yaml
from snakemake.utils import update_config

from tests.workflow.conftest import REPOSITORY, Snakemake, copy, finished, snakemake

__all__ = ["copy", "finished", "snakemake"]

EXPERIMENT = REPOSITORY / "experiments/wang2021"
FONT = Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSans.ttf"
"""A font that is always there; it has no ideographs."""

Experiment = Callable[..., subprocess.CompletedProcess[str]]


def configured(*contents: str | dict[str, Any]) -> dict[str, Any]:
    """Content of files in config/, or given, the later over the earlier, as Snakemake merges them."""
    merged: dict[str, Any] = {}
    for content in contents:
        given = (
            content
            if isinstance(content, dict)
            else yaml.safe_load((EXPERIMENT / "config" / content).read_text())
        )
        update_config(merged, given)
    return merged


@pytest.fixture(scope="session")
def experiment(snakemake: Snakemake) -> Experiment:
    """Function (folder, *arguments) that runs the experiments' workflow there, beside its configurations."""

    def run(folder: Path, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / "config").exists():
            (folder / "config").symlink_to(EXPERIMENT / "config")
        return snakemake(folder, *arguments, snakefile=EXPERIMENT / "Snakefile", check=check)

    return run
