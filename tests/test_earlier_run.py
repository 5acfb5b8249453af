"""What a run that was killed leaves behind, and what the next one makes of it."""

import json
import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from skydenoise.earlier_run import OWNER, note_run, settle_killed_run, slurm_jobs

NEVER_STARTED = 1.0
"""A start time that no living process has."""


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """Snakemake's folder with a lock in it."""
    folder = tmp_path / ".snakemake"
    (folder / "locks").mkdir(parents=True)
    (folder / "locks/0.output.lock").write_text("results/model.json\n")
    return folder


@pytest.fixture
def without_slurm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")


def locked(state: Path) -> bool:
    return (state / "locks/0.output.lock").exists()


def write_note(state: Path, **changes: object) -> None:
    note = {"host": socket.gethostname(), "pid": os.getpid(), "started": NEVER_STARTED} | changes
    (state / OWNER).write_text(json.dumps(note))


@pytest.mark.usefixtures("without_slurm")
def test_the_lock_of_a_dead_run_goes(state: Path, tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    write_note(state, pid=ended.pid)
    settle_killed_run(state, tmp_path, tell=pytest.fail)
    assert not locked(state)
    assert not (state / OWNER).exists()


@pytest.mark.usefixtures("without_slurm")
def test_another_process_with_the_same_number_is_not_the_run(state: Path, tmp_path: Path) -> None:
    write_note(state)
    settle_killed_run(state, tmp_path, tell=pytest.fail)
    assert not locked(state)


def test_the_lock_of_a_living_run_stays(state: Path, tmp_path: Path) -> None:
    note_run(state)
    settle_killed_run(state, tmp_path, tell=pytest.fail)
    assert locked(state)


def test_the_lock_of_another_host_stays(state: Path, tmp_path: Path) -> None:
    write_note(state, host="elsewhere")
    settle_killed_run(state, tmp_path, tell=pytest.fail)
    assert locked(state)


def test_a_lock_without_a_note_is_snakemake_s_business(state: Path, tmp_path: Path) -> None:
    settle_killed_run(state, tmp_path, tell=pytest.fail)
    assert locked(state)


def test_jobs_of_other_folders_and_other_programs_are_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The user's own job that runs Snakemake itself must not be waited for."""
    queue = [
        f"11|R|rule_train|{tmp_path}",
        f"12|PD|rule_predict_wildcards_c01|{tmp_path}",
        f"13|R|my snakemake|{tmp_path}",
        "14|R|rule_train|/elsewhere",
    ]
    squeue = tmp_path / "squeue"
    squeue.write_text("#!/bin/sh\n" + "".join(f"echo '{line}'\n" for line in queue))
    squeue.chmod(squeue.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert slurm_jobs(tmp_path) == {"11": False, "12": True}


@pytest.mark.usefixtures("without_slurm")
def test_without_slurm_there_are_no_jobs(tmp_path: Path) -> None:
    assert slurm_jobs(tmp_path) == {}
