"""One address to one file: whole, checked and under its own name, or not there."""

import logging
import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from email.utils import formatdate
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, TypeVar
from urllib.parse import urlsplit
from urllib.request import url2pathname

import requests
import urllib3
from requests.adapters import BaseAdapter, HTTPAdapter

from skydenoise.config import FetchSettings
from skydenoise.io.atomic import atomic_path
from skydenoise.paths import LOGIN_REMEDY, public_url

log = logging.getLogger(__name__)

T = TypeVar("T")

BLOCK = 1 << 16
"""Most bytes per read."""

SMALL_MB = 1.0
"""Most of a file that is read into memory."""

BUSY = (408, 425, 429, 500, 502, 503, 504)
"""HTTP states that another try may cure."""


class RefusedError(Exception):
    """The address gives no such file, and asking again will not help."""


class MissingError(RefusedError):
    """There is no such file (404)."""


class UnfitError(Exception):
    """All bytes came, but they are wrong: raised by checks."""


class TransferError(Exception):
    """The transfer broke; another try, or another run, may succeed."""


class Downloader:
    """Fetches files; may be used from as many threads as the settings allow connections.

    Proxies and logins are those of the environment and of ~/.netrc, as `requests` finds them.

    stop : set from outside, it ends every transfer at its next block
    """

    def __init__(self, settings: FetchSettings) -> None:
        self.settings = settings
        self.stop = threading.Event()
        self._free_at = 0.0  # of time.monotonic(), until which the server wants to be left alone
        self._session = requests.Session()
        self._session.headers["Accept-Encoding"] = "identity"  # the bytes that checksums are about
        name, colon, password = os.environ.get("SKYDENOISE_LOGIN", "").partition(":")
        self._session.auth = (name, password) if colon else None
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, HTTPAdapter(pool_maxsize=settings.connections))
        self._session.mount("file://", _DiskAdapter())

    def __enter__(self) -> "Downloader":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self._session.close()

    def fetch(self, url: str, target: Path, check: Callable[[Path], T]) -> tuple[T, str]:
        """Put the file at `url` under `target`; return what `check` says of it, and its version.

        Where `check` returns an empty answer, nothing vouches for the bytes: then at least the file must not
        have changed at the survey while it came.

        Raises
        ------
        RefusedError : there is no such file (MissingError), it is too large, or the server will not give it
        UnfitError : the bytes failed `check` each time
        TransferError : the transfer broke each time
        OSError : the file cannot be written here
        """

        def once() -> tuple[T, str]:
            with atomic_path(target) as partial:
                with partial.open("wb") as stream:
                    version = self._copy(url, stream, self.settings.largest_file)
                answer = check(partial)
                with suppress(RefusedError):  # a server that does not know HEAD
                    if not answer and self._version(url) != version:
                        raise TransferError("the file changed at the survey while it came")
            return answer, version

        return self._persist(url, once)

    def read(self, url: str, parse: Callable[[bytes], T]) -> T:
        """What `parse` makes of a small file; raises what `fetch` raises."""

        def once() -> T:
            content = BytesIO()
            self._copy(url, content, SMALL_MB)
            return parse(content.getvalue())

        return self._persist(url, once)

    def version(self, url: str) -> str:
        """Size and date of a file, or size and ETag; raises what `fetch` raises."""
        return self._persist(url, lambda: self._version(url))

    def _persist(self, url: str, once: Callable[[], T]) -> T:
        """Do `once` until it succeeds, with pauses; of a mirror on disk only one time."""
        tries = 1 if url.startswith("file:") else self.settings.retries + 1
        for number in range(tries):
            self._wait(self.settings.backoff * 2 ** (number - 1) if number else 0)
            try:
                return once()
            except (TransferError, UnfitError) as error:
                failure = error
            except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
                failure = TransferError(_brief(error))
            log.info("%s: %s (try %d of %d)", public_url(url), failure, number + 1, tries)
        raise type(failure)(f"{failure} ({tries} tries)" if tries > 1 else str(failure)) from failure

    def _wait(self, backoff: float) -> None:
        """Wait so many seconds, or as long as the server asks; raises TransferError if told to stop."""
        asked, longest = self._free_at - time.monotonic(), self.settings.longest_wait
        if asked > longest:
            raise TransferError(f"the server asks to wait {asked:.0f} s, survey.longest_wait is {longest:g}")
        if asked > 0:
            log.info("waiting for %.0f s, as the server asks", asked)
        if self.stop.wait(max(min(backoff, longest), asked, 0)):
            raise TransferError("stopped")

    def _copy(self, url: str, sink: BinaryIO, most: float) -> str:
        """Copy the file at `url`, of at most so many MB, into `sink`; return its version."""
        got, before, since = 0, 0, time.monotonic()
        with self._open("GET", url) as answer:
            announced = answer.raw.length_remaining or 0
            while block := answer.raw.read1(BLOCK, decode_content=False):
                got += len(block)
                if max(got, announced) > most * 1e6:
                    raise RefusedError(
                        f"{max(got, announced)} bytes are more than survey.largest_file: {most:g} MB"
                    )
                if self.stop.is_set():
                    raise TransferError("stopped")
                if (passed := time.monotonic() - since) > self.settings.timeout:
                    if got - before < self.settings.least_rate * 1e3 * passed:
                        raise TransferError(f"stalled: {(got - before) / passed:.0f} bytes a second")
                    before, since = got, time.monotonic()
                sink.write(block)
            return _version(answer)

    def _version(self, url: str) -> str:
        with self._open("HEAD", url) as answer:
            return _version(answer)

    @contextmanager
    def _open(self, method: str, url: str) -> Iterator[requests.Response]:
        """Answer of the server, its body not yet read; raises RefusedError or TransferError for others."""
        timeout = self.settings.timeout
        with self._session.request(
            method, url, stream=True, allow_redirects=True, timeout=(timeout, timeout)
        ) as answer:
            status = answer.status_code
            if answer.history and (answer.url or "").startswith("file:"):
                raise RefusedError("the server points to a file of this machine")
            if status in BUSY:
                self._free_at = max(self._free_at, time.monotonic() + _retry_after(answer))
                raise TransferError(f"the server answers {status}")
            if status in (404, 410):
                raise MissingError(f"no file at the survey ({status})")
            if status != 200:
                login = f" ({LOGIN_REMEDY})" if status in (401, 403) else ""
                raise RefusedError(f"the server answers {status}{login}")
            yield answer


class _DiskAdapter(BaseAdapter):
    """Answers for file:// addresses, so that a mirror on disk is read as a server is."""

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        answer = requests.Response()
        answer.url = request.url or ""
        answer.raw = urllib3.HTTPResponse(preload_content=False)
        try:
            stream = Path(url2pathname(urlsplit(request.url or "").path)).open("rb")  # noqa: SIM115
        except FileNotFoundError:
            answer.status_code = 404
        except OSError as error:
            raise requests.ConnectionError(error) from error
        else:
            state = os.fstat(stream.fileno())
            answer.headers["Content-Length"] = str(state.st_size)
            answer.headers["Last-Modified"] = formatdate(state.st_mtime, usegmt=True)
            answer.raw = urllib3.HTTPResponse(stream, answer.headers, preload_content=False)
            answer.status_code = 200
        return answer

    def close(self) -> None:
        """Nothing is kept open."""


def _version(answer: requests.Response) -> str:
    """Size, and date or else ETag; never empty."""
    date = answer.headers.get("Last-Modified") or answer.headers.get("ETag", "undated")
    return " ".join(f"{answer.headers.get('Content-Length', '')} {date}".split())


def _retry_after(answer: requests.Response) -> float:
    """Seconds that the server wants to be left alone; 0 if it does not say, or says nonsense."""
    try:
        return urllib3.Retry().get_retry_after(answer.raw) or 0.0
    except urllib3.exceptions.InvalidHeader:
        return 0.0


def _brief(error: Exception) -> str:
    """What went wrong on the wire, in a few words."""
    text = str(error)
    if "timed out" in text:
        return "no bytes within the time limit (stalled)"
    if "IncompleteRead" in text:
        return "the connection broke off in the middle of the file"
    refused = re.search(r"\[Errno -?\d+\] [^'\")]+", text)
    brief = refused[0] if refused else " ".join(text.split())[-200:]
    return re.sub(r"\?[^\s'\")]+", "?...", brief)  # a query may hold a login
