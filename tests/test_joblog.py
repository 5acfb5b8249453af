"""A job's log says how it ended: in one line where the user can act, with a traceback where we must."""

import logging
import re
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from skydenoise.errors import BrickError, SettingsError, StepError
from skydenoise.joblog import job_log

LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+0000 (INFO|WARNING|ERROR) .*")
LOGGERS = ("skydenoise", "py.warnings")


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """job_log sets what a process keeps for good: the level, and the capture of warnings."""
    level = logging.getLogger("skydenoise").level
    yield
    logging.captureWarnings(False)
    logging.getLogger("skydenoise").setLevel(level)


def handlers() -> dict[str, list[logging.Handler]]:
    return {name: list(logging.getLogger(name).handlers) for name in LOGGERS}


def test_messages_stand_in_the_log_and_on_the_screen(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "job.log"
    with job_log(log):
        logging.getLogger("skydenoise.survey.fetch").info("brick %s: 7 files", "1410m032")
        logging.getLogger("skydenoise.survey.fetch").debug("too much")
    lines = log.read_text().splitlines()
    assert [line.split(" ", 2)[1:] for line in lines] == [["INFO", "brick 1410m032: 7 files"]]
    assert LINE.fullmatch(lines[0])
    assert lines[0] in capsys.readouterr().err.splitlines()


def test_a_log_is_added_to(tmp_path: Path) -> None:
    for number in (1, 2):
        with job_log(tmp_path / "job.log"):
            logging.getLogger("skydenoise").info("run %d", number)
    assert [line[-5:] for line in (tmp_path / "job.log").read_text().splitlines()] == ["run 1", "run 2"]


def test_warnings_of_libraries_stand_in_the_log(tmp_path: Path) -> None:
    with job_log(tmp_path / "job.log"), warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(False)  # catch_warnings has put another showwarning into its place
        logging.captureWarnings(True)
        warnings.warn("an odd header", UserWarning, stacklevel=1)
    assert "an odd header" in (tmp_path / "job.log").read_text()


@pytest.mark.parametrize(
    "error",
    [
        SettingsError("train.epochs: 0 is below 1"),
        StepError("train: the loss is not finite"),
        BrickError("truncated", brick="1410m032", band="g"),
    ],
)
def test_what_a_user_can_act_on_is_one_line(
    tmp_path: Path, error: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught, job_log(tmp_path / "job.log"):
        raise error
    assert caught.value.code == 1
    assert caught.value.__suppress_context__
    (line,) = (tmp_path / "job.log").read_text().splitlines()
    assert LINE.fullmatch(line)
    assert line.endswith(f"ERROR {error}")
    assert line in capsys.readouterr().err


def test_an_unexpected_error_leaves_its_traceback(tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as caught, job_log(tmp_path / "job.log"):
        [][1]  # type: ignore[misc]
    assert caught.value.code == 1
    text = (tmp_path / "job.log").read_text()
    assert "ERROR unexpected error\nTraceback (most recent call last):" in text
    assert text.rstrip().endswith("IndexError: list index out of range")


def test_a_full_disk_is_one_line(tmp_path: Path) -> None:
    """Whatever room met it: /dev/full gives the error that a full disk gives."""
    with pytest.raises(SystemExit), job_log(tmp_path / "job.log"), Path("/dev/full").open("w") as full:
        full.write("x" * 100_000)
    (line,) = (tmp_path / "job.log").read_text().splitlines()
    assert line.endswith(
        "ERROR [Errno 28] No space left on device (make room, then run the same command again)"
    )


@pytest.mark.parametrize("error", [None, SettingsError("no"), ValueError("no"), KeyboardInterrupt()])
def test_no_handler_stays(tmp_path: Path, error: BaseException | None) -> None:
    before = handlers()
    try:
        with job_log(tmp_path / "job.log"):
            assert handlers() != before
            if error is not None:
                raise error
    except (SystemExit, KeyboardInterrupt):
        pass
    assert handlers() == before


def test_an_interrupt_is_no_error_of_ours(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), job_log(tmp_path / "job.log"):
        raise KeyboardInterrupt
    assert (tmp_path / "job.log").read_text() == ""


def test_a_folder_that_cannot_be_written_is_an_error_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), job_log(tmp_path / "nowhere" / "job.log"):
        pytest.fail("the block ran")


def test_the_job_holds_a_lock_beside_its_log_unless_another_process_does(tmp_path: Path) -> None:
    with job_log(tmp_path / "job.log"):
        assert (tmp_path / "job.lock").exists()
        with job_log(tmp_path / "job.log", lock=False):
            pass
    assert not (tmp_path / "job.lock").exists()
