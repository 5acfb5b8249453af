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

T = TypeVar("T")
REPOSITORY = Path(__file__).parents[2]
PARTS = ("Snakefile", "workflow", "config", "src", "profiles", "envs", "slurm")
ENVIRONMENT = os.environ | {
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    "OMP_NUM_THREADS": "1",
}
SURVEY = """
run: tiny
bricks: bricks.tsv
survey: {source: simulation}
simulation: {size: 320, seed: 11, bricks: 2}
patches: {size: 32, count: 96, shard_patches: 64}
model: {levels: 3, width: 4, bottleneck: 8, outputs: 2}
train: {epochs: 24, batch_size: 8, checkpoint_minutes: 0.005}
predict: {tile: 64, overlap: 16}
evaluate: {injections: 20}
"""


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
            Job(int(row[0]), row[1], row[2], int(row[3].rstrip("M")), row[4], row[5].removeprefix("rule_"))
            for row in rows
            if Path(row[6]) == self.path
        ]
        return sorted((job for job in found if job.rule.startswith(rule)), key=lambda job: job.number)

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


def until(probe: Callable[[], T | None], what: str, seconds: float = 400) -> T:
    """Wait until `probe` finds something, and return it."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if (found := probe()) is not None:
            return found
        time.sleep(0.3)
    raise AssertionError(f"waited {seconds:.0f} s in vain for {what}")


def working_folder(path: Path) -> Folder:
    """Folder with links to the parts of the repository; what a run makes stays in the folder."""
    path.mkdir(parents=True, exist_ok=True)
    for part in PARTS:
        (path / part).symlink_to(REPOSITORY / part)
    return Folder(path.resolve())


@pytest.fixture(scope="session", autouse=True)
def cluster() -> None:
    """Fail at once, and not after many waits, if no Slurm answers."""
    if shutil.which("sinfo") is None or subprocess.run(["sinfo"], capture_output=True).returncode:
        pytest.fail("no Slurm answers: make test-cluster starts one", pytrace=False)


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Folder]:
    """Folder in which nothing was made yet."""
    folder = working_folder(tmp_path / "demo")
    yield folder
    folder.clear()


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """A tiny survey up to its patches and noise, made without Slurm; training is next."""
    folder = working_folder(tmp_path_factory.mktemp("tiny"))
    (folder.path / "tiny.yaml").write_text(SURVEY)
    (folder.path / "rarely.yaml").write_text("train: {checkpoint_minutes: 10}\n")
    (folder.path / "bricks.tsv").write_text("brick\ttrain\tpredict\n1500p600\tyes\tno\n1501p600\tno\tyes\n")
    command = ["snakemake", "--cores", "2", "--configfile", "tiny.yaml", "--until", "noise", "patches"]
    done = subprocess.run(command, cwd=folder.path, env=ENVIRONMENT, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr[-4000:]
    return folder


@pytest.fixture
def untrained(prepared: Folder) -> Iterator[Folder]:
    """`prepared` without a model, all nodes up; nothing of it is left running afterwards."""
    results = prepared.path / "results/tiny"
    shutil.rmtree(results / "model", ignore_errors=True)
    for log in ("training.csv", "train.log"):
        (results / "logs" / log).unlink(missing_ok=True)
    yield prepared
    prepared.clear()
