"""Of two processes that write the same, the second waits, and takes over when the first is gone."""

import errno
import fcntl
import logging
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from skydenoise.io.lock import alone, only_one

HOLDER = """
import sys, time
from pathlib import Path
from skydenoise.io.lock import only_one
with only_one(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(float(sys.argv[2]))
    Path(sys.argv[1]).with_suffix(".done").touch()
"""


def holder(path: Path, seconds: float) -> subprocess.Popen[str]:
    """A process that holds the lock for so long."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path), str(seconds)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_the_second_waits_and_says_for_whom(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    lock = tmp_path / "job.lock"
    with holder(lock, 0.5) as process, only_one(lock):
        assert (tmp_path / "job.done").exists()
    (line,) = caplog.messages
    assert f"process {process.pid} on" in line
    assert f"(to end it: kill {process.pid}) still writes the same files: waiting for its end" in line
    assert not lock.exists()


def test_a_lock_ends_with_its_process_however_that_ends(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lock = tmp_path / "job.lock"
    with holder(lock, 60) as process:
        process.kill()
        process.wait()
        with only_one(lock):
            pass
    assert caplog.messages == []


def test_a_slurm_job_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    lock = tmp_path / "job.lock"
    with holder(lock, 0.1), only_one(lock):
        pass
    assert "(to end it: scancel 17)" in caplog.messages[0]


def test_without_locks_there_is_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with caplog.at_level(logging.WARNING), only_one(tmp_path / "job.lock"):
        pass
    assert "no lock on this file system (No locks available)" in caplog.messages[0]


def test_only_one_is_in_a_folder(tmp_path: Path) -> None:
    inside, most, guard = 0, 0, threading.Lock()

    def work(_: int) -> None:
        nonlocal inside, most
        with alone(tmp_path / "new"):
            with guard:
                inside += 1
                most = max(most, inside)
            (tmp_path / "new/file").write_text("x")
            with guard:
                inside -= 1

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(100)))
    assert most == 1
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["file"]


def test_the_killed_hold_nothing_and_leave_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    code = f"""
from pathlib import Path
from skydenoise.io.atomic import atomic_path
from skydenoise.io.lock import alone
with alone(Path({str(tmp_path)!r})), atomic_path(Path({str(tmp_path)!r}, "a")) as partial:
    partial.write_text("half")
    print("holds", flush=True)
    input()
"""
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "holds\n"
        with ThreadPoolExecutor(1) as pool:
            caplog.set_level("INFO")

            def names() -> list[str]:
                with alone(tmp_path):
                    return sorted(path.name for path in tmp_path.iterdir())

            waiting = pool.submit(names)
            with pytest.raises(TimeoutError):
                waiting.result(timeout=0.2)
            other.kill()
            assert waiting.result(timeout=5) == [".lock"]
    assert "still writes the same files: waiting for its end" in caplog.text
    assert list(tmp_path.iterdir()) == []


def test_a_failure_inside_frees_the_folder(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="inside"), alone(tmp_path):
        raise ValueError("inside")
    with alone(tmp_path):
        pass
