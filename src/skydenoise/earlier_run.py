"""After a run that was killed outright: its lock and its jobs on the cluster, which outlive it.

Snakemake locks a folder while it runs, and cannot unlock it when it is killed with SIGKILL or its machine
fails. Its Slurm jobs go on. So each run notes which process it is; the next one in the folder that finds this
process dead removes the lock, gives up the jobs that wait, and lets those that run come to their end.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from skydenoise.atomic import write_text

OWNER = "skydenoise_run.json"
"""Name of the note, in Snakemake's own folder."""

POLL_S = 5.0
"""Seconds between two looks at the queue."""


def note_run(state: Path) -> None:
    """Write down that this process runs the workflow.

    state : Snakemake's folder, .snakemake
    """
    process = psutil.Process()
    note = {"host": socket.gethostname(), "pid": process.pid, "started": process.create_time()}
    write_text(state / OWNER, json.dumps(note) + "\n")


def settle_killed_run(state: Path, folder: Path, tell: Callable[[str], None]) -> None:
    """Clear up after a run that was killed; nothing happens if none was, or if it may still be alive.

    A run of another host may be alive: its lock stays, and Snakemake says how to remove it.

    state : Snakemake's folder, .snakemake
    folder : in which the run was started, and its jobs with it
    tell : takes lines for the user
    """
    note = state / OWNER
    if not note.exists() or _alive(json.loads(note.read_text(encoding="utf-8"))):
        return
    if waiting := [job for job, waits in slurm_jobs(folder).items() if waits]:
        subprocess.run(["scancel", *waiting], check=False)
    told = False
    while jobs := slurm_jobs(folder):
        if not told:
            numbers = " ".join(sorted(jobs))
            tell(f"an earlier run was killed; waiting for its Slurm jobs: {numbers} (or: scancel {numbers})")
            told = True
        time.sleep(POLL_S)
    shutil.rmtree(state / "locks", ignore_errors=True)
    note.unlink(missing_ok=True)


def slurm_jobs(folder: Path) -> dict[str, bool]:
    """Jobs of this user that Snakemake submitted from `folder`: number -> whether it still waits to start.

    Empty where there is no Slurm. Its executor names the rule in the comment of each job.
    """
    if shutil.which("squeue") is None:
        return {}
    listed = subprocess.run(
        ["squeue", "--me", "--noheader", "--states=PD,R,CG,CF,S", "--format=%A|%t|%k|%Z"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=False,
    )
    jobs = {}
    for line in listed.stdout.splitlines():
        number, job_state, comment, where = line.split("|", 3)
        if comment.startswith("rule_") and Path(where) == folder.resolve():
            jobs[number] = job_state == "PD"
    return jobs


def _alive(note: dict[str, str | float]) -> bool:
    """Whether the process of a note may still run; a later process with the same number is another one."""
    if note["host"] != socket.gethostname():
        return True
    try:
        started = psutil.Process(int(note["pid"])).create_time()
    except psutil.NoSuchProcess:
        return False
    return abs(started - float(note["started"])) < 1.0
