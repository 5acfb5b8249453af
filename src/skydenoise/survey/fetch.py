"""Bring the survey's bricks into the cache: many files at once, verified, reported by brick and file."""

import json
import logging
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from tqdm import tqdm

from skydenoise import paths
from skydenoise.errors import SettingsError, StepError
from skydenoise.io.atomic import write_json, write_text
from skydenoise.io.digest import file_digest, joint_digest
from skydenoise.io.manifest import Entry
from skydenoise.survey.download import (
    BrokenTransferError,
    CancelledError,
    Downloader,
    FetchSettings,
    MissingError,
    RefusedError,
    UnfitError,
    check_url,
)
from skydenoise.survey.fitscheck import check_fits

__all__ = ["FetchError", "FetchSettings", "fetch_bricks", "mark_source", "read_checksums"]

log = logging.getLogger(__name__)

SOURCE = "SOURCE.json"
"""Says in the cache's folder which release it holds."""

RECORD = "fetched.sha256"
"""In a brick's folder: sha256 of its verified files, as sha256sum writes it; made when it is complete."""


class FetchError(StepError):
    """Bricks could not be fetched for a reason that may pass: the same command goes on where it stopped."""


def fetch_bricks(
    bricks: Sequence[str], bands: Sequence[str], survey: paths.Survey, cache: Path, settings: FetchSettings
) -> list[Entry]:
    """Fetch image and invvar of each band, and maskbits, of every brick into `cache`, in the survey's paths.

    A file counts once its sha256 is the one in the survey's sha256sum file of the brick (where the survey
    has none: once every pixel could be read) and it is a whole FITS file with a 2-D image in HDU 1. A brick
    that is complete already is verified against its record without any request.

    Returns one Entry per brick, in the order given: "done", "kept" if no byte had to be fetched, or "skipped"
    if the survey has no such file, or none that fits its checksum.

    Raises
    ------
    SettingsError : a name, an address, or a cache that holds another release
    FetchError : after the other bricks are finished, if some could not be had for a reason that may pass; at
        once if a file cannot be written
    """
    for band in bands:
        paths.check_band_name(band)
    check_url(survey.url)
    states = [_Brick(paths.check_brick_name(name)) for name in dict.fromkeys(bricks)]
    mark_source(cache, survey)
    with Downloader(settings) as downloader:
        _Job(tuple(bands), survey, cache, downloader).run(states)
    failed = [state for state in states if state.failure]
    if failed:
        raise FetchError(
            f"{len(failed)} of {len(states)} bricks are not complete; brick {failed[0].name}, "
            f"{failed[0].failure} (run the same command again: it goes on from here)"
        )
    return [state.entry() for state in states]


def mark_source(folder: Path, survey: paths.Survey) -> None:
    """Write down in `folder` which release it holds; refuse one that holds another.

    Raises
    ------
    SettingsError : `folder` belongs to another address, release or region
    """
    path = folder / SOURCE
    wanted = {"url": survey.url.rstrip("/"), "release": survey.release, "region": survey.region}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        write_json(path, wanted)
        return
    except ValueError:
        found = "unreadable"
    if found != wanted:
        raise SettingsError(
            f"survey.cache: {path} says {json.dumps(found)}, not {json.dumps(wanted)}: set survey.cache to "
            "another folder, or delete that file if both hold the same bricks"
        )


def read_checksums(path: Path) -> dict[str, str]:
    """File name -> sha256 from a sha256sum file, its lines `hash  basename` or `hash *relative/path`.

    Raises
    ------
    UnfitError : a line is of neither form
    """
    sums = {}
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        if not line.strip():
            continue
        match = re.fullmatch(r"([0-9a-fA-F]{64}) [ *](.+)", line.rstrip())
        if not match:
            raise UnfitError(f"{path.name}: {line[:40]!r} is no line of a sha256sum file")
        sums[match[2].rsplit("/", 1)[-1]] = match[1].lower()
    return sums


def _check(path: Path, expected: str | None) -> None:
    """Raise UnfitError unless `path` has the sha256 `expected` (None: not known) and is a whole FITS file."""
    if expected is not None and (found := file_digest(path)) != expected:
        raise UnfitError(f"sha256 {found[:12]}... is not the survey's {expected[:12]}...")
    check_fits(path, pixels=expected is None)


@dataclass
class _Brick:
    """What has become of one brick so far; threads only add to its collections or set a reason."""

    name: str
    expected: Mapping[str, str] = field(default_factory=dict)  # sha256 by file name, from the survey
    verified: dict[str, str] = field(default_factory=dict)  # sha256 by file name, of files that are in place
    fetched: set[str] = field(default_factory=set)  # names of files that were not there before
    spent: list[float] = field(default_factory=list)  # seconds, one item per file
    reason: str = ""  # why it is skipped for good
    failure: str = ""  # why it could not be finished now

    def entry(self) -> Entry:
        seconds = sum(self.spent)
        if self.reason:
            return Entry(self.name, "skipped", seconds=seconds, reason=f"brick {self.name}, {self.reason}")
        digest = joint_digest(self.verified[name] for name in sorted(self.verified))
        state = "done" if self.fetched else "kept"
        return Entry(self.name, state, len(self.verified), digest, seconds)


@dataclass(frozen=True)
class _File:
    """One file of a brick."""

    brick: _Brick
    kind: str
    band: str | None

    @property
    def label(self) -> str:
        return f"band {self.band}" if self.band else self.kind


class _Job:
    """One chunk."""

    def __init__(
        self, bands: tuple[str, ...], survey: paths.Survey, cache: Path, downloader: Downloader
    ) -> None:
        self._bands, self._survey, self._cache, self._downloader = bands, survey, cache, downloader
        self._fatal: FetchError | None = None

    def run(self, bricks: Sequence[_Brick]) -> None:
        """Bring every brick to its end; raises FetchError if a file cannot be written."""
        with ThreadPoolExecutor(self._downloader.settings.connections) as pool:
            try:
                missing = [files for files in pool.map(self._plan, bricks) if files]
                count = sum(map(len, missing))
                with tqdm(total=count, desc="fetch", unit="file", disable=None) as bar:
                    done = pool.map(self._bring, [file for files in missing for file in files])
                    for files in missing:
                        for _ in files:
                            next(done)
                            bar.update()
                        self._close(files[0].brick)
            except BaseException:
                self._downloader.stop.set()
                pool.shutdown(cancel_futures=True)
                raise
        if self._fatal:
            raise self._fatal

    def _files(self, brick: _Brick) -> Iterator[_File]:
        for kind in ("image", "invvar"):  # images first: a missing band shows before most bytes are spent
            for band in self._bands:
                yield _File(brick, kind, band)
        yield _File(brick, "maskbits", None)

    def _target(self, file: _File) -> Path:
        return paths.raw_file(self._cache, file.brick.name, file.kind, file.band)

    def _folder(self, brick: _Brick) -> Path:
        return paths.raw_file(self._cache, brick.name, "maskbits").parent

    def _plan(self, brick: _Brick) -> list[_File]:
        """Files that the brick still needs, none if it is complete or nothing can be done for it."""
        started = time.perf_counter()
        files = list(self._files(brick))
        target = self._folder(brick) / self._survey.checksums(brick.name).rsplit("/", 1)[-1]
        try:
            if self._recorded(brick, files):
                return []
            self._downloader.fetch(self._survey.checksums(brick.name), target, lambda path: _parse(path))
            brick.expected = read_checksums(target)
        except RefusedError as error:
            log.warning("brick %s: no checksums (%s); every pixel is read instead", brick.name, error)
        except UnfitError as error:
            brick.reason = f"checksums: {error}"
        except BrokenTransferError as error:
            brick.failure = f"checksums: {error}"
        except CancelledError:
            brick.failure = "cancelled"
        except OSError as error:
            self._give_up(target, error)
        finally:
            brick.spent.append(time.perf_counter() - started)
        return [] if brick.reason or brick.failure else files

    def _recorded(self, brick: _Brick, files: Sequence[_File]) -> bool:
        """Whether the record says that the brick is complete, and its files still fit."""
        record = self._folder(brick) / RECORD
        if not record.exists():
            return False
        try:
            sums = read_checksums(record)
        except UnfitError:
            return False
        targets = [self._target(file) for file in files if file.band or self._target(file).name in sums]
        if all(path.exists() and sums.get(path.name) == file_digest(path) for path in targets):
            brick.verified = {path.name: sums[path.name] for path in targets}
            return True
        return False

    def _bring(self, file: _File) -> None:
        """Put one file in its place and note what became of it."""
        brick, target = file.brick, self._target(file)
        if brick.reason or self._fatal:
            return
        started = time.perf_counter()
        expected = brick.expected.get(target.name)
        try:
            url = self._survey.file(brick.name, file.kind, file.band)
            if self._downloader.fetch(url, target, partial(_check, expected=expected)):
                brick.fetched.add(target.name)
            brick.verified[target.name] = expected or file_digest(target)
        except MissingError as error:
            if file.kind == "maskbits":
                log.warning("brick %s: maskbits: %s; no pixel will count as saturated", brick.name, error)
            else:
                brick.reason = brick.reason or f"{file.label}: {error}: {target.name}"
        except (RefusedError, UnfitError) as error:
            brick.reason = brick.reason or f"{file.label}: {error}: {target.name}"
        except BrokenTransferError as error:
            brick.failure = brick.failure or f"{file.label}: {error}: {target.name}"
        except CancelledError:
            brick.failure = brick.failure or "cancelled"
        except OSError as error:
            self._give_up(target, error)
        finally:
            brick.spent.append(time.perf_counter() - started)

    def _give_up(self, target: Path, error: OSError) -> None:
        """End the job: what fails for one file on this machine's disk fails for all."""
        self._fatal = FetchError(
            f"{target}: {error.strerror or error} (make room or mend survey.cache, then run the same command "
            "again: it goes on from here)"
        )
        self._downloader.stop.set()

    def _close(self, brick: _Brick) -> None:
        """Write the record of a complete brick, and one line to the log."""
        folder = self._folder(brick)
        if brick.reason:
            log.warning("brick %s is skipped: %s", brick.name, brick.reason)
            # the survey may have mended its checksums by the next run
            (folder / self._survey.checksums(brick.name).rsplit("/", 1)[-1]).unlink(missing_ok=True)
        elif brick.failure:
            log.warning("brick %s is not complete: %s", brick.name, brick.failure)
        elif not self._fatal:
            lines = [f"{digest}  {name}\n" for name, digest in sorted(brick.verified.items())]
            write_text(folder / RECORD, "".join(lines))
            fetched, seconds = len(brick.fetched), sum(brick.spent)
            kept = len(brick.verified) - fetched
            log.info("brick %s: %d files fetched, %d kept, %.1f s", brick.name, fetched, kept, seconds)


def _parse(path: Path) -> None:
    """Check of a sha256sum file."""
    if not read_checksums(path):
        raise UnfitError(f"{path.name} is empty")
