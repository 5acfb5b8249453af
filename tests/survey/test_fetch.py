"""fetch: a complete, verified brick or one clear line, whatever the survey and the cache hold."""

import hashlib
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from survey_server import (
    BRICKS,
    IMAGE,
    QUICK,
    SUMS,
    Status,
    SurveyServer,
    WrongBytes,
    contents,
    leftovers,
    make_survey,
)

from skydenoise import paths
from skydenoise.errors import SettingsError
from skydenoise.survey.fetch import FetchError, fetch_bricks


def test_bricks_arrive_byte_for_byte(survey: paths.Survey, mirror: Path, tmp_path: Path) -> None:
    entries = fetch_bricks(BRICKS, "grz", survey, tmp_path, QUICK)
    assert contents(tmp_path) == contents(mirror)
    assert [(entry.brick, entry.state, entry.files) for entry in entries] == [(b, "done", 7) for b in BRICKS]
    assert leftovers(tmp_path) == []


def test_entry_digest_is_over_the_digests_in_order_of_name(
    survey: paths.Survey, mirror: Path, tmp_path: Path
) -> None:
    (entry,) = fetch_bricks(BRICKS[:1], "g", survey, tmp_path, QUICK)
    files = sorted(path for path in tmp_path.rglob("*.fz"))
    digests = "".join(hashlib.sha256(path.read_bytes()).hexdigest() for path in files)
    assert entry.sha256 == hashlib.sha256(digests.encode()).hexdigest()


def test_running_again_asks_the_server_nothing(
    server: SurveyServer, survey: paths.Survey, tmp_path: Path
) -> None:
    first = fetch_bricks(BRICKS, "grz", survey, tmp_path, QUICK)
    server.requests.clear()
    again = fetch_bricks(BRICKS, "grz", survey, tmp_path, QUICK)
    assert server.requests == []
    assert [(e.state, e.sha256) for e in again] == [("kept", e.sha256) for e in first]


def test_damaged_file_is_found_and_alone_fetched_again(
    server: SurveyServer, survey: paths.Survey, mirror: Path, tmp_path: Path
) -> None:
    fetch_bricks(BRICKS, "grz", survey, tmp_path, QUICK)
    damaged = paths.raw_file(tmp_path, BRICKS[0], "invvar", "g")
    damaged.write_bytes(damaged.read_bytes()[:-2880])
    server.requests.clear()
    entries = fetch_bricks(BRICKS, "grz", survey, tmp_path, QUICK)
    assert [entry.state for entry in entries] == ["done", "kept"]
    assert [request.path.rsplit("/", 1)[-1] for request in server.requests] == [SUMS, damaged.name]
    assert contents(tmp_path) == contents(mirror)


def test_files_put_into_the_cache_by_hand_are_kept(
    server: SurveyServer, survey: paths.Survey, mirror: Path, tmp_path: Path
) -> None:
    for path in mirror.rglob("*.fz"):
        copy = tmp_path / path.parent.parent.name / path.parent.name / path.name
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    entries = fetch_bricks(BRICKS, "grz", survey, tmp_path, QUICK)
    assert [entry.state for entry in entries] == ["kept", "kept"]
    assert all(request.path.endswith("sha256sum") for request in server.requests)


def test_what_a_killed_run_left_is_removed(survey: paths.Survey, tmp_path: Path) -> None:
    folder = paths.raw_file(tmp_path, BRICKS[0], "image", "r").parent
    folder.mkdir(parents=True)
    (folder / f".0123456789ab.partial.{IMAGE}").write_bytes(b"half")
    (folder / ".lock").touch()
    fetch_bricks(BRICKS[:1], "grz", survey, tmp_path, QUICK)
    assert leftovers(tmp_path) == []


def test_checksum_that_never_fits_skips_the_brick(
    server: SurveyServer, survey: paths.Survey, tmp_path: Path
) -> None:
    server.faults[IMAGE] = [WrongBytes()]
    server.for_ever.add(IMAGE)
    bad, good = fetch_bricks(BRICKS, "grz", survey, tmp_path, QUICK)
    assert (bad.state, good.state) == ("skipped", "done")
    assert f"band r, {IMAGE}: sha256" in bad.reason
    assert "(3 tries)" in bad.reason
    assert len(server.asked(IMAGE)) == 3
    assert IMAGE not in contents(tmp_path)
    assert leftovers(tmp_path) == []


def test_missing_band_skips_the_brick_with_one_line(
    server: SurveyServer, survey: paths.Survey, tmp_path: Path
) -> None:
    server.faults[IMAGE] = [Status(404)]
    bad, good = fetch_bricks(BRICKS, "grz", survey, tmp_path, QUICK)
    assert (bad.state, good.state) == ("skipped", "done")
    assert bad.reason == f"brick 1410m032, band r, {IMAGE}: no file at the survey (404)"
    assert len(server.asked(IMAGE)) == 1


@pytest.mark.parametrize("sums", ["beside", "none"])
def test_a_brick_that_lacks_a_band_arrives_without_it(sums: str, tmp_path: Path) -> None:
    make_survey(tmp_path / "mirror", BRICKS[:1], "gz", sums=sums)
    with SurveyServer(tmp_path / "mirror") as server:
        survey = paths.Survey(server.url, "dr9", "south")
        (entry,) = fetch_bricks(BRICKS[:1], "gz", survey, tmp_path / "raw", QUICK)
        assert (entry.state, entry.files, entry.bands) == ("done", 5, "g z")
        (entry,) = fetch_bricks(BRICKS[:1], "grz", survey, tmp_path / "raw", QUICK)
        assert (entry.state, entry.files, entry.bands) == ("kept", 5, "g z")
        assert len(server.asked(IMAGE)) == 1
        server.requests.clear()
        fetch_bricks(BRICKS[:1], "grz", survey, tmp_path / "raw", QUICK)
        assert server.requests == []


def test_half_a_band_is_a_fault(tmp_path: Path) -> None:
    survey = make_survey(tmp_path / "mirror", BRICKS[:1], sums="none")
    next((tmp_path / "mirror").rglob(IMAGE)).unlink()
    (bad,) = fetch_bricks(BRICKS[:1], "grz", survey, tmp_path / "raw", QUICK)
    assert bad.reason == f"brick 1410m032, band r, {IMAGE}: no file at the survey"


def test_a_brick_without_any_band_is_skipped(tmp_path: Path) -> None:
    survey = make_survey(tmp_path / "mirror", BRICKS[:1], "iy")
    (bad,) = fetch_bricks(BRICKS[:1], "grz", survey, tmp_path / "raw", QUICK)
    assert re.fullmatch(r"brick 1410m032, band g, .*image-g.fits.fz: no file at the survey", bad.reason)


def test_release_without_maskbits(
    server: SurveyServer, survey: paths.Survey, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server.faults["legacysurvey-1410m032-maskbits.fits.fz"] = [Status(404)]
    first, _ = fetch_bricks(BRICKS, "grz", survey, tmp_path, QUICK)
    assert (first.state, first.files) == ("done", 6)
    assert "1410m032: maskbits: no file at the survey (404)" in caplog.text
    server.requests.clear()
    assert [e.state for e in fetch_bricks(BRICKS, "grz", survey, tmp_path, QUICK)] == ["kept", "kept"]
    assert server.requests == []


def test_another_band_is_added_to_what_is_there(
    server: SurveyServer, survey: paths.Survey, tmp_path: Path
) -> None:
    fetch_bricks(BRICKS[:1], "gz", survey, tmp_path, QUICK)
    server.requests.clear()
    (entry,) = fetch_bricks(BRICKS[:1], "grz", survey, tmp_path, QUICK)
    assert (entry.state, entry.files, entry.unverified) == ("done", 7, 0)
    assert len(server.requests) == 3  # checksums, image, invvar
    server.requests.clear()
    assert fetch_bricks(BRICKS[:1], "gz", survey, tmp_path, QUICK)[0].state == "kept"
    assert server.requests == []


def test_mirror_on_disk(tmp_path: Path) -> None:
    survey = make_survey(tmp_path / "mirror", BRICKS)
    entries = fetch_bricks(BRICKS, "grz", survey, tmp_path / "raw", QUICK)
    assert [entry.state for entry in entries] == ["done", "done"]
    assert contents(tmp_path / "raw") == contents(tmp_path / "mirror")
    assert [e.state for e in fetch_bricks(BRICKS, "grz", survey, tmp_path / "raw", QUICK)] == ["kept", "kept"]


def test_mirror_whose_file_does_not_fit_or_is_not_there(tmp_path: Path) -> None:
    survey = make_survey(tmp_path / "mirror", BRICKS)
    image = next((tmp_path / "mirror").rglob(IMAGE))
    image.write_bytes(image.read_bytes() + b"x")
    next((tmp_path / "mirror").rglob("legacysurvey-1412m032-image-z.fits.fz")).unlink()
    first, second = fetch_bricks(BRICKS, "grz", survey, tmp_path / "raw", QUICK)
    assert first.reason.startswith(f"brick 1410m032, band r, {IMAGE}: sha256")
    assert "band z, legacysurvey-1412m032-image-z.fits.fz: no file at the survey (404)" in second.reason
    image.unlink()
    image.mkdir()
    with pytest.raises(FetchError, match=rf"band r, {IMAGE}: \[Errno 21\] Is a directory"):
        fetch_bricks(BRICKS, "grz", survey, tmp_path / "raw", QUICK)


def test_full_disk_is_one_line_and_leaves_no_broken_file(
    survey: paths.Survey, tmp_path: Path, full_disk: Callable[[], AbstractContextManager[None]]
) -> None:
    with (
        full_disk(),
        pytest.raises(FetchError, match=r"File too large; make room, .* it goes on from") as caught,
    ):
        fetch_bricks(BRICKS, "grz", survey, tmp_path, QUICK)
    assert "\n" not in str(caught.value)
    assert contents(tmp_path) == {}
    assert leftovers(tmp_path) == []


def test_cache_where_nothing_can_be_written_is_one_line(survey: paths.Survey, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FetchError, match=r"file.*: Not a directory; .* set survey.cache to another folder"):
        fetch_bricks(BRICKS, "grz", survey, tmp_path / "file/raw", QUICK)
    fetch_bricks(BRICKS[:1], "grz", survey, tmp_path / "raw", QUICK)
    (tmp_path / "raw/141/1412m032").write_text("where a folder should be made")
    with pytest.raises(FetchError, match=r"1412m032/.*: Not a directory; make room, make it writable"):
        fetch_bricks(BRICKS, "grz", survey, tmp_path / "raw", QUICK)


def test_one_brick_wanted_by_two_jobs_at_once_is_fetched_once(
    server: SurveyServer, survey: paths.Survey, mirror: Path, tmp_path: Path
) -> None:
    server.pause_s = 0.05
    with ThreadPoolExecutor(2) as pool:
        runs = [pool.submit(fetch_bricks, BRICKS, "grz", survey, tmp_path, QUICK) for _ in range(2)]
        states = [{entry.brick: entry.state for entry in run.result()} for run in runs]
    assert all({state[brick] for state in states} == {"done", "kept"} for brick in BRICKS)
    assert len(server.asked(IMAGE)) == 1
    assert contents(tmp_path) == contents(mirror)
    assert leftovers(tmp_path) == []


def test_cache_of_another_release_is_refused(tmp_path: Path) -> None:
    survey = make_survey(tmp_path / "mirror", BRICKS)
    fetch_bricks(BRICKS, "grz", survey, tmp_path / "raw", QUICK)
    with pytest.raises(SettingsError, match=r"survey.cache: .*dr9.*dr10.*another folder"):
        fetch_bricks(BRICKS, "grz", replace(survey, release="dr10"), tmp_path / "raw", QUICK)


def test_bricks_come_from_their_own_places(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    make_survey(tmp_path / "mirror", BRICKS, at="dr9/north")
    survey = make_survey(tmp_path / "mirror", BRICKS[:1], at="dr10/south", seed=2)
    raw = tmp_path / "raw"
    fetch = partial(fetch_bricks, BRICKS, "grz", survey, raw, QUICK)
    fetch({BRICKS[1]: "dr9/north"})
    for name, at in zip(BRICKS, ("dr10/south", "dr9/north"), strict=True):
        for copy in paths.raw_file(raw, name, "maskbits").parent.glob("*.fz"):
            original = next((tmp_path / "mirror" / at).rglob(copy.name))
            assert copy.read_bytes() == original.read_bytes()
    assert {entry.state for entry in fetch({BRICKS[1]: "dr9/north"})} == {"kept"}
    moved = fetch(dict.fromkeys(BRICKS, "dr9/north"))
    assert [entry.state for entry in moved] == ["done", "kept"]
    assert "brick 1410m032 is of dr10/south in the cache, not dr9/north" in caplog.text
    copy = paths.raw_file(raw, BRICKS[0], "image", "g")
    assert copy.read_bytes() == next((tmp_path / "mirror/dr9/north").rglob(copy.name)).read_bytes()


@pytest.mark.parametrize("name", ["../../etc", "1410m03", "1410x032", "1410m032/.."])
def test_names_that_are_no_bricks_never_become_paths(name: str, survey: paths.Survey, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="brick"):
        fetch_bricks([name], "grz", survey, tmp_path / "raw", QUICK)
    assert not (tmp_path / "raw").exists()
