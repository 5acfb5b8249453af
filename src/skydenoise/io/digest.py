"""Digests of files: whether two of them hold the same bytes."""

import hashlib
from collections.abc import Iterable
from pathlib import Path


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes, as `sha256sum` writes it; raises OSError if it cannot be read."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def joint_digest(digests: Iterable[str]) -> str:
    """SHA-256 of the digests of several files, one after the other."""
    return hashlib.sha256("".join(digests).encode()).hexdigest()
