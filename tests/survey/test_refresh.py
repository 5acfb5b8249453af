"""refresh: what the survey has replaced is found, named, and fetched again by the next run."""

import os
from collections.abc import Iterator
from pathlib import Path

import fitsio
import pytest
from survey_server import BRICKS, IMAGE, Status, SurveyServer, make_survey

from skydenoise import paths
from skydenoise.config import FetchSettings
from skydenoise.io.digest import file_digest
from skydenoise.survey.fetch import FetchError, fetch_bricks
from skydenoise.survey.refresh import forget_fetched, forget_replaced

QUICK = FetchSettings(connections=4, retries=1, timeout=5, backoff=0.01)


class Mirror:
    """A survey on a server, and a cache into which it was fetched."""

    def __init__(self, folder: Path, sums: str) -> None:
        self.root, self.cache, self.sums = folder / "mirror", folder / "raw", sums
        make_survey(self.root, BRICKS, "gr", sums=sums)
        self.server = SurveyServer(self.root)
        self.survey = paths.Survey(self.server.url, "dr9", "south")

    def fetch(self) -> list[str]:
        entries = fetch_bricks(BRICKS, "gr", self.survey, self.cache, QUICK)
        return [entry.state for entry in entries]

    def refresh(self) -> set[str]:
        return forget_replaced(BRICKS, "gr", self.survey, self.cache, QUICK)

    def publish(self, name: str) -> None:
        """Put another image in the place of one, and its sum in the place of the old one's."""
        image = next(self.root.rglob(name))
        old = file_digest(image)
        with fitsio.FITS(str(image), "rw") as file:
            file[1].write_history(2880 * "again ")
        for sums in self.root.rglob("*.sha256sum"):
            sums.write_text(sums.read_text().replace(old, file_digest(image)))


@pytest.fixture(params=["beside", "pipeline", "none"])
def mirror(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Mirror]:
    mirror = Mirror(tmp_path, request.param)
    with mirror.server:
        mirror.fetch()
        yield mirror


def test_nothing_was_replaced(mirror: Mirror) -> None:
    assert mirror.refresh() == set()
    mirror.server.requests.clear()
    assert mirror.fetch() == ["kept", "kept"]
    assert mirror.server.requests == []


def test_replaced_image_is_named_and_fetched_again(mirror: Mirror, caplog: pytest.LogCaptureFixture) -> None:
    mirror.publish(IMAGE)
    assert mirror.refresh() == {BRICKS[0]}
    assert f"brick 1410m032 was replaced at the survey: {IMAGE}" in caplog.text
    assert mirror.fetch() == ["done", "kept"]
    new = paths.raw_file(mirror.cache, BRICKS[0], "image", "r").read_bytes()
    assert new == next(mirror.root.rglob(IMAGE)).read_bytes()
    assert mirror.refresh() == set()


def test_a_brick_of_another_region_is_asked_for_there(tmp_path: Path) -> None:
    root, cache, elsewhere = tmp_path / "mirror", tmp_path / "raw", {BRICKS[1]: "dr9/north"}
    survey = make_survey(root, BRICKS[:1], "gr", at="dr10/south")
    make_survey(root, BRICKS[1:], "gr", at="dr9/north", sums="none")
    fetch_bricks(BRICKS, "gr", survey, cache, QUICK, elsewhere)
    assert forget_replaced(BRICKS, "gr", survey, cache, QUICK, elsewhere) == set()
    image = next((root / "dr9/north").rglob("*image-r*"))
    os.utime(image, (1, 1))
    assert forget_replaced(BRICKS, "gr", survey, cache, QUICK, elsewhere) == {BRICKS[1]}


@pytest.mark.parametrize("headers", [("ETag",), ("Last-Modified",)])
def test_replaced_image_of_the_same_size(headers: tuple[str, ...], tmp_path: Path) -> None:
    mirror = Mirror(tmp_path, "none")
    mirror.server.headers = headers
    with mirror.server:
        mirror.fetch()
        image = next(mirror.root.rglob(IMAGE))
        image.write_bytes(image.read_bytes()[::-1])
        os.utime(image, (0, 0))
        assert mirror.refresh() == {BRICKS[0]}


def test_maskbits_that_came_later(tmp_path: Path) -> None:
    mirror = Mirror(tmp_path, "beside")
    with mirror.server:
        mirror.server.faults["legacysurvey-1410m032-maskbits.fits.fz"] = [Status(404)]
        mirror.fetch()
        assert mirror.refresh() == {BRICKS[0]}
        assert mirror.fetch() == ["done", "kept"]
        assert paths.raw_file(mirror.cache, BRICKS[0], "maskbits").exists()


@pytest.mark.parametrize("sums", ["beside", "none"])
def test_a_band_that_came_later(sums: str, tmp_path: Path) -> None:
    mirror = Mirror(tmp_path, sums)
    names = [IMAGE, IMAGE.replace("image", "invvar")]
    files = [next(mirror.root.rglob(name)) for name in names]
    with mirror.server:
        lists = {path: path.read_text() for path in mirror.root.rglob("*.sha256sum")}
        for path, text in lists.items():
            kept = [line for line in text.splitlines(True) if not any(name in line for name in names)]
            path.write_text("".join(kept))
        for file in files:
            file.rename(file.with_suffix(".later"))
        assert mirror.fetch() == ["done", "done"]
        assert mirror.refresh() == set()
        for file in files:
            file.with_suffix(".later").rename(file)
        for path, text in lists.items():
            path.write_text(text)
        assert mirror.refresh() == {BRICKS[0]}
        assert mirror.fetch() == ["done", "kept"]
        assert paths.raw_file(mirror.cache, BRICKS[0], "image", "r").exists()


def test_what_cannot_be_told_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    mirror = Mirror(tmp_path, "none")
    with mirror.server:
        mirror.fetch()
        next(mirror.root.rglob(IMAGE)).unlink()
        assert mirror.refresh() == set()
        assert f"{IMAGE}: no file at the survey (404)" in caplog.text
        assert paths.raw_file(mirror.cache, BRICKS[0], "image", "r").exists()


def test_server_that_does_not_answer_leaves_everything(mirror: Mirror) -> None:
    mirror.publish(IMAGE)
    url = mirror.survey.checksums(BRICKS[1])
    name = url.rsplit("/", 1)[-1]
    mirror.server.faults[name] = [Status(503)]
    mirror.server.for_ever.add(name)
    with pytest.raises(FetchError, match=r"brick 1412m032, checksums: the server answers 503 .*run the same"):
        mirror.refresh()
    mirror.server.requests.clear()
    assert mirror.fetch() == ["kept", "kept"]


def test_brick_that_was_never_fetched_is_passed_over(tmp_path: Path) -> None:
    mirror = Mirror(tmp_path, "beside")
    with mirror.server:
        assert mirror.refresh() == set()
        assert mirror.server.requests == []


def test_brick_that_was_at_fault_is_asked_for_anew(mirror: Mirror) -> None:
    mirror.publish(IMAGE)
    forget_fetched([BRICKS[0], "9999p000"], mirror.cache)
    mirror.server.requests.clear()
    assert mirror.fetch() == ["done", "kept"]
    asked = [
        r.path.rsplit("/", 1)[-1] for r in mirror.server.requests if r.status == 200 and r.method == "GET"
    ]
    assert IMAGE in asked
    if mirror.sums != "none":
        assert len(asked) == 2  # checksums, and what the survey has replaced
