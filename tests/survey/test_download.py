"""download: whatever the server and the wire do, a transfer comes whole, is told of, or ends."""

import logging
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from survey_server import (
    BRICKS,
    IMAGE,
    QUICK,
    SUMS,
    BreakOff,
    Drip,
    Fault,
    Stall,
    Status,
    SurveyServer,
    WrongBytes,
    contents,
    leftovers,
)

from skydenoise import paths
from skydenoise.survey.fetch import FetchError, fetch_bricks


@pytest.mark.parametrize("fault", [Status(500), Status(503, retry_after=0), Status(429), Status(502)])
def test_busy_server_is_asked_again(
    fault: Status, server: SurveyServer, survey: paths.Survey, mirror: Path, tmp_path: Path
) -> None:
    server.faults[IMAGE] = [fault, fault]
    fetch_bricks(BRICKS, "grz", survey, tmp_path, QUICK)
    assert [request.status for request in server.asked(IMAGE)] == [fault.code, fault.code, 200]
    assert contents(tmp_path) == contents(mirror)


def test_server_that_stays_busy_fails_its_brick_and_the_next_run_goes_on(
    server: SurveyServer, survey: paths.Survey, mirror: Path, tmp_path: Path
) -> None:
    server.faults[IMAGE] = [Status(503)]
    server.for_ever.add(IMAGE)
    with pytest.raises(
        FetchError, match=r"1 of 2 bricks .* 1410m032, band r, .*: the server answers 503"
    ) as caught:
        fetch_bricks(BRICKS, "grz", survey, tmp_path, QUICK)
    assert "\n" not in str(caught.value)
    assert "run the same command again" in str(caught.value)
    there = set(contents(tmp_path))
    assert IMAGE not in there
    assert len(there) >= 7  # the other brick, at least
    server.faults.clear()
    server.requests.clear()
    entries = fetch_bricks(BRICKS, "grz", survey, tmp_path, QUICK)
    assert [entry.state for entry in entries] == ["done", "kept"]
    asked = {request.path.rsplit("/", 1)[-1] for request in server.requests}
    assert asked == set(contents(mirror)) - there | {SUMS}
    assert contents(tmp_path) == contents(mirror)


def test_nobody_listens(tmp_path: Path) -> None:
    survey = paths.Survey("http://127.0.0.1:9", "dr9", "south")
    with pytest.raises(FetchError, match=r"2 of 2 bricks .* Connection refused"):
        fetch_bricks(BRICKS, "grz", survey, tmp_path, QUICK)


@pytest.mark.parametrize("fault", [BreakOff(after=5000), Stall(after=5000), Drip(every_s=0.01), WrongBytes()])
def test_broken_transfer_begins_anew(
    fault: Fault, server: SurveyServer, survey: paths.Survey, mirror: Path, tmp_path: Path
) -> None:
    server.faults[IMAGE] = [fault]
    fetch_bricks(BRICKS, "grz", survey, tmp_path, replace(QUICK, timeout=0.3))
    assert len(server.asked(IMAGE)) >= 2  # more on a busy machine, where others than the fault last so long
    assert contents(tmp_path) == contents(mirror)
    assert leftovers(tmp_path) == []


def test_transfer_that_stays_broken_leaves_nothing(
    server: SurveyServer, survey: paths.Survey, tmp_path: Path
) -> None:
    server.faults[IMAGE] = [BreakOff(after=5000)]
    server.for_ever.add(IMAGE)
    with pytest.raises(FetchError, match=r"the connection broke off in the middle of the file \(3 tries\)"):
        fetch_bricks(BRICKS[:1], "r", survey, tmp_path, QUICK)
    assert IMAGE not in contents(tmp_path)
    assert leftovers(tmp_path) == []


def test_server_that_asks_for_a_pause_gets_it(
    server: SurveyServer, survey: paths.Survey, mirror: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    server.faults[IMAGE] = [Status(503, retry_after=1)]
    fetch_bricks(BRICKS, "grz", survey, tmp_path, replace(QUICK, longest_wait=2))
    assert "waiting for 1 s, as the server asks" in caplog.text
    assert contents(tmp_path) == contents(mirror)


def test_server_that_asks_for_an_hour_is_left_alone(
    server: SurveyServer, survey: paths.Survey, tmp_path: Path
) -> None:
    server.faults[SUMS] = [Status(503, retry_after=3600)]
    with pytest.raises(FetchError, match=r"the server asks to wait 3600 s, survey.longest_wait is 600"):
        fetch_bricks(BRICKS, "grz", survey, tmp_path, replace(QUICK, connections=1))
    assert len(server.requests) == 1  # of the other files, too


@pytest.mark.parametrize("where", ["server", "mirror"])
def test_file_that_is_too_large_is_refused(
    where: str, server: SurveyServer, mirror: Path, tmp_path: Path
) -> None:
    survey = paths.Survey(server.url if where == "server" else mirror.as_uri(), "dr9", "south")
    (bad,) = fetch_bricks(BRICKS[:1], "grz", survey, tmp_path, replace(QUICK, largest_file=0.01))
    assert re.search(r"band g, .*: \d{5} bytes are more than survey.largest_file: 0.01 MB", bad.reason)


JOB = """
from pathlib import Path
from skydenoise import paths
from skydenoise.config import FetchSettings
from skydenoise.survey.fetch import fetch_bricks
fetch_bricks({bricks!r}, "grz", paths.Survey({url!r}, "dr9", "south"), Path({raw!r}), FetchSettings())
"""


@pytest.mark.parametrize("fault", [Stall(after=5000), Status(503, retry_after=300)])
def test_an_interrupt_ends_it_at_once(fault: Fault, server: SurveyServer, tmp_path: Path) -> None:
    server.faults[IMAGE] = [fault]
    code = JOB.format(bricks=BRICKS, url=server.url, raw=str(tmp_path))
    with subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True) as job:
        while not server.asked(IMAGE):
            assert job.poll() is None
            time.sleep(0.01)
        job.send_signal(signal.SIGINT)
        try:
            said = job.communicate(timeout=10)[1]
        finally:
            job.kill()
    assert said.endswith("KeyboardInterrupt\n")


def test_a_server_that_points_to_a_file_of_this_machine_gets_none(
    server: SurveyServer, survey: paths.Survey, mirror: Path, tmp_path: Path
) -> None:
    server.faults[IMAGE] = [Status(302, location=next(mirror.rglob(IMAGE)).as_uri())]
    (bad,) = fetch_bricks(BRICKS[:1], "r", survey, tmp_path, QUICK)
    assert f"band r, {IMAGE}: the server points to a file of this machine" in bad.reason
    assert IMAGE not in contents(tmp_path)


def test_login_of_the_environment(
    server: SurveyServer, survey: paths.Survey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.login = "me:s3cret"
    (bad,) = fetch_bricks(BRICKS[:1], "r", survey, tmp_path / "none", QUICK)
    assert "the server answers 401 (a login belongs into ~/.netrc" in bad.reason
    monkeypatch.setenv("SKYDENOISE_LOGIN", server.login)
    assert fetch_bricks(BRICKS[:1], "r", survey, tmp_path / "raw", QUICK)[0].state == "done"


def test_login_of_netrc(
    server: SurveyServer, survey: paths.Survey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.login = "me:s3cret"
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password s3cret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    assert fetch_bricks(BRICKS[:1], "r", survey, tmp_path / "raw", QUICK)[0].state == "done"


def test_refusal_is_not_repeated(server: SurveyServer, survey: paths.Survey, tmp_path: Path) -> None:
    server.faults[IMAGE] = [Status(403)]
    bad, _ = fetch_bricks(BRICKS, "grz", survey, tmp_path, QUICK)
    assert bad.reason.startswith(f"brick 1410m032, band r, {IMAGE}: the server answers 403 (a login belongs")


def test_no_more_files_at_once_than_connections(
    server: SurveyServer, survey: paths.Survey, tmp_path: Path
) -> None:
    server.pause_s = 0.02
    fetch_bricks(BRICKS, "grz", survey, tmp_path, replace(QUICK, connections=3))
    assert server.most_at_once == 3
