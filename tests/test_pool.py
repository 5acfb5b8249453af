"""Items are shared among processes; what they log comes back, and none is left behind."""

import logging
import os
import signal
import subprocess
import sys
import time
import warnings
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from skydenoise.errors import SettingsError, StepError
from skydenoise.pool import each

log = logging.getLogger("skydenoise.tests")
PAIR = 2
IMPORTED_BY = os.getpid()
threads = 0


def prepare(count):
    global threads
    threads = count


def square(number):
    log.info("item %d", number)
    if number == 3:
        try:
            raise ValueError("odd")
        except ValueError:
            log.exception("item 3 is")
    return number**2, os.getpid(), threads


def touch(path):
    path.touch()
    time.sleep(0.2)
    if path.name == "0":
        raise SettingsError("no such thing")


def die(_):
    os._exit(7)


def end_by(number):
    """This process, by a signal; those below 0 end nothing."""
    if number > 0:
        os.kill(os.getpid(), number)
    return "done"


def warn(number):
    warnings.warn(f"beware of {number}", UserWarning, stacklevel=1)


def who_imported(folder):
    """Once two processes ask."""
    (folder / str(os.getpid())).touch()
    wait_for(lambda: [file for file in folder.iterdir() if file.name.isdigit()], 2)
    return IMPORTED_BY


def sleep(folder):
    (folder / str(os.getpid())).touch()
    time.sleep(60)


def test_one_process_is_this_one():
    ((item, (result, process, count)),) = each(square, [4], PAIR, prepare)
    assert (item, result, process, count) == (4, 16, os.getpid(), PAIR)


def test_results_and_messages_come_back(caplog):
    with caplog.at_level(logging.INFO, "skydenoise"):
        results = dict(each(square, range(6), PAIR, prepare))
    assert {item: result for item, (result, *_) in results.items()} == {n: n**2 for n in range(6)}
    assert os.getpid() not in {process for _, process, _ in results.values()}
    assert {count for *_, count in results.values()} == {1}
    assert sorted(r.message for r in caplog.records if "item" in r.message and r.levelname == "INFO") == [
        f"item {n}" for n in range(6)
    ]
    (failure,) = [r for r in caplog.records if r.levelname == "ERROR"]
    assert failure.message.startswith("item 3 is\nTraceback")
    assert failure.message.endswith("ValueError: odd")


def test_warnings_come_back(caplog):
    list(each(warn, [1, 2], 2, lambda_free_prepare))
    assert sum("beware of" in record.message for record in caplog.records) == 2


def lambda_free_prepare(_):
    warnings.simplefilter("always")  # these tests run with warnings as errors, and so do their processes


def test_an_error_ends_it_and_the_rest_is_not_begun(tmp_path):
    paths = [tmp_path / str(number) for number in range(12)]
    with pytest.raises(SettingsError, match="no such thing"):
        list(each(touch, paths, PAIR, prepare))
    assert len(list(tmp_path.iterdir())) < len(paths)


def test_a_process_that_dies_is_told_in_one_line():
    with pytest.raises(StepError, match=r"the process of [12] died, perhaps for lack of memory") as caught:
        list(each(die, [1, 2], PAIR, prepare))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("item", "killed"), [(signal.SIGKILL, True), (signal.SIGSEGV, False)])
def test_an_item_that_ends_its_process_ends_no_other(item, killed):
    told = dict(each(end_by, [-1, item, -2], PAIR, prepare, lambda item, killed: (item, killed)))
    assert told == {-1: "done", item: (item, killed), -2: "done"}


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT])
def test_no_process_outlives_the_first(tmp_path, end):
    code = "list(each(sleep, [Path(__file__).parent] * 2, PAIR, prepare))"
    with running(tmp_path, code, stderr=subprocess.DEVNULL) as script:
        wait_for(lambda: [file for file in tmp_path.iterdir() if file.name.isdigit()], 2)
        family = psutil.Process(script.pid).children(recursive=True)
        os.kill(script.pid, end)
        script.wait(20)
        assert len(family) >= 3  # a server and its forks
        assert not psutil.wait_procs(family, 20)[1]


@contextmanager
def running(folder, code, **how):
    """A script that has what this file has, and runs `code`; no process of it is left at the end.

    It finds modules where it says itself, as scripts do in Snakemake's conda environments.
    """
    script = folder / "script.py"
    root = Path(__file__).parents[1]
    script.write_text(
        f"import sys; sys.path += {[str(root), str(root / 'src')]}\n"
        "from tests.test_pool import *\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a job in the background ignores it
        f"if __name__ == '__main__':\n    {code}\n"
    )
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, script]
    with subprocess.Popen(command, env=environment, cwd=folder, start_new_session=True, **how) as process:
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def wait_for(look, count, seconds=30):
    """What `look` gives, once there are so many."""
    until = time.monotonic() + seconds
    while len(found := look()) < count:
        assert time.monotonic() < until, found
        time.sleep(0.05)
    return found
