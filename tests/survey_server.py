"""A real web server on 127.0.0.1 that serves a folder in the survey's layout, and misbehaves on request."""

import base64
import hashlib
import os
import threading
from collections import defaultdict
from dataclasses import dataclass
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import unquote, urlsplit

import fitsio
import numpy as np

from skydenoise import paths
from skydenoise.config import FetchSettings

BRICKS = ("1410m032", "1412m032")
IMAGE = "legacysurvey-1410m032-image-r.fits.fz"
SUMS = "legacysurvey_dr9_south_coadd_141_1410m032.sha256sum"
QUICK = FetchSettings(connections=4, retries=2, timeout=5, backoff=0.01)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.rglob("*.fz")}


def leftovers(folder: Path) -> list[Path]:
    """Temporary files, and locks."""
    return list(folder.rglob(".*"))


@dataclass(frozen=True)
class Status:
    """Answer with this state instead of the file."""

    code: int
    retry_after: int | None = None
    location: str = ""


@dataclass(frozen=True)
class BreakOff:
    """Announce the whole body, send so many bytes of it, and hang up."""

    after: int


@dataclass(frozen=True)
class Stall:
    """Send so many bytes of the body, then nothing until the server stops."""

    after: int


@dataclass(frozen=True)
class Drip:
    """Send the body byte by byte, with so many seconds between two."""

    every_s: float


@dataclass(frozen=True)
class WrongBytes:
    """Send a body of the right length with wrong bytes in it."""


@dataclass(frozen=True)
class Replaced:
    """The file is replaced while it is sent: the first half of the old one comes, then that of `new`."""

    new: bytes


Fault = Status | BreakOff | Stall | Drip | WrongBytes | Replaced


@dataclass(frozen=True)
class Request:
    """What was asked and answered."""

    path: str
    status: int
    body_bytes: int
    method: str = "GET"


class SurveyServer(ThreadingHTTPServer):
    """Serves `root`; use it as a context manager.

    faults : file name -> faults of its next requests, in order
    for_ever : names of files whose last fault stays
    requests : every request so far
    most_at_once : greatest number of requests in progress at one time
    login : "name:password" without which nothing is given, if not empty
    headers : of every answer with a file, beside those that HTTP needs
    """

    daemon_threads = True

    def __init__(self, root: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.root = root
        self.faults: dict[str, list[Fault]] = defaultdict(list)
        self.for_ever: set[str] = set()
        self.requests: list[Request] = []
        self.login = ""
        self.headers: tuple[str, ...] = ("Last-Modified", "ETag")
        self.pause_s = 0.0
        self.most_at_once = 0
        self.stopping = threading.Event()
        self._lock = threading.Lock()
        self._now = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def asked(self, name: str) -> list[Request]:
        """Requests for one file."""
        return [request for request in self.requests if request.path.endswith("/" + name)]

    def next_fault(self, name: str) -> Fault | None:
        with self._lock:
            queue = self.faults[name]
            if not queue:
                return None
            return queue[0] if name in self.for_ever and len(queue) == 1 else queue.pop(0)

    def count(self, step: int) -> None:
        with self._lock:
            self._now += step
            self.most_at_once = max(self.most_at_once, self._now)

    def __enter__(self) -> "SurveyServer":
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stopping.set()
        self.shutdown()
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: SurveyServer

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        self.server.count(1)
        try:
            self._answer()
        finally:
            self.server.count(-1)

    do_HEAD = do_GET  # noqa: N815

    def _answer(self) -> None:
        self.server.stopping.wait(self.server.pause_s)
        path = self.server.root / unquote(urlsplit(self.path).path).lstrip("/")
        login = base64.b64encode(self.server.login.encode()).decode()
        if login and self.headers.get("Authorization") != f"Basic {login}":
            self._state(401, None)
            return
        fault = self.server.next_fault(path.name) if self.command == "GET" else None
        if isinstance(fault, Status):
            self._state(fault.code, fault.retry_after, fault.location)
            return
        if not path.is_file():
            self._state(404, None)
            return
        body = path.read_bytes()
        if isinstance(fault, WrongBytes):
            body = body[:-64] + bytes(64)[::-1].replace(b"\0", b"\x55")
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        told = {
            "Last-Modified": formatdate(path.stat().st_mtime, usegmt=True),
            "ETag": f'"{hashlib.md5(body).hexdigest()}"',
        }
        for name in self.server.headers:
            self.send_header(name, told[name])
        self.end_headers()
        if self.command == "HEAD":
            self._note(200, 0)
        else:
            self._send(path, body, fault)

    def _state(self, code: int, retry_after: int | None, location: str = "") -> None:
        self._note(code, 0)
        self.send_response(code)
        self.send_header("Content-Length", "0")
        if retry_after is not None:
            self.send_header("Retry-After", str(retry_after))
        if location:
            self.send_header("Location", location)
        self.end_headers()

    def _send(self, path: Path, body: bytes, fault: Fault | None) -> None:
        if isinstance(fault, BreakOff | Stall):
            body = body[: fault.after]
            self.close_connection = True
        if isinstance(fault, Replaced):
            assert len(fault.new) == len(body)
            os.utime(replace(path, fault.new), (0, 0))
            body = body[: len(body) // 2] + fault.new[len(body) // 2 :]
        self._note(200, len(body))
        if isinstance(fault, Drip):
            for index in range(len(body)):
                self.wfile.write(body[index : index + 1])
                self.server.stopping.wait(fault.every_s)
            return
        self.wfile.write(body)
        self.wfile.flush()
        if isinstance(fault, Stall):
            self.server.stopping.wait()

    def _note(self, status: int, body_bytes: int) -> None:
        self.server.requests.append(Request(self.path, status, body_bytes, self.command))


def replace(path: Path, content: bytes) -> Path:
    """Put another file in the place of `path`, which other tests may hold by a link."""
    path.unlink()
    path.write_bytes(content)
    return path


def make_survey(
    root: Path,
    bricks: tuple[str, ...],
    bands: str = "grz",
    *,
    sums: str = "beside",
    fits_sums: bool = False,
    size: int = 150,
    at: str = "dr9/south",
    seed: int = 1,
) -> paths.Survey:
    """Write bricks of noise in the survey's layout under `root`; returns the survey as a mirror on disk.

    sums : "beside" the coadds with lines `hash  basename`, "relative" there with `hash *relative/path`, as
        "pipeline" writes them in the folder of catalogues, or "none"
    fits_sums : whether files hold CHECKSUM and DATASUM
    """
    survey = paths.Survey(root.as_uri(), "dr9", "south").at(at)
    generator = np.random.default_rng(seed)
    for brick in bricks:
        folder = place(root, survey, survey.folder(brick))
        folder.mkdir(parents=True)
        for kind, band in paths.raw_kinds(bands):
            pixels = {
                "image": generator.normal(0, 0.01, (size, size)).astype(np.float32),
                "invvar": np.full((size, size), 1e4, np.float32),
                "maskbits": np.zeros((size, size), np.int16),
            }[kind]
            _write(folder / paths.raw_file(folder, brick, kind, band).name, pixels, fits_sums)
        lines = []
        for path in sorted(folder.iterdir()):
            relative = f" *{path.relative_to(root / at)}"
            name = f"  {path.name}" if sums == "beside" else relative
            lines.append(hashlib.sha256(path.read_bytes()).hexdigest() + name + "\n")
        url = survey.pipeline_checksums(brick) if sums == "pipeline" else survey.checksums(brick)
        if sums != "none":
            place(root, survey, url).parent.mkdir(parents=True, exist_ok=True)
            place(root, survey, url).write_text("".join(lines))
    return survey


def place(root: Path, survey: paths.Survey, url: str) -> Path:
    """Where a file of the survey lies under `root`."""
    return root / url.removeprefix(survey.url + "/")


def _write(path: Path, data: np.ndarray, fits_sums: bool) -> None:
    with fitsio.FITS(str(path), "rw") as file:
        file.write(None)
        file.write(data, compress="RICE", tile_dims=(50, 50), qlevel=-1e-4, qmethod="SUBTRACTIVE_DITHER_2")
        for hdu in file if fits_sums else ():
            hdu.write_checksum()
