"""Aladin Lite, which shows the sky: fetched from the npm registry, verified. It is GPL, so no part of us."""

import base64
import hashlib
import io
import logging
import tarfile
from pathlib import Path

import requests

from skydenoise.errors import StepError
from skydenoise.io.atomic import atomic_path

log = logging.getLogger(__name__)

ADDRESS = "https://registry.npmjs.org/aladin-lite/-/aladin-lite-3.8.2.tgz"
INTEGRITY = "sha512-/VGtxSWZ4StdKgwjmzqNkUY/3iTaBZJ5F6bN+nAfcK1NEATcAb2CYJX4U8FElpwYMgKrypYQV5KniRzhVbH+nA=="
"""Of the archive, as the registry gives it."""
MEMBERS = {"package/dist/aladin.js": "aladin.js", "package/COPYING": "aladin-licence.txt"}


def fetch_viewer(folder: Path, timeout: float) -> None:
    """Put the viewer and its licence into `folder`; timeout : seconds without a byte.

    Raises StepError if it cannot be fetched, or is not what the registry had when this version was made.
    """
    script = folder / "aladin.js"
    try:
        answer = requests.get(ADDRESS, timeout=timeout)
        answer.raise_for_status()
    except requests.RequestException as error:
        remedy = f"without a network, take package/dist/aladin.js from {ADDRESS} and put it at {script}"
        raise StepError(f"sky: the viewer cannot be fetched: {error} ({remedy})") from None
    check_integrity(answer.content)
    with tarfile.open(fileobj=io.BytesIO(answer.content)) as archive:
        for member, name in MEMBERS.items():
            stream = archive.extractfile(member)
            assert stream is not None  # the digest vouches for it
            with atomic_path(folder / name) as partial:
                partial.write_bytes(stream.read())
    log.info("%s: %d bytes, verified", ADDRESS, len(answer.content))


def check_integrity(archive: bytes) -> None:
    """Raise StepError unless this is the archive that INTEGRITY was made of."""
    found = "sha512-" + base64.b64encode(hashlib.sha512(archive).digest()).decode()
    if found != INTEGRITY:
        raise StepError(
            f"sky: {ADDRESS} has the digest {found}, not {INTEGRITY}: do not use it, and ask its makers"
        )
