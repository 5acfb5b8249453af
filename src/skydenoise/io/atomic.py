"""Files that are complete under their own name or not there at all."""

import json
import os
import re
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

HOST = os.uname().nodename.split(".")[0]
OWNER = re.compile(r"\.(.+)-([0-9]+)-[0-9a-f]{12}\.partial\.")
"""Host and process that write a temporary file, in its name."""
A_DAY = 86400.0


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary sibling of `path`; rename it onto `path` if the block succeeds, else remove it.

    The temporary name is random and keeps the suffixes, because FITS writers choose by suffix.
    Two processes that write the same file do not disturb each other: the last rename wins, whole.
    What writers that died have left in the folder is removed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_partials(path.parent, dead=True)
    partial = path.with_name(f".{HOST}-{os.getpid()}-{uuid.uuid4().hex[:12]}.partial.{path.name}")
    try:
        yield partial
        with partial.open("rb") as stream:
            os.fsync(stream.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def remove_partials(folder: Path, *, dead: bool = False) -> None:
    """Remove what writers that died have left in `folder`; nobody may be writing there (io.lock).

    dead : only what is known to be of the dead: a process of this host that is gone, or of any if the file
        has not changed for a day
    """
    for partial in folder.glob(".*.partial.*"):
        if not dead or _is_dead(partial):
            partial.unlink(missing_ok=True)


def _is_dead(partial: Path) -> bool:
    """Whether the writer of a temporary file is gone."""
    owner = OWNER.match(partial.name)
    if owner and owner[1] == HOST:
        return not psutil.pid_exists(int(owner[2]))
    with suppress(FileNotFoundError):
        return time.time() - partial.stat().st_mtime > A_DAY
    return False


def write_text(path: Path, text: str) -> None:
    """Write `text` (UTF-8) to `path` in one step."""
    with atomic_path(path) as partial:
        partial.write_text(text, encoding="utf-8")


def write_json(path: Path, content: Any) -> None:
    """Write `content` as indented JSON to `path` in one step; NaN and infinities are refused."""
    write_text(path, json.dumps(content, indent=2, allow_nan=False) + "\n")
