"""One run at a time in a folder, and what a run that was killed leaves behind: its lock and its Slurm jobs.

Snakemake locks the files of a run, and cannot unlock them when it is killed with SIGKILL or its machine
fails. Its Slurm jobs go on. So each run notes which process it is and how its jobs are called. The next run
in the folder that finds this process dead gives up the jobs that wait, lets those that run come to their end,
and removes the lock; one that finds it alive is refused.
"""

from __future__ import annotations

import getpass
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import psutil

from skydenoise.errors import StepError

OWNER = "skydenoise_run.json"
"""Name of the note, in Snakemake's own folder."""

DEAD_HOST = "SKYDENOISE_DEAD_HOST"
"""Environment variable: host whose run is dead, as the user knows and this host cannot find out."""

POLL_S = 5.0
"""Seconds between two looks at the queue."""

CLOCK_S = 60.0
"""By how much a process's time of start may change when the clock is set right."""

WAITING = ("PD", "RH", "RQ", "SE")
"""Slurm's states of jobs that hold no node: pending, and put back into the queue in several ways."""


@dataclass(frozen=True)
class Note:
    """The process that runs the workflow.

    started : seconds since 1970; a later process with the same number is another one
    jobs : text in the name of each of its Slurm jobs and of no other; None if it has none
    """

    host: str
    pid: int
    started: float
    jobs: str | None

    @classmethod
    def of_this_process(cls, jobs: str | None) -> Self:
        """Note of the process that calls."""
        process = psutil.Process()
        return cls(socket.gethostname(), process.pid, process.create_time(), jobs)

    def alive(self) -> bool:
        """Whether the process may still run; that of another host may, unless the user says otherwise."""
        if self.host != socket.gethostname():
            return self.host != os.environ.get(DEAD_HOST)
        try:
            process = psutil.Process(self.pid)
            if process.status() == psutil.STATUS_ZOMBIE:
                return False
            return abs(process.create_time() - self.started) < CLOCK_S
        except psutil.NoSuchProcess:
            return False


@contextmanager
def only_run(state: Path, jobs: str | None, tell: Callable[[str], None]) -> Iterator[None]:
    """Make this process the only one that runs the workflow in a folder, until the end of the block.

    The note stays if Slurm jobs outlive the block; then they are the next run's business.

    state : Snakemake's folder, .snakemake
    jobs : text that the name of each Slurm job of this run will contain
    tell : takes lines for the user

    Raises
    ------
    StepError : another run may be alive, or Slurm does not say what became of a killed run's jobs
    """
    path = state / OWNER
    mine = Note.of_this_process(jobs)
    while not _write_new(path, mine):
        other = read_note(path)
        if other is None:
            continue
        if other.alive():
            raise StepError(_refusal(other, path))
        settle(other, state, tell)
        if read_note(path) == other:
            path.unlink(missing_ok=True)
    try:
        yield
    finally:
        if read_note(path) == mine and not _jobs_left(mine):
            path.unlink(missing_ok=True)


def settle(dead: Note, state: Path, tell: Callable[[str], None]) -> None:
    """Give up the waiting jobs of a run that was killed, wait for those that run, and remove its lock."""
    told = False
    while dead.jobs and (jobs := slurm_jobs(dead.jobs)):
        if waiting := [number for number, waits in jobs.items() if waits]:
            subprocess.run(["scancel", *waiting], check=False)
        elif not told:
            numbers = " ".join(sorted(jobs))
            tell(f"an earlier run was killed; waiting for its Slurm jobs: {numbers} (or: scancel {numbers})")
            told = True
        time.sleep(POLL_S)
    shutil.rmtree(state / "locks", ignore_errors=True)


def slurm_jobs(text: str) -> dict[str, bool]:
    """Unfinished jobs of this user with `text` in their name: number -> whether it still waits to start.

    Raises
    ------
    StepError : Slurm does not answer, so there may be jobs
    """
    command = ["squeue", f"--user={getpass.getuser()}", "--noheader", "--format=%A|%t|%j"]
    try:
        listed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    except (OSError, subprocess.SubprocessError) as error:
        cause = getattr(error, "stderr", None) or str(error)
        raise StepError(
            "an earlier run may have left Slurm jobs, and squeue does not say: "
            f"{' '.join(str(cause).split())}; try again where squeue works"
        ) from error
    rows = [line.split("|", 2) for line in listed.stdout.splitlines()]
    return {number: job_state in WAITING for number, job_state, name in rows if text in name}


def read_note(path: Path) -> Note | None:
    """Note of the run that owns the folder; None if there is none."""
    try:
        return Note(**json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError) as error:
        raise StepError(f"{path}: not readable ({error}); remove it if no run is alive here") from error


def _write_new(path: Path, note: Note) -> bool:
    """Write the note if there is none; whether it was. Of two hosts that try at once, one succeeds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("x", encoding="utf-8") as stream:
            stream.write(json.dumps(asdict(note)) + "\n")
    except FileExistsError:
        return False
    return True


def _jobs_left(note: Note) -> bool:
    """Whether this run ends before its jobs do; if Slurm does not answer, they may."""
    try:
        return note.jobs is not None and bool(slurm_jobs(note.jobs))
    except StepError:
        return True


def _refusal(other: Note, path: Path) -> str:
    """What to say to a second run."""
    where = f"{path.parent.resolve().parent}: another run works in this folder, process {other.pid}"
    if other.host == socket.gethostname():
        return f"{where}; wait for its end, or work in a clone of your own"
    remedy = f"set {DEAD_HOST}={other.host} in front of this command"
    return f"{where} of host {other.host}; if that is dead, {remedy}"
