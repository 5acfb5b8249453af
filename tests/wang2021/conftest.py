"""An experiment of Wang et al. (2021) in a folder of its own."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from experiments.wang2021.settings import FONT_REMEDY, GlyphSettings
from tests.workflow.conftest import REPOSITORY, Snakemake, snakemake

__all__ = ["snakemake"]

EXPERIMENT = REPOSITORY / "experiments/wang2021"

Experiment = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def glyph_font() -> Path:
    """The font of the paper's glyphs; the test is skipped where it is absent."""
    font = Path(GlyphSettings().font)
    if not font.is_file():
        pytest.skip(f"there is no {font} ({FONT_REMEDY})")
    return font


@pytest.fixture(scope="session")
def experiment(snakemake: Snakemake) -> Experiment:
    """Function (folder, *arguments) that runs the experiments' workflow there, beside its configurations."""

    def run(folder: Path, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        folder.mkdir(parents=True, exist_ok=True)
        for link, target in {"config": EXPERIMENT / "config", "workflow": REPOSITORY / "workflow"}.items():
            if not (folder / link).exists():
                (folder / link).symlink_to(target)
        return snakemake(folder, "--snakefile", str(EXPERIMENT / "Snakefile"), *arguments, check=check)

    return run
