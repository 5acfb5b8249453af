"""fetch: a complete, verified brick or one clear line, whatever the server does."""

import hashlib
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from survey_server import BreakOff, Stall, Status, SurveyServer, WrongBytes, make_survey

from skydenoise import paths
from skydenoise.errors import SettingsError
from skydenoise.survey.download import Downloader
from skydenoise.survey.fetch import FetchError, FetchSettings, fetch_bricks, read_checksums
from skydenoise.survey.fitscheck import check_fits

BRICKS = ("1410m032", "1412m032")
IMAGE = "legacysurvey-1410m032-image-r.fits.fz"
QUICK = FetchSettings(connections=4, retries=2, timeout_s=0.3, backoff_s=0.01)


@pytest.fixture(scope="session")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("mirror")
    make_survey(root, BRICKS)
    return root


@pytest.fixture
def server(mirror: Path) -> Iterator[SurveyServer]:
    with SurveyServer(mirror) as server:
        yield server


@pytest.fixture
def survey(server: SurveyServer) -> paths.Survey:
    return paths.Survey(server.url, "dr9", "south")


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.rglob("*.fz")}


def parts(folder: Path) -> list[Path]:
    return list(folder.rglob("*.part"))


def test_bricks_arrive_byte_for_byte(survey: paths.Survey, mirror: Path, tmp_path: Path) -> None:
    entries = fetch_bricks(BRICKS, "grz", survey, tmp_path, QUICK)
    assert contents(tmp_path) == contents(mirror)
    assert [(entry.brick, entry.state, entry.files) for entry in entries] == [(b, "done", 7) for b in BRICKS]
    assert parts(tmp_path) == []


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
    assert [request.path.rsplit("/", 1)[-1] for request in server.requests] == [damaged.name]
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
        FetchError, match=r"1 of 2 bricks .* 1410m032, band r: the server answers 503"
    ) as caught:
        fetch_bricks(BRICKS, "grz", survey, tmp_path, QUICK)
    assert "\n" not in str(caught.value)
    assert "run the same command again" in str(caught.value)
    assert set(contents(tmp_path)) == set(contents(mirror)) - {IMAGE}
    server.faults.clear()
    server.requests.clear()
    entries = fetch_bricks(BRICKS, "grz", survey, tmp_path, QUICK)
    assert [entry.state for entry in entries] == ["done", "kept"]
    assert [request.path.rsplit("/", 1)[-1] for request in server.requests] == [IMAGE]


def test_nobody_listens(tmp_path: Path) -> None:
    survey = paths.Survey("http://127.0.0.1:9", "dr9", "south")
    with pytest.raises(FetchError, match=r"2 of 2 bricks .* Connection refused"):
        fetch_bricks(BRICKS, "grz", survey, tmp_path, QUICK)


@pytest.mark.parametrize("fault", [BreakOff(after=70_000), Stall(after=70_000)])
def test_broken_transfer_goes_on_where_it_stopped(fault: BreakOff | Stall, tmp_path: Path) -> None:
    make_survey(tmp_path / "mirror", BRICKS[:1], "r", size=400)
    with SurveyServer(tmp_path / "mirror") as server:
        server.faults[IMAGE] = [fault]
        fetch_bricks(BRICKS[:1], "r", paths.Survey(server.url, "dr9", "south"), tmp_path / "raw", QUICK)
        first, second = server.asked(IMAGE)
    whole = next((tmp_path / "mirror").rglob(IMAGE)).stat().st_size
    assert (first.status, first.body_bytes) == (200, 70_000)
    assert second.status == 206
    assert 0 < whole - second.body_bytes <= 70_000  # bytes that came are not sent again
    assert whole - second.body_bytes >= 65_536
    assert contents(tmp_path / "raw") == contents(tmp_path / "mirror")


def test_next_run_resumes_what_the_last_one_left(tmp_path: Path) -> None:
    make_survey(tmp_path / "mirror", BRICKS[:1], "r", size=400)
    with SurveyServer(tmp_path / "mirror") as server:
        survey = paths.Survey(server.url, "dr9", "south")
        server.faults[IMAGE] = [BreakOff(after=70_000)]
        with pytest.raises(FetchError, match="broke off in the middle"):
            fetch_bricks(BRICKS[:1], "r", survey, tmp_path / "raw", replace(QUICK, retries=0))
        (part,) = parts(tmp_path / "raw")
        have = part.stat().st_size
        assert have >= 65_536
        assert IMAGE not in contents(tmp_path / "raw")
        fetch_bricks(BRICKS[:1], "r", survey, tmp_path / "raw", QUICK)
        assert server.asked(IMAGE)[-1].range == f"bytes={have}-"
    assert contents(tmp_path / "raw") == contents(tmp_path / "mirror")
    assert parts(tmp_path / "raw") == []


def test_server_without_range_sends_all_again(
    server: SurveyServer, survey: paths.Survey, mirror: Path, tmp_path: Path
) -> None:
    server.supports_range = False
    server.faults[IMAGE] = [BreakOff(after=5000)]
    fetch_bricks(BRICKS, "grz", survey, tmp_path, QUICK)
    assert [request.status for request in server.asked(IMAGE)] == [200, 200]
    assert contents(tmp_path) == contents(mirror)


@pytest.mark.parametrize("left", ["stale", "whole", "too long"])
def test_left_over_part_never_spoils_a_file(
    left: str, survey: paths.Survey, mirror: Path, tmp_path: Path
) -> None:
    true = next(mirror.rglob(IMAGE)).read_bytes()
    part = paths.raw_file(tmp_path, BRICKS[0], "image", "r").with_name(IMAGE + ".part")
    part.parent.mkdir(parents=True)
    part.write_bytes({"stale": b"x" * 4000, "whole": true, "too long": true + b"x"}[left])
    (entry,) = fetch_bricks(BRICKS[:1], "r", survey, tmp_path, replace(QUICK, retries=0))
    assert entry.state == "done"
    assert contents(tmp_path)[IMAGE] == true


def test_wrong_bytes_once(server: SurveyServer, survey: paths.Survey, mirror: Path, tmp_path: Path) -> None:
    server.faults[IMAGE] = [WrongBytes()]
    fetch_bricks(BRICKS, "grz", survey, tmp_path, QUICK)
    assert len(server.asked(IMAGE)) == 2
    assert contents(tmp_path) == contents(mirror)


def test_checksum_that_never_fits_skips_the_brick(
    server: SurveyServer, survey: paths.Survey, tmp_path: Path
) -> None:
    server.faults[IMAGE] = [WrongBytes()]
    server.for_ever.add(IMAGE)
    bad, good = fetch_bricks(BRICKS, "grz", survey, tmp_path, QUICK)
    assert (bad.state, good.state) == ("skipped", "done")
    assert "band r: sha256" in bad.reason
    assert "(3 tries)" in bad.reason
    assert IMAGE in bad.reason
    assert len(server.asked(IMAGE)) == 3
    assert IMAGE not in contents(tmp_path)
    assert parts(tmp_path) == []


def test_missing_band_skips_the_brick_with_one_line(
    server: SurveyServer, survey: paths.Survey, tmp_path: Path
) -> None:
    server.faults[IMAGE] = [Status(404)]
    bad, good = fetch_bricks(BRICKS, "grz", survey, tmp_path, QUICK)
    assert (bad.state, good.state) == ("skipped", "done")
    assert bad.reason == f"brick 1410m032, band r: no file at the survey (404): {IMAGE}"
    assert len(server.asked(IMAGE)) == 1


def test_refusal_is_not_repeated(server: SurveyServer, survey: paths.Survey, tmp_path: Path) -> None:
    server.faults[IMAGE] = [Status(403)]
    bad, _ = fetch_bricks(BRICKS, "grz", survey, tmp_path, QUICK)
    assert bad.reason == f"brick 1410m032, band r: the server answers 403: {IMAGE}"


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


SUMS = "legacysurvey_dr9_south_coadd_141_1410m032.sha256sum"


def test_without_checksums_the_pixels_are_read(
    server: SurveyServer, survey: paths.Survey, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server.faults[SUMS] = [Status(404)]
    caplog.set_level(logging.INFO)
    assert [e.state for e in fetch_bricks(BRICKS, "grz", survey, tmp_path, QUICK)] == ["done", "done"]
    assert "1410m032: no checksums" in caplog.text


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (0, "the file is empty"),
        (-2880, "truncated"),
        (4000, "truncated"),
        (b"<html>no</html>", "no FITS file"),
    ],
)
def test_broken_fits_is_found_without_checksums(content: int | bytes, reason: str, tmp_path: Path) -> None:
    survey = make_survey(tmp_path / "mirror", BRICKS)
    broken = next((tmp_path / "mirror").rglob(IMAGE))
    broken.write_bytes(content if isinstance(content, bytes) else broken.read_bytes()[:content])
    next((tmp_path / "mirror").rglob(SUMS)).unlink()
    bad, good = fetch_bricks(BRICKS, "grz", survey, tmp_path / "raw", QUICK)
    assert (bad.state, good.state) == ("skipped", "done")
    assert bad.reason.startswith("brick 1410m032, band r: ")
    assert reason in bad.reason
    assert IMAGE not in contents(tmp_path / "raw")


def test_no_image_in_hdu_1_although_the_checksum_fits(tmp_path: Path) -> None:
    survey = make_survey(tmp_path / "mirror", BRICKS[:1])
    broken = next((tmp_path / "mirror").rglob(IMAGE))
    sums = next((tmp_path / "mirror").rglob(SUMS))
    old = hashlib.sha256(broken.read_bytes()).hexdigest()
    broken.write_bytes(broken.read_bytes()[:2880])
    sums.write_text(sums.read_text().replace(old, hashlib.sha256(broken.read_bytes()).hexdigest()))
    (bad,) = fetch_bricks(BRICKS[:1], "grz", survey, tmp_path / "raw", QUICK)
    assert "no 2-D image in HDU 1" in bad.reason


def test_checksum_file_that_is_none(server: SurveyServer, survey: paths.Survey, tmp_path: Path) -> None:
    server.faults[SUMS] = [WrongBytes()]
    server.for_ever.add(SUMS)
    bad, good = fetch_bricks(BRICKS, "grz", survey, tmp_path, QUICK)
    assert (bad.state, good.state) == ("skipped", "done")
    assert "is no line of a sha256sum file" in bad.reason


@pytest.mark.parametrize("relative_sums", [False, True])
def test_mirror_on_disk(relative_sums: bool, tmp_path: Path) -> None:
    survey = make_survey(tmp_path / "mirror", BRICKS, relative_sums=relative_sums)
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
    assert first.reason.startswith("brick 1410m032, band r: sha256")
    assert second.reason.startswith("brick 1412m032, band z: no file at the mirror")


def test_both_forms_of_checksum_lines(tmp_path: Path) -> None:
    path = tmp_path / "sums"
    path.write_text(f"{'a' * 64}  one.fits.fz\n{'B' * 64} *south/coadd/141/two.fits.fz\n\n")
    assert read_checksums(path) == {"one.fits.fz": "a" * 64, "two.fits.fz": "b" * 64}


def test_no_more_files_at_once_than_connections(
    server: SurveyServer, survey: paths.Survey, tmp_path: Path
) -> None:
    server.pause_s = 0.02
    fetch_bricks(BRICKS, "grz", survey, tmp_path, replace(QUICK, connections=3))
    assert server.most_at_once == 3


def test_full_disk_is_one_line_and_leaves_no_broken_file(survey: paths.Survey, tmp_path: Path) -> None:
    target = paths.raw_file(tmp_path, BRICKS[0], "image", "r")
    target.parent.mkdir(parents=True)
    target.with_name(IMAGE + ".part").symlink_to("/dev/full")
    with pytest.raises(FetchError, match=f"{IMAGE}: No space left on device .make room") as caught:
        fetch_bricks(BRICKS[:1], "grz", survey, tmp_path, QUICK)
    assert "\n" not in str(caught.value)
    assert not target.exists()


def test_one_file_wanted_twice_at_once_is_fetched_once(
    server: SurveyServer, survey: paths.Survey, mirror: Path, tmp_path: Path
) -> None:
    server.pause_s = 0.05
    target = tmp_path / IMAGE
    with Downloader(QUICK) as one, Downloader(QUICK) as other, ThreadPoolExecutor(2) as pool:
        url = survey.file(BRICKS[0], "image", "r")
        runs = [
            pool.submit(run.fetch, url, target, partial(check_fits, pixels=False)) for run in (one, other)
        ]
        assert sorted(run.result() for run in runs) == [False, True]
    assert len(server.asked(IMAGE)) == 1
    assert target.read_bytes() == next(mirror.rglob(IMAGE)).read_bytes()
    assert parts(tmp_path) == []


def test_cache_of_another_release_is_refused(tmp_path: Path) -> None:
    survey = make_survey(tmp_path / "mirror", BRICKS)
    fetch_bricks(BRICKS, "grz", survey, tmp_path / "raw", QUICK)
    with pytest.raises(SettingsError, match=r"survey.cache: .*dr9.*dr10.*another folder"):
        fetch_bricks(BRICKS, "grz", replace(survey, release="dr10"), tmp_path / "raw", QUICK)


@pytest.mark.parametrize("url", ["ftp://host/x", "relative/folder", "file://host/x", "file:x", "https://"])
def test_other_addresses_are_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"survey\.url"):
        fetch_bricks(BRICKS, "grz", paths.Survey(url, "dr9", "south"), tmp_path, QUICK)


@pytest.mark.parametrize("name", ["../../etc", "1410m03", "1410x032", "1410m032/.."])
def test_names_that_are_no_bricks_never_become_paths(name: str, survey: paths.Survey, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="brick"):
        fetch_bricks([name], "grz", survey, tmp_path / "raw", QUICK)
    assert not (tmp_path / "raw").exists()


@pytest.mark.parametrize(
    ("key", "value"), [("connections", 0), ("retries", -1), ("timeout_s", 0.0), ("backoff_s", -1.0)]
)
def test_impossible_settings(key: str, value: float) -> None:
    with pytest.raises(SettingsError, match=rf"{key.removesuffix('_s')}.*: .* (below|above) \d"):
        FetchSettings(**{key: value})  # type: ignore[arg-type]
