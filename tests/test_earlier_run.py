"""One run at a time in a folder; what a killed run leaves behind, and what the next one makes of it."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from skydenoise import earlier_run
from skydenoise.earlier_run import DEAD_HOST, OWNER, only_run, read_note, slurm_jobs
from skydenoise.errors import StepError

LONG_AGO = 1.0
"""A start time that no living process has."""

Queue = Callable[..., Path]


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(earlier_run, "POLL_S", 0.01)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """Snakemake's folder with a lock in it."""
    folder = tmp_path / ".snakemake"
    (folder / "locks").mkdir(parents=True)
    (folder / "locks/0.output.lock").write_text("results/model.json\n")
    return folder


@pytest.fixture
def queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Queue:
    """Function that puts lines into a pretended Slurm's queue and returns the file of what was cancelled.

    A running job ends as soon as it was seen twice.
    """

    def fill(*lines: str, broken: bool = False) -> Path:
        programs = tmp_path / "bin"
        programs.mkdir()
        jobs, seen, cancelled = (tmp_path / name for name in ("jobs", "seen", "cancelled"))
        jobs.write_text("".join(f"{line}\n" for line in lines))
        cancelled.touch()
        squeue = f"cat {jobs}; [ -e {seen} ] && sed -i '/|R|/d' {jobs}; touch {seen}"
        if broken:
            squeue = "echo 'slurm_load_jobs error: Unable to contact slurm controller' >&2; exit 1"
        scancel = f'for job; do echo $job >>{cancelled}; sed -i "/^$job|/d" {jobs}; done'
        for name, body in {"squeue": squeue, "scancel": scancel}.items():
            (programs / name).write_text(f"#!/bin/sh\n{body}\n")
            (programs / name).chmod(0o755)
        monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
        return cancelled

    return fill


def locked(state: Path) -> bool:
    return (state / "locks/0.output.lock").exists()


def write_note(state: Path, **changes: object) -> None:
    note = {"host": socket.gethostname(), "pid": os.getpid(), "started": LONG_AGO, "jobs": None} | changes
    (state / OWNER).write_text(json.dumps(note))


def run_here(state: Path, jobs: str | None = None, tell: Callable[[str], None] = pytest.fail) -> None:
    with only_run(state, jobs, tell):
        note = read_note(state / OWNER)
        assert note is not None
        assert (note.pid, note.jobs) == (os.getpid(), jobs)


def test_a_run_notes_itself_and_leaves_nothing(state: Path) -> None:
    run_here(state)
    assert not (state / OWNER).exists()
    with pytest.raises(KeyboardInterrupt), only_run(state, None, pytest.fail):
        raise KeyboardInterrupt
    assert not (state / OWNER).exists()


def test_the_lock_of_a_dead_run_goes(state: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    write_note(state, pid=ended.pid)
    run_here(state)
    assert not locked(state)


def test_another_process_with_the_same_number_is_not_the_run(state: Path) -> None:
    write_note(state)
    run_here(state)
    assert not locked(state)


def test_beside_a_living_run_a_second_one_is_refused_and_touches_nothing(state: Path, queue: Queue) -> None:
    cancelled = queue("12|PD|skydenoise_abc_1")
    write_note(state, pid=os.getppid(), started=psutil.Process(os.getppid()).create_time(), jobs="abc")
    before = (state / OWNER).read_text()
    with pytest.raises(StepError, match=f"another run works in this folder, process {os.getppid()};"):
        run_here(state, "def")
    assert locked(state)
    assert (state / OWNER).read_text() == before
    assert cancelled.read_text() == ""


def test_a_run_of_another_host_lives_until_the_user_says_otherwise(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_note(state, host="elsewhere")
    with pytest.raises(StepError, match=f"of host elsewhere; if that is dead, set {DEAD_HOST}=elsewhere"):
        run_here(state)
    assert locked(state)
    monkeypatch.setenv(DEAD_HOST, "elsewhere")
    run_here(state)
    assert not locked(state)


def test_a_lock_without_a_note_is_snakemake_s_business(state: Path) -> None:
    run_here(state)
    assert locked(state)


def test_of_a_dead_run_s_jobs_those_that_wait_are_cancelled_and_the_others_awaited(
    state: Path, queue: Queue
) -> None:
    """Jobs of other runs, be they of the same folder, and of other programs are left alone."""
    cancelled = queue(
        "11|R|skydenoise_abc_1",
        "12|PD|skydenoise_abc_1",
        "13|PD|skydenoise_def_2",
        "14|PD|my snakemake",
        "15|RQ|mine_abc_1",
    )
    write_note(state, jobs="abc")
    told: list[str] = []
    run_here(state, tell=told.append)
    assert cancelled.read_text().split() == ["12", "15"]
    assert told == ["an earlier run was killed; waiting for its Slurm jobs: 11 (or: scancel 11)"]
    assert not locked(state)


def test_if_slurm_does_not_answer_nothing_is_touched(state: Path, queue: Queue) -> None:
    queue(broken=True)
    write_note(state, jobs="abc")
    with pytest.raises(StepError, match="squeue does not say: slurm_load_jobs error"):
        run_here(state)
    assert locked(state)
    assert (state / OWNER).exists()


def test_without_squeue_the_jobs_of_a_dead_run_are_not_forgotten(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    write_note(state, jobs="abc")
    with pytest.raises(StepError, match="try again where squeue works"):
        run_here(state)
    assert locked(state)


def test_a_run_that_ends_before_its_jobs_leaves_its_note(state: Path, queue: Queue) -> None:
    queue("12|PD|skydenoise_abc_1")
    run_here(state, "abc")
    note = read_note(state / OWNER)
    assert note is not None
    assert note.jobs == "abc"


def test_a_note_that_cannot_be_read_is_named(state: Path) -> None:
    (state / OWNER).write_text("{")
    with pytest.raises(StepError, match=f"{OWNER}: not readable"):
        run_here(state)


def test_the_queue_tells_who_waits(queue: Queue) -> None:
    queue("11|R|skydenoise_abc_1", "12|PD|skydenoise_abc_1", "13|CG|x_abc", "14|PD|other")
    assert slurm_jobs("abc") == {"11": False, "12": True, "13": False}
