"""Snakemake on the Slurm that `cluster.sh start` left running, and what its queue says of the jobs."""

import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import psutil
import pytest

from skydenoise.io.lock import only_one

T = TypeVar("T")
REPOSITORY = Path(__file__).parents[2]
PARTS = ("Snakefile", "workflow", "config", "profiles", "envs", "slurm", "pyproject.toml")
ENVIRONMENT = os.environ | {
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    "OMP_WAIT_POLICY": "passive",
}
LONGER = "train: {epochs: 24, batch_size: 8, checkpoint_minutes: 0.005}"
"""Of the training of .test: long enough to look at, with checkpoints all the time."""


@dataclass(frozen=True)
class Job:
    """What Slurm remembers of a job.

    memory : megabytes asked for
    """

    number: int
    state: str
    partition: str
    memory: int
    nodes: str
    rule: str


@dataclass(frozen=True)
class Folder:
    """A working folder, its runs and their jobs."""

    path: Path
    runs: list[subprocess.Popen[str]] = field(default_factory=list)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """`snakemake --profile slurm ...`, in the background; its words go to `run.log`."""
        command = ["snakemake", "--profile", "slurm", "--jobs", "4"]
        command += ["--slurm-init-seconds-before-status-checks", "2", *arguments]
        with (self.path / "run.log").open("w") as log:
            self.runs.append(
                subprocess.Popen(command, cwd=self.path, env=ENVIRONMENT, text=True, stdout=log, stderr=log)
            )
        return self.runs[-1]

    def words(self) -> str:
        """What the last run said."""
        return (self.path / "run.log").read_text()

    def finish(self, run: subprocess.Popen[str]) -> None:
        """Wait for the end of a run, which must be a good one."""
        assert run.wait(1400) == 0, self.words()[-6000:]

    def jobs(self, rule: str = "") -> list[Job]:
        """Jobs of this folder, the finished ones among them, in the order of submission."""
        text = subprocess.run(
            ["squeue", "--noheader", "--states=all", "--format=%A|%T|%P|%m|%N|%k|%Z"],
            check=True,
            text=True,
            capture_output=True,
        ).stdout
        rows = [line.split("|") for line in text.splitlines()]
        found = [
            Job(int(row[0]), row[1], row[2], megabytes(row[3]), row[4], row[5].removeprefix("rule_"))
            for row in rows
            if Path(row[6]) == self.path
        ]
        return sorted((job for job in found if job.rule.startswith(rule)), key=lambda job: job.number)

    def snakemake(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Another command in the folder, to its end."""
        command = ["snakemake", "--profile", "slurm", *arguments]
        return subprocess.run(command, cwd=self.path, env=ENVIRONMENT, text=True, capture_output=True)

    def clear(self) -> None:
        """Leave nothing of this folder running: other tests come after."""
        for run in self.runs:
            run.kill()
            run.wait()
        left = ("PENDING", "RUNNING", "COMPLETING", "CONFIGURING")
        if unfinished := [str(job.number) for job in self.jobs() if job.state in left]:
            subprocess.run(["scancel", *unfinished], check=True)
        for process in psutil.process_iter():  # a node that was set down forgets its processes
            with contextlib.suppress(psutil.Error):
                if process.cwd() == str(self.path):
                    process.kill()
        until(lambda: all(job.state not in left for job in self.jobs()) or None, "the end of all jobs")

    def running(self, rule: str, after: int = 0) -> Job:
        """Wait until a job of the rule runs, one with a higher number than `after`."""
        return until(
            lambda: next(
                (job for job in self.jobs(rule) if job.state == "RUNNING" and job.number > after), None
            ),
            f"a running job of {rule}",
        )


def megabytes(text: str) -> int:
    """Memory as squeue writes it: 500M, 16G."""
    return int(float(text[:-1]) * {"M": 1, "G": 1024}[text[-1]])


def until(probe: Callable[[], T | None], what: str, seconds: float = 400) -> T:
    """Wait until `probe` finds something, and return it."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if (found := probe()) is not None:
            return found
        time.sleep(0.3)
    raise AssertionError(f"waited {seconds:.0f} s in vain for {what}")


def working_folder(path: Path) -> Folder:
    """Folder with links to the parts of a clone; its configuration is that of .test."""
    path.mkdir(parents=True, exist_ok=True)
    for part in PARTS:
        (path / part).symlink_to(REPOSITORY / (".test/config" if part == "config" else part))
    return Folder(path.resolve())


@pytest.fixture(scope="session", autouse=True)
def cluster() -> None:
    """Fail at once, and not after many waits, if no Slurm answers."""
    if shutil.which("sinfo") is None or subprocess.run(["sinfo"], capture_output=True).returncode:
        pytest.fail("no Slurm answers: make test-cluster starts one", pytrace=False)


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Folder]:
    """Folder in which nothing was made yet."""
    folder = working_folder(tmp_path / "fresh")
    yield folder
    folder.clear()


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """Folder of the run of .test up to its patches and noise, made once, without Slurm; training is next."""
    root = tmp_path_factory.getbasetemp()
    path = (root if worker_id == "master" else root.parent) / "prepared"
    with only_one(path.with_suffix(".lock")):
        if not path.exists():
            folder = working_folder(path)
            (path / "longer.yaml").write_text(LONGER)
            (path / "rarely.yaml").write_text("train: {checkpoint_minutes: 10}")
            command = ["snakemake", "--cores", "2", "--until", "noise", "patches"]
            done = subprocess.run(command, cwd=folder.path, env=ENVIRONMENT, text=True, capture_output=True)
            assert done.returncode == 0, done.stderr[-4000:]
    return path


@pytest.fixture
def untrained(prepared: Path, tmp_path: Path) -> Iterator[Folder]:
    """Copy of `prepared`; nothing of it is left running afterwards."""
    shutil.copytree(prepared, tmp_path / "untrained", symlinks=True)
    folder = Folder((tmp_path / "untrained").resolve())
    yield folder
    folder.clear()
