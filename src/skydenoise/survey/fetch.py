"""Bring the survey's bricks into the cache: many files at once, verified, reported by brick and file."""

import json
import logging
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from multiprocessing.pool import ThreadPool  # its threads do not hold up the end of the program
from pathlib import Path
from types import MappingProxyType

from tqdm import tqdm

from skydenoise import paths
from skydenoise.config import FetchSettings
from skydenoise.errors import BrickError, SettingsError, StepError
from skydenoise.io.atomic import write_json
from skydenoise.io.digest import file_digest, joint_digest
from skydenoise.io.lock import alone
from skydenoise.io.manifest import Entry
from skydenoise.io.verified import ABSENT_FILE, RECORD, Fetched, read_place, read_record, write_record
from skydenoise.survey.checks import Unpacker, check_fits, survey_checksums
from skydenoise.survey.download import Downloader, MissingError, RefusedError, TransferError, UnfitError

log = logging.getLogger(__name__)

SOURCE = "SOURCE.json"
"""Says in the cache's folder which release it holds."""

GOES_ON = "run the same command again: it goes on from here"


class FetchError(StepError):
    """Bricks could not be fetched for a reason that may pass: the same command goes on where it stopped."""


def fetch_bricks(
    bricks: Sequence[str],
    bands: Sequence[str],
    survey: paths.Survey,
    cache: Path,
    settings: FetchSettings,
    places: Mapping[str, str] = MappingProxyType({}),
) -> list[Entry]:
    """Fetch image and invvar of each band, and maskbits, of every brick into `cache`, in the survey's paths.

    A file counts once its sha256 is the survey's; where the survey has none of it, once its FITS checksums
    hold; and where it has none, once every pixel could be read. A brick that is complete is verified
    against its record without any request. A band of which the survey has neither image nor invvar was not
    observed: the brick is complete without it.

    places : of bricks that come from elsewhere than `survey`, by name, as `Survey.at` takes them. A brick in
        the cache that came from another place is fetched again

    Returns one Entry per brick, in the order given: "done", "kept" if no byte had to be fetched, or "skipped"
    if the survey has no such file, or none that fits.

    Raises SettingsError for a name that is none, or a cache that holds another release; and FetchError, after
    the other bricks are finished, if some could not be had for a reason that may pass, or soon if a file
    cannot be written.
    """
    for band in bands:
        paths.check_band_name(band)
    names = [paths.check_brick_name(name) for name in dict.fromkeys(bricks)]
    mark_source(cache, survey)
    count = settings.connections
    with (
        ThreadPool(count) as folders,
        ThreadPool(count) as transfers,
        Downloader(settings) as downloader,
        Unpacker() as unpacker,
    ):
        job = _Job(bands, survey, places, cache, downloader, transfers, unpacker)
        outcomes = folders.imap(job.fetch, names)
        results = list(tqdm(outcomes, total=len(names), desc="fetch", unit="brick", disable=None))
    if failures := [result for result in results if isinstance(result, Exception)]:
        # a full disk before all
        first = min(failures, key=lambda failure: isinstance(failure, TransferError))
        raise FetchError(f"{len(failures)} of {len(names)} bricks are not complete; {first} ({GOES_ON})")
    return [result for result in results if isinstance(result, Entry)]


def mark_source(folder: Path, survey: paths.Survey) -> None:
    """Write down in `folder` which release it holds; the record of each brick says which region it is of.

    Raises SettingsError if `folder` is of another address or release, FetchError if it cannot be written.
    """
    path = folder / SOURCE
    wanted = {"url": survey.url.rstrip("/"), "release": survey.release}
    try:
        if not path.exists():
            with alone(folder):
                write_json(path, wanted)
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise FetchError(unwritable(error, path)) from error
    except ValueError:
        found = "unreadable"
    if found != wanted:
        raise SettingsError(
            f"survey.cache: {path} says {json.dumps(found)}, not {json.dumps(wanted)}: set survey.cache to "
            "another folder, or delete that file if both hold the same bricks"
        )


def unwritable(error: OSError, path: Path) -> str:
    """What to say where `path`, or the file that the error names, cannot be written."""
    cause = f"{error.filename or path}: {error.strerror or error}"
    return f"{cause}; make room, make it writable, or set survey.cache to another folder"


@dataclass(frozen=True)
class _File:
    """One file of a brick, and where it belongs."""

    brick: str
    kind: str
    band: str | None
    target: Path
    url: str

    def fault(self, cause: Exception) -> BrickError:
        return BrickError(str(cause), brick=self.brick, band=self.band, file=self.target.name)


@dataclass(frozen=True)
class _Job:
    """What the bricks of a chunk share.

    transfers : threads that ask the server; those that call `fetch` wait for them, each for one brick
    """

    bands: Sequence[str]
    survey: paths.Survey
    places: Mapping[str, str]
    cache: Path
    downloader: Downloader
    transfers: ThreadPool
    unpacker: Unpacker

    def fetch(self, name: str) -> Entry | Exception:
        """What became of a brick, or why it could not be finished now."""
        started = time.perf_counter()
        try:
            record, state = self._complete(name)
        except BrickError as error:
            log.warning("skipped: %s", error)
            return Entry(name, "skipped", seconds=time.perf_counter() - started, reason=str(error))
        except TransferError as error:
            log.warning("not complete: %s", error)
            return error
        except OSError as error:  # what fails for one file on this machine's disk fails for all
            self.downloader.stop.set()
            return OSError(unwritable(error, self.cache))
        files = {name: file for name, file in record.items() if file.sha256}  # that the survey has
        seconds = time.perf_counter() - started
        log.info("brick %s: %s, %d files, %.1f s", name, state, len(files), seconds)
        if unverified := sorted(name for name, file in files.items() if not file.vouched):
            log.warning("brick %s: no checksum vouches for %s", name, ", ".join(unverified))
        digest = joint_digest(files[name].sha256 for name in sorted(files))
        images = {band: paths.raw_file(self.cache, name, "image", band).name for band in self.bands}
        bands = " ".join(band for band, image in images.items() if image in files)
        return Entry(name, state, len(files), digest, seconds, bands=bands, unverified=len(unverified))

    def _complete(self, name: str) -> tuple[dict[str, Fetched], str]:
        """What is known of a brick's files, by name, once in their places, and "done" or "kept"."""
        survey = self.survey.at(self.places.get(name, self.survey.place))
        files = [
            _File(name, *kind, paths.raw_file(self.cache, name, *kind), survey.file(name, *kind))
            for kind in paths.raw_kinds(self.bands)
        ]
        folder = files[0].target.parent
        recorded, missing = _recorded(folder, files)
        if self._came_from(folder) == survey.place and not missing:
            return recorded, "kept"
        with alone(folder):
            if self._came_from(folder) != survey.place:
                log.warning("brick %s is of %s in the cache, not %s", name, read_place(folder), survey.place)
                for known in (*read_record(folder), RECORD):
                    (folder / known).unlink(missing_ok=True)
            recorded, missing = _recorded(folder, files)  # another job may have been here until now
            record = read_record(folder)
            for file in missing:
                if record.get(file.target.name, ABSENT_FILE).sha256:
                    file.target.unlink(missing_ok=True)  # its bytes are not those that were fetched
            wanted = {file.target.name for file in missing}
            sums = self.transfers.apply(survey_checksums, (self.downloader, survey, name, wanted))
            brought = self._bring_all(missing, sums)
            self._check_bands(files, recorded | brought)
            write_record(folder, record | brought, survey.place)
        state = "done" if any(file.version for file in brought.values()) else "kept"
        return recorded | brought, state

    def _came_from(self, folder: Path) -> str:
        """Release and region that a brick's files are of, as far as it was noted."""
        return read_place(folder) or self.survey.place

    def _check_bands(self, files: Sequence[_File], found: Mapping[str, Fetched]) -> None:
        """Raise BrickError if half of a band is absent, or every band; the log names the absent."""
        absent = [file for file in files if file.band and not found[file.target.name].sha256]
        count = Counter(file.band for file in absent)
        for file in absent:
            if count[file.band] == 1 or len(count) == len(self.bands):
                raise file.fault(MissingError("no file at the survey"))
        if count:
            log.warning("brick %s was not observed in %s", files[0].brick, ", ".join(map(str, count)))

    def _bring_all(self, files: Sequence[_File], sums: Mapping[str, str]) -> dict[str, Fetched]:
        """Files in their places, by name; raises what the first of them raises, and then begins no other."""
        failed = threading.Event()

        def bring(file: _File) -> Fetched | Exception | None:
            try:
                return None if failed.is_set() else self._bring(file, sums.get(file.target.name))
            except Exception as error:
                failed.set()
                return error

        brought = {}
        for file, outcome in zip(files, self.transfers.map(bring, files, chunksize=1), strict=True):
            if isinstance(outcome, Exception):
                raise outcome
            if outcome:
                brought[file.target.name] = outcome
        return brought

    def _bring(self, file: _File, expected: str | None) -> Fetched:
        """Put a file in its place, unless it is there or the survey has none."""
        largest = self.downloader.settings.largest_file
        name = paths.hdu_name(file.kind, file.band)
        check = partial(check_fits, name=name, expected=expected, largest_mb=largest, unpacker=self.unpacker)
        target, version = file.target, ""
        try:
            try:
                vouched = check(target)
            except (FileNotFoundError, UnfitError):
                vouched, version = self.downloader.fetch(file.url, target, check)
        except (RefusedError, UnfitError) as error:
            if not isinstance(error, MissingError) or (file.band and expected):
                raise file.fault(error) from error
            if not file.band:
                log.warning("brick %s: maskbits: %s; no pixel will count as saturated", file.brick, error)
            return ABSENT_FILE
        except TransferError as error:
            raise TransferError(str(file.fault(error))) from error
        return Fetched(expected or file_digest(target), vouched, version)


def _recorded(folder: Path, files: Sequence[_File]) -> tuple[dict[str, Fetched], list[_File]]:
    """What the record says of the files that are as they were, by name, and the files that are not."""
    record = read_record(folder)
    known = {}
    for path in (file.target for file in files if file.target.name in record):
        if record[path.name].sha256 == (file_digest(path) if path.exists() else ""):
            known[path.name] = record[path.name]
    return known, [file for file in files if file.target.name not in known]
