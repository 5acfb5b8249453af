"""Fixtures that several rooms share."""

import os
import resource
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import hypothesis
import pytest

from skydenoise import starlet

REPOSITORY = Path(__file__).parents[1]

hypothesis.settings.register_profile("untimed", deadline=None)  # a busy machine is no failure
hypothesis.settings.load_profile("untimed")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real survey pixels; the test is skipped where it is absent."""
    folder = Path(os.environ.get("SKYDENOISE_REAL_DATA", REPOSITORY / "../shared/data/real"))
    if not folder.is_dir():
        pytest.skip(f"no real survey pixels: {folder} is no folder (set SKYDENOISE_REAL_DATA)")
    return folder.resolve()


@pytest.fixture
def strips_of(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Makes strips of so many pixels, however many threads the machine has."""

    def set_pixels(pixels: int) -> None:
        monkeypatch.setattr(starlet, "STRIP_PIXELS", pixels)
        monkeypatch.setattr(starlet, "MOST_THREADS", 1)

    return set_pixels


@contextmanager
def _little_room() -> Iterator[None]:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.fixture
def full_disk() -> Callable[[], AbstractContextManager[None]]:
    """While it is entered no file grows beyond 4 kB: `ulimit -f` stands for the full disk.

    The kernel refuses to write on, in the middle of a file.
    """
    return _little_room


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print which faults were survived, if the campaign ran."""
    reports = {
        kind: terminalreporter.stats.get(kind, ()) for kind in ("passed", "failed", "error", "skipped")
    }
    if any("tests/faults/" in report.nodeid for each in reports.values() for report in each):
        from tests.faults.table import print_survived

        print_survived(terminalreporter, reports)
