"""One address to one file: resumed, retried, checked, and whole under its own name or not there."""

import fcntl
import logging
import os
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit
from urllib.request import url2pathname

import requests
import urllib3
from requests.adapters import HTTPAdapter

from skydenoise.errors import SettingsError

log = logging.getLogger(__name__)

BLOCK = 1 << 16
"""Bytes per read; at most so many are lost when a connection breaks."""

BUSY = (429, 500, 502, 503, 504)
"""HTTP states that another try may cure."""


@dataclass(frozen=True)
class FetchSettings:
    """How files are fetched.

    connections : files in transfer at once
    retries : further tries after the first, for each file
    timeout_s : a transfer without a byte for so many seconds has stalled
    backoff_s : pause before the second try in seconds; it doubles with each further one
    """

    connections: int = 8
    retries: int = 5
    timeout_s: float = 60.0
    backoff_s: float = 1.0

    def __post_init__(self) -> None:
        for key, least in (("connections", 1), ("retries", 0)):
            if getattr(self, key) < least:
                raise SettingsError(f"survey.{key}: {getattr(self, key)} is below {least}")
        if not self.timeout_s > 0:
            raise SettingsError(f"survey.timeout: {self.timeout_s} is not above 0")
        if not self.backoff_s >= 0:
            raise SettingsError(f"backoff_s: {self.backoff_s} is below 0")


class RefusedError(Exception):
    """The address gives no such file, and asking again will not help."""


class MissingError(RefusedError):
    """There is no such file (404)."""


class UnfitError(Exception):
    """All bytes came, but they are wrong: raised by checks."""


class BrokenTransferError(Exception):
    """The transfer broke; another try may succeed."""


class UnreachableError(BrokenTransferError):
    """No answer, although urllib3 has tried again and waited."""


class CancelledError(Exception):
    """The downloader was told to stop."""


def check_url(url: str) -> str:
    """Return `url` if it is https://, http:// or an absolute file:///; raises SettingsError otherwise."""
    parts = urlsplit(url)
    local = parts.scheme == "file" and parts.netloc in ("", "localhost") and parts.path.startswith("/")
    if not local and not (parts.scheme in ("http", "https") and parts.netloc):
        raise SettingsError(f"survey.url: {url!r} is not https://..., http://... or file:///...")
    return url


class Downloader:
    """Fetches files; may be used from as many threads as the settings allow connections.

    settings : see FetchSettings
    stop : set from outside, it ends every transfer at its next block
    """

    def __init__(self, settings: FetchSettings) -> None:
        self.settings = settings
        self.stop = threading.Event()
        retry = urllib3.Retry(
            total=settings.retries,
            backoff_factor=settings.backoff_s,
            status_forcelist=BUSY,
            allowed_methods={"GET"},
            raise_on_status=False,
        )
        adapter = HTTPAdapter(pool_maxsize=settings.connections, max_retries=retry)
        self._session = requests.Session()
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, adapter)

    def __enter__(self) -> "Downloader":
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def fetch(self, url: str, target: Path, check: Callable[[Path], None]) -> bool:
        """Make sure that `target` holds the file at `url` and passes `check`; return whether it was fetched.

        A file that is there and passes is left alone. The bytes grow in `<target>.part`, where a later call
        goes on; a lock on it keeps two processes that share a cache from writing the same file.

        Raises
        ------
        RefusedError : there is no such file (MissingError), or the server will not give it
        UnfitError : the bytes failed `check` each time
        BrokenTransferError : the transfer broke each time; what came is kept
        OSError : the file cannot be written here
        """
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(target.name + ".part")
        with _locked(part) as stream:
            try:
                if _passes(target, check):
                    stream.truncate(0)
                    return False
                self._complete(url, part, stream, check)
                os.fsync(stream.fileno())
                part.replace(target)
            finally:
                if part.exists() and part.stat().st_size == 0:
                    part.unlink()
        return True

    def _complete(self, url: str, part: Path, stream: BinaryIO, check: Callable[[Path], None]) -> None:
        """Try until `part` is whole and passes `check`."""
        transfer = _Transfer(url, stream, self)
        resumed = stream.seek(0, os.SEEK_END) > 0  # bytes of an earlier run may be stale: they cost no try
        again = 0 if url.startswith("file:") else self.settings.retries  # a disk gives the same bytes again
        tries = again + 1 + resumed
        failure: UnfitError | BrokenTransferError | None = None
        for attempt in range(tries):
            if attempt and self.stop.wait(self.settings.backoff_s * 2 ** (attempt - 1)):
                raise CancelledError
            try:
                transfer.run()
                stream.flush()
                check(part)
                return
            except UnreachableError:
                raise
            except BrokenTransferError as error:
                failure = error
            except UnfitError as error:
                failure = error
                stream.truncate(0)
            log.info("%s: %s; try %d of %d", url, failure, attempt + 1, tries)
        assert failure is not None
        raise type(failure)(f"{failure} ({tries} tries)")

    def open(self, url: str, headers: dict[str, str]) -> requests.Response:
        """Answer to a GET, its body not yet read; raises UnreachableError."""
        timeout = self.settings.timeout_s
        try:
            return self._session.get(url, headers=headers, stream=True, timeout=(timeout, timeout))
        except requests.RequestException as error:
            raise UnreachableError(_brief(error)) from error


class _Transfer:
    """Brings what is still missing of one address into one open file."""

    def __init__(self, url: str, stream: BinaryIO, downloader: Downloader) -> None:
        self._url, self._stream, self._downloader = url, stream, downloader
        self._validator = ""  # ETag or date of the version that the first bytes came from

    def run(self) -> None:
        """Append the missing bytes; raises RefusedError or BrokenTransferError."""
        if urlsplit(self._url).scheme == "file":
            self._copy()
            return
        have = self._stream.seek(0, os.SEEK_END)
        headers = {"Accept-Encoding": "identity"}  # the bytes of the file, which the checksums are about
        if have:
            headers["Range"] = f"bytes={have}-"
            if self._validator:
                headers["If-Range"] = self._validator
        with self._downloader.open(self._url, headers) as response:
            if self._continues(response, have):
                self._append(response)

    def _continues(self, response: requests.Response, have: int) -> bool:
        """Whether the body has to be appended; drops the old bytes if the server starts anew."""
        status, span = response.status_code, response.headers.get("Content-Range", "")
        if status == 206 and re.match(rf"bytes {have}-", span):
            return True
        if status == 416 and re.fullmatch(rf"bytes \*/{have}", span):
            return False  # nothing is missing
        if status in (200, 206, 416):
            if have:
                self._stream.truncate(0)
            if status != 200:
                raise BrokenTransferError(f"the server gave another part ({span}) than the one asked for")
            etag = response.headers.get("ETag", "")
            weak = etag.startswith("W/")  # may not be used in If-Range (RFC 9110, section 13.1.5)
            self._validator = etag if etag and not weak else response.headers.get("Last-Modified", "")
            return True
        if status in (404, 410):
            raise MissingError(f"no file at the survey ({status})")
        if status in BUSY:
            raise UnreachableError(f"the server answers {status}")
        raise RefusedError(f"the server answers {status}")

    def _append(self, response: requests.Response) -> None:
        blocks = response.raw.stream(BLOCK, decode_content=False)
        while block := self._next_block(blocks):
            self._stream.write(block)

    def _next_block(self, blocks: Iterator[bytes]) -> bytes:
        if self._downloader.stop.is_set():
            raise CancelledError
        try:
            return next(blocks, b"")
        except (urllib3.exceptions.HTTPError, requests.RequestException, OSError) as error:
            raise BrokenTransferError(_brief(error)) from error

    def _copy(self) -> None:
        """Copy a mirror's file from its start."""
        path = Path(url2pathname(urlsplit(self._url).path))
        self._stream.truncate(0)
        try:
            source = path.open("rb")
        except FileNotFoundError as error:
            raise MissingError("no file at the mirror") from error
        except OSError as error:
            raise RefusedError(f"the mirror's file cannot be read: {error.strerror}") from error
        with source:
            blocks = iter(lambda: source.read(BLOCK), b"")
            while block := self._next_block(blocks):
                self._stream.write(block)


def _brief(error: Exception) -> str:
    """What went wrong on the wire, in a few words."""
    text = str(error)
    if isinstance(error, requests.Timeout) or "timed out" in text:
        return "no bytes within the time limit (stalled)"
    if "IncompleteRead" in text:
        return "the connection broke off in the middle of the file"
    if refused := re.search(r"\[Errno -?\d+\] [^'\")]+", text):
        return refused[0]
    return " ".join(text.split())[-200:]


def _passes(path: Path, check: Callable[[Path], None]) -> bool:
    try:
        check(path)
    except (UnfitError, FileNotFoundError):
        return False
    return True


@contextmanager
def _locked(part: Path) -> Iterator[BinaryIO]:
    """Open `part` for appending, alone; waits while another process holds it."""
    while True:
        stream = part.open("ab")
        with suppress(OSError):  # a file system without locks: checks and the final rename still hold
            fcntl.flock(stream, fcntl.LOCK_EX)
        if part.exists() and os.path.samestat(os.fstat(stream.fileno()), part.stat()):
            break
        stream.close()  # the other process has finished and renamed it
    with stream:
        yield stream
