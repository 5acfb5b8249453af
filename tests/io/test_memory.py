"""A job's memory is what the machine, its control group and `ulimit -v` leave it."""

import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from skydenoise.io import memory


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    memory.job_memory.cache_clear()
    yield
    memory.job_memory.cache_clear()


@pytest.mark.parametrize("above", [0, 1])
def test_a_control_group_and_those_above_it_bound_it(
    above: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = Path("slurm/job_7/step_0")
    (tmp_path / own).mkdir(parents=True)
    (tmp_path / own / "memory.max").write_text("max\n")
    ((tmp_path / own).parents[above] / "memory.max").write_text("3000000000\n")
    (tmp_path / "cgroup").write_text(f"1:cpuset:/elsewhere\n0::/{own}\n")
    monkeypatch.setattr(memory, "GROUPS", tmp_path)
    monkeypatch.setattr(memory, "OWN_GROUP", tmp_path / "cgroup")
    assert memory.job_memory() == min(3e9, psutil.virtual_memory().total)
    assert memory.too_large(63_000_000) == ""
    assert memory.too_large(64_000_000) == "3.01 GB are needed for its pixels, the job has 3"


def test_without_control_groups_it_is_the_machine_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "OWN_GROUP", tmp_path / "none")
    assert memory.job_memory() == psutil.virtual_memory().total


def test_ulimit_bounds_it() -> None:
    code = "from skydenoise.io.memory import job_memory; print(job_memory())"
    told = subprocess.run(
        [sys.executable, "-c", code],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (2_000_000_000, resource.RLIM_INFINITY)),
        capture_output=True,
        text=True,
    )
    assert float(told.stdout) == 2e9, told.stderr
