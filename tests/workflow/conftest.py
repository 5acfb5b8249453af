"""Snakemake in a working folder, and the smallest run, made once for all tests that look at it."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from skydenoise.io.lock import only_one
from skydenoise.paths import raw_file

REPOSITORY = Path(__file__).parents[2]
SNAKEFILE = REPOSITORY / "workflow/Snakefile"
ENVIRONMENT = os.environ | {
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    # threads that spin while they wait would take the cores from the other processes
    "OMP_WAIT_POLICY": "passive",
}

TRAINED, DENOISED, BROKEN, LATER = "1500p600", "1501p600", "1502p600", "1503p600"
"""Bricks of the smallest run: band r of the third was never observed, the fourth is in no table yet."""

Snakemake = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def snakemake() -> Snakemake:
    """Function (folder, *arguments) that runs the workflow there; what Snakemake said is in `stdout`."""

    def run(
        folder: Path, *arguments: str, snakefile: Path = SNAKEFILE, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            ["snakemake", "--cores", "2", "--snakefile", str(snakefile), *arguments],
            cwd=folder,
            env=ENVIRONMENT,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=550,
        )
        assert not check or done.returncode == 0, done.stdout[-6000:]
        return done

    return run


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, worker_id: str, snakemake: Snakemake) -> Path:
    """Working folder of the finished run of `.test`, one of whose bricks lacks a band; only to be looked at.

    All processes of pytest share it: one makes it, the others wait.
    """
    root = tmp_path_factory.getbasetemp()
    folder = (root if worker_id == "master" else root.parent) / "finished"
    with only_one(folder.with_suffix(".lock")):
        if not (folder / "results/test/summary.txt").exists():
            shutil.copytree(REPOSITORY / ".test/config", folder / "config")
            elsewhere = ("--directory", str(folder))
            snakemake(REPOSITORY, *elsewhere, "--until", "simulate_brick", snakefile=REPOSITORY / "Snakefile")
            raw_file(folder / "results/test/survey/dr9/south/coadd", BROKEN, "image", "r").unlink()
            snakemake(REPOSITORY, *elsewhere, snakefile=REPOSITORY / "Snakefile")
    return folder


@pytest.fixture
def copy(finished: Path, tmp_path: Path) -> Path:
    """Copy of the finished run, to go on from."""
    folder = tmp_path / "copy"
    shutil.copytree(finished, folder, symlinks=True)
    (folder / "results/test/raw/SOURCE.json").unlink()  # the simulated survey moved along with its cache
    return folder
