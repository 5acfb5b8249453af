"""What vouches for a file of the survey: sha256sum files of the survey, checksums in the file, its pixels."""

import logging
import math
import re
import threading
from collections.abc import Set
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path

import fitsio

from skydenoise import paths
from skydenoise.io.digest import file_digest
from skydenoise.io.fitsfile import image_hdu, read_survey_image
from skydenoise.io.verified import begins_as_fits, verify_fits
from skydenoise.survey.download import Downloader, RefusedError, TransferError, UnfitError

log = logging.getLogger(__name__)


def parse_checksums(content: bytes) -> dict[str, str]:
    """File name -> sha256 from a sha256sum file, its lines `hash  basename` or `hash *relative/path`.

    Raises UnfitError if a line is of neither form, or there is none.
    """
    sums = {}
    for line in content.decode(errors="replace").splitlines():
        if not line.strip():
            continue
        match = re.fullmatch(r"([0-9a-fA-F]{64}) [ *](.+)", line.rstrip())
        if not match:
            raise UnfitError(f"{line[:40]!r} is no line of a sha256sum file")
        sums[match[2].rsplit("/", 1)[-1]] = match[1].lower()
    if not sums:
        raise UnfitError("the sha256sum file is empty")
    return sums


def survey_checksums(
    downloader: Downloader, survey: paths.Survey, brick: str, wanted: Set[str]
) -> dict[str, str]:
    """File name -> sha256 that the survey has of a brick's files, from either place where releases keep them.

    The log names the `wanted` files that it has none of. Raises TransferError if a place could not be asked.
    """
    sums: dict[str, str] = {}
    reasons = []
    for url in (survey.checksums(brick), survey.pipeline_checksums(brick)):
        if wanted <= sums.keys():
            break
        try:
            sums = downloader.read(url, parse_checksums) | sums
        except (RefusedError, UnfitError) as error:
            reasons.append(f"{url.rsplit('/', 1)[-1]}: {error}")
        except TransferError as error:
            raise TransferError(f"brick {brick}, checksums: {error}") from error
    if missing := sorted(wanted - sums.keys()):
        log.warning(
            "brick %s: the survey has no checksum of %s (%s)", brick, ", ".join(missing), "; ".join(reasons)
        )
    return sums


class Unpacker:
    """A process that reads images for many threads: on damaged pixels, cfitsio can end its process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process = self._new()

    @staticmethod
    def _new() -> ProcessPoolExecutor:
        return ProcessPoolExecutor(1, get_context("spawn"))  # starts when it is first needed

    def __enter__(self) -> "Unpacker":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.shutdown()

    def check(self, path: Path, name: str) -> None:
        """Read every pixel of the image of that name in a file.

        Raises what `read_survey_image` raises, and UnfitError if cfitsio crashed.
        """
        with self._lock:
            try:
                self._process.submit(_read, path, name).result()
            except BrokenProcessPool:
                self._process = self._new()
                raise UnfitError("its packed pixels are damaged") from None


def _read(path: Path, name: str) -> None:
    read_survey_image(path, name)


def check_fits(path: Path, name: str, expected: str | None, largest_mb: float, unpacker: Unpacker) -> str:
    """Check that a file is the survey's, and a whole FITS file with a 2-D image in it.

    name : EXTNAME of the image, which is the first if none has it
    expected : the survey's sha256 of it; None where there is none: then checksums in the file must hold.
        If it has none, or they contradict the survey's, its pixels must be readable
    largest_mb : that its pixels may take
    unpacker : reads the pixels, if they must be

    Returns whose checksum says that it is right: "survey", "file" (FITS checksums in it), or "" if nobody's.
    Raises UnfitError if it is not, and OSError if there is no such file, or it cannot be read.
    """
    if expected and (found := file_digest(path)) != expected:
        raise UnfitError(f"sha256 {found[:12]}... is not the survey's {expected[:12]}...")
    vouched = _intact(path, published=expected is not None)
    try:
        with fitsio.FITS(str(path)) as file:
            axes = image_hdu(file, name).get_info().get("dims", [])
        if len(axes) != 2:
            raise UnfitError(f"the image has {len(axes)} axes, not 2")
        if (megabytes := 4e-6 * math.prod(axes)) > largest_mb:
            raise UnfitError(
                f"{megabytes:.0f} MB of pixels are more than survey.largest_file: {largest_mb:g}"
            )
        if vouched is None or not (expected or vouched):
            unpacker.check(path, name)
    except UnfitError:
        raise
    except Exception as error:  # readers meet damaged bytes with errors of every kind
        raise UnfitError(" ".join(str(error).split())) from error
    return "survey" if expected else "file" if vouched else ""


def _intact(path: Path, published: bool) -> bool | None:
    """Whether FITS checksums in the file vouch for it; None if a `published` file contradicts them."""
    try:
        return verify_fits(path)
    except OSError as error:
        if error.errno:
            raise
        if not published or not begins_as_fits(path):
            raise UnfitError(str(error)) from error
        log.warning("%s is as the survey has it, but %s", path.name, error)
        return None
