"""One process at a time: a job and the orphan of a killed run must not both write the same files."""

from __future__ import annotations

import fcntl
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from skydenoise.io.atomic import remove_partials

logger = logging.getLogger(__name__)


@contextmanager
def only_one(path: Path) -> Iterator[None]:
    """Hold the lock file `path` while the block runs; wait, and say so, while another process holds it.

    A lock ends with its process, however that ends. On a file system without locks there is a warning.
    """
    stream = _locked(path)
    with stream:
        stream.truncate(0)
        stream.write(_this_process())
        stream.flush()
        try:
            yield
        finally:
            path.unlink(missing_ok=True)  # before the lock ends: who waits makes the file anew


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold `folder`, which is made if need be, and clear away what writers that died have left in it."""
    folder.mkdir(parents=True, exist_ok=True)
    with only_one(folder / ".lock"):
        remove_partials(folder)
        yield


def _locked(path: Path) -> TextIO:
    """The lock file, open and held."""
    while True:
        stream = path.open("a+", encoding="utf-8")
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            stream.seek(0)
            logger.warning("%s still writes the same files: waiting for its end", stream.read() or "a job")
            fcntl.flock(stream, fcntl.LOCK_EX)
        except OSError as error:
            logger.warning("%s: no lock on this file system (%s)", path, error.strerror)
        with suppress(FileNotFoundError):  # whoever ends removes the file, and others make it anew
            if os.path.samestat(os.fstat(stream.fileno()), path.stat()):
                return stream
        stream.close()


def _this_process() -> str:
    """Who holds a lock, and how to end it."""
    job = os.environ.get("SLURM_JOB_ID")
    end = f"scancel {job}" if job else f"kill {os.getpid()}"
    return f"process {os.getpid()} on {socket.gethostname()} (to end it: {end})"
