"""A real web server on 127.0.0.1 that serves a folder in the survey's layout, and misbehaves on request."""

import hashlib
import re
import threading
from collections import defaultdict
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import unquote, urlsplit

import fitsio
import numpy as np

from skydenoise import paths


@dataclass(frozen=True)
class Status:
    """Answer with this state instead of the file."""

    code: int
    retry_after: int | None = None


@dataclass(frozen=True)
class BreakOff:
    """Announce the whole body, send so many bytes of it, and hang up."""

    after: int


@dataclass(frozen=True)
class Stall:
    """Send so many bytes of the body, then nothing until the server stops."""

    after: int


@dataclass(frozen=True)
class WrongBytes:
    """Send a body of the right length with wrong bytes in it."""


Fault = Status | BreakOff | Stall | WrongBytes


@dataclass(frozen=True)
class Request:
    """What was asked and answered."""

    path: str
    range: str
    status: int
    body_bytes: int


class SurveyServer(ThreadingHTTPServer):
    """Serves `root`; use it as a context manager.

    faults : file name -> faults of its next requests, in order
    for_ever : names of files whose last fault stays
    requests : every request so far
    most_at_once : greatest number of requests in progress at one time
    supports_range : whether Range is honoured
    """

    daemon_threads = True

    def __init__(self, root: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.root = root
        self.faults: dict[str, list[Fault]] = defaultdict(list)
        self.for_ever: set[str] = set()
        self.requests: list[Request] = []
        self.supports_range = True
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

    def _answer(self) -> None:
        self.server.stopping.wait(self.server.pause_s)
        path = self.server.root / unquote(urlsplit(self.path).path).lstrip("/")
        fault = self.server.next_fault(path.name)
        if isinstance(fault, Status):
            self._state(fault.code, fault.retry_after)
            return
        if not path.is_file():
            self._state(404, None)
            return
        body = path.read_bytes()
        etag = f'"{hashlib.md5(body).hexdigest()}"'
        if isinstance(fault, WrongBytes):
            body = body[:-64] + bytes(64)[::-1].replace(b"\0", b"\x55")
        start, status = self._start(etag, len(body))
        if status == 416:
            self._state(416, None, span=f"bytes */{len(body)}")
            return
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) - start))
        self.send_header("ETag", etag)
        if status == 206:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        self.end_headers()
        self._send(body[start:], status, fault)

    def _start(self, etag: str, length: int) -> tuple[int, int]:
        """First byte to send, and the state that says so."""
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        current = self.headers.get("If-Range", etag) == etag
        if not (wanted and current and self.server.supports_range):
            return 0, 200
        start = int(wanted[1])
        return (start, 206) if start < length else (0, 416)

    def _state(self, code: int, retry_after: int | None, span: str = "") -> None:
        self._note(code, 0)
        self.send_response(code)
        self.send_header("Content-Length", "0")
        if span:
            self.send_header("Content-Range", span)
        if retry_after is not None:
            self.send_header("Retry-After", str(retry_after))
        self.end_headers()

    def _send(self, body: bytes, status: int, fault: Fault | None) -> None:
        short = isinstance(fault, BreakOff | Stall)
        body = body[: fault.after] if isinstance(fault, BreakOff | Stall) else body
        self._note(status, len(body))
        self.wfile.write(body)
        self.wfile.flush()
        if isinstance(fault, Stall):
            self.server.stopping.wait()
        self.close_connection = self.close_connection or short

    def _note(self, status: int, body_bytes: int) -> None:
        self.server.requests.append(Request(self.path, self.headers.get("Range", ""), status, body_bytes))


def make_survey(
    root: Path, bricks: tuple[str, ...], bands: str = "grz", *, relative_sums: bool = False, size: int = 150
) -> paths.Survey:
    """Write bricks of noise in the survey's layout under `root`; returns the survey as a mirror on disk.

    relative_sums : write lines `hash *relative/path` instead of `hash  basename`
    """
    survey = paths.Survey(root.as_uri(), "dr9", "south")
    generator = np.random.default_rng(1)
    for brick in bricks:
        folder = root / survey.folder(brick).removeprefix(survey.url + "/")
        folder.mkdir(parents=True)
        for band in bands:
            image = generator.normal(0, 0.01, (size, size)).astype(np.float32)
            _write(folder / paths.raw_file(folder, brick, "image", band).name, image)
            _write(folder / paths.raw_file(folder, brick, "invvar", band).name, np.full_like(image, 1e4))
        _write(folder / paths.raw_file(folder, brick, "maskbits").name, np.zeros((size, size), np.int16))
        lines = []
        for path in sorted(folder.iterdir()):
            name = f" *south/coadd/{brick[:3]}/{brick}/{path.name}" if relative_sums else f"  {path.name}"
            lines.append(hashlib.sha256(path.read_bytes()).hexdigest() + name + "\n")
        (folder / survey.checksums(brick).rsplit("/", 1)[-1]).write_text("".join(lines))
    return survey


def _write(path: Path, data: np.ndarray) -> None:
    with fitsio.FITS(str(path), "rw") as file:
        file.write(None)
        file.write(data, compress="RICE", tile_dims=(50, 50), qlevel=-1e-4, qmethod="SUBTRACTIVE_DITHER_2")
