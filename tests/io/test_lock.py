"""One writer at a time in a folder, and nothing left by the dead."""

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from skydenoise.io.lock import alone


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
