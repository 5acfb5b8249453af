"""A working folder as a user has it after cloning, and Snakemake in it."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
PARTS = ("Snakefile", "workflow", "config", "src", "profiles", "envs", "benchmarks")

Snakemake = Callable[..., subprocess.CompletedProcess[str]]


def clone(folder: Path) -> Path:
    """Folder with links to the parts of the repository; what a run makes stays in the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for part in PARTS:
        (folder / part).symlink_to(REPOSITORY / part)
    return folder


@pytest.fixture(scope="session")
def snakemake() -> Snakemake:
    """Function (folder, *arguments) that runs Snakemake there and returns what it said in `stdout`."""

    def run(folder: Path, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        environment = os.environ | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "OMP_NUM_THREADS": "1",
        }
        done = subprocess.run(
            ["snakemake", "--cores", "2", *arguments],
            cwd=folder,
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=550,
        )
        assert not check or done.returncode == 0, done.stdout[-6000:]
        return done

    return run
