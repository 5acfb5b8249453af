"""Which commands ask for the folder, and what they do to a run that lives or was killed."""

import json
import os
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from .conftest import clone

Snakemake = Callable[..., subprocess.CompletedProcess[str]]
LONG_AGO = 1.0

pytestmark = pytest.mark.workflow


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A locked folder of a run with jobs; its Slurm writes down each time that it is asked."""
    folder = clone(tmp_path / "clone")
    (folder / "tiny.yaml").write_text("{run: tiny, bricks: bricks.tsv, survey: {source: simulation}}")
    (folder / "bricks.tsv").write_text("brick\ttrain\tpredict\n1500p600\tyes\tyes\n")
    (folder / ".snakemake/locks").mkdir(parents=True)
    (folder / ".snakemake/locks/0.output.lock").write_text("results/tiny/model/model.safetensors\n")
    (tmp_path / "bin").mkdir()
    for name in ("squeue", "scancel"):
        program = tmp_path / "bin" / name
        program.write_text(f"#!/bin/sh\necho {name} >>{tmp_path}/asked\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin{os.pathsep}{os.environ['PATH']}")
    return folder


def owned_by(folder: Path, process: psutil.Process, started: float) -> Path:
    note = folder / ".snakemake/skydenoise_run.json"
    content = {"host": socket.gethostname(), "pid": process.pid, "started": started, "jobs": "abc"}
    note.write_text(json.dumps(content))
    return note


@pytest.mark.parametrize("command", [["--summary"], ["--dry-run"], ["--list-rules"], ["--report", "r.html"]])
def test_a_command_that_starts_no_job_leaves_a_killed_run_alone(
    command: list[str], folder: Path, snakemake: Snakemake
) -> None:
    note = owned_by(folder, psutil.Process(), LONG_AGO)
    before = note.read_text()
    snakemake(folder, "--configfile", "tiny.yaml", *command, check=False)
    assert note.read_text() == before
    assert (folder / ".snakemake/locks/0.output.lock").exists()
    assert not (folder.parent / "asked").exists()


def test_a_second_run_is_told_so_in_one_line_whatever_its_name(folder: Path, snakemake: Snakemake) -> None:
    note = owned_by(folder, psutil.Process(), psutil.Process().create_time())
    before = note.read_text()
    done = snakemake(folder, "--configfile", "tiny.yaml", "--config", "run=other", check=False)
    assert done.returncode != 0
    lines = [line for line in done.stdout.splitlines() if "another run works in this folder" in line]
    assert len(lines) == 1, done.stdout
    assert f"process {os.getpid()}" in lines[0]
    assert "Traceback" not in done.stdout
    assert note.read_text() == before
    assert (folder / ".snakemake/locks/0.output.lock").exists()
    assert not (folder.parent / "asked").exists()
