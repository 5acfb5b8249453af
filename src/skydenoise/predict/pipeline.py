"""Many bricks in one job: the next is read and the last written while the network works on this one."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

from tqdm import tqdm

from skydenoise.brick import Brick, Denoised, is_complete, read_brick, write_brick
from skydenoise.digest import file_digest, joint_digest
from skydenoise.errors import BrickError, StepError, disk_full
from skydenoise.layout import coadd_file, raw_file
from skydenoise.manifest import Entry, write_manifest
from skydenoise.predict.denoise import Denoiser, denoise_brick
from skydenoise.settings import OutputSettings

logger = logging.getLogger(__name__)

Result = TypeVar("Result")


def predict_bricks(
    names: Sequence[str], cache: Path, root: Path, denoiser: Denoiser, output: OutputSettings, manifest: Path
) -> list[Entry]:
    """Denoise bricks, one after the other, and write `manifest`: what became of each.

    Reading and writing run in a thread each, at most one brick ahead and one behind, so memory holds three
    bricks however many there are. A brick that is complete and was made from the same files by the same
    model, settings and version is kept as it is. One that cannot be used (BrickError) is skipped with its
    reason, and the others go on.

    names : bricks; each is done once
    cache, root : folders of the raw bricks and of the run's results
    output : how images are stored

    Raises
    ------
    StepError : at once if the disk is full; after all other bricks are done, and the manifest is written, if
        one failed for a reason that lies not in the brick
    """
    chunk = _Chunk(cache, root, denoiser, output)
    names = list(dict.fromkeys(names))
    with (
        ThreadPoolExecutor(1, "reader") as reader,
        ThreadPoolExecutor(1, "writer") as writer,
        tqdm(total=len(names), disable=None, unit="brick", desc="predict") as bar,
    ):
        coming = [reader.submit(chunk.read, name) for name in names[:1]]
        writing: list[tuple[str, Future[Entry]]] = []
        for number, name in enumerate(names):
            ready = chunk.attempt(name, coming.pop().result)
            coming += [reader.submit(chunk.read, later) for later in names[number + 1 : number + 2]]
            result = chunk.attempt(name, partial(chunk.denoise, ready)) if isinstance(ready, _Task) else None
            chunk.collect(writing, bar)
            if isinstance(ready, _Task) and result is not None:
                writing.append((name, writer.submit(chunk.write, ready, *result)))
            else:
                chunk.settle(name, ready if isinstance(ready, Entry) else None, bar)
            del ready, result
        chunk.collect(writing, bar)
    entries = [chunk.entries[name] for name in names]
    write_manifest(manifest, entries)
    chunk.report()
    return entries


@dataclass(frozen=True)
class _Task:
    """A brick that is read and to be denoised."""

    brick: Brick
    key: str
    seconds: float


@dataclass
class _Chunk:
    """The steps of one brick, and what became of all so far."""

    cache: Path
    root: Path
    denoiser: Denoiser
    output: OutputSettings
    entries: dict[str, Entry] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    def read(self, name: str) -> _Task | Entry:
        """The brick's pixels, or its entry if it is complete already. Runs in the reading thread."""
        start = time.perf_counter()
        bands = self.denoiser.description.bands
        key = self.key(name)
        if is_complete(self.root, name, bands, key):
            files = [coadd_file(self.root, name, kind, band) for kind in ("image", "sigma") for band in bands]
            return _entry(name, "kept", [*files, coadd_file(self.root, name, "flags")], start)
        brick = read_brick(self.cache, name, bands)
        return _Task(brick, key, time.perf_counter() - start)

    def denoise(self, task: _Task) -> tuple[Denoised, float]:
        """The denoised brick, and the seconds it took."""
        start = time.perf_counter()
        denoised = denoise_brick(task.brick, self.denoiser)
        return denoised, time.perf_counter() - start

    def write(self, task: _Task, denoised: Denoised, seconds: float) -> Entry:
        """The entry of a brick that is written. Runs in the writing thread."""
        start = time.perf_counter()
        files = write_brick(self.root, task.brick, denoised, self.output, self.provenance(task.key))
        return _entry(task.brick.name, "done", files, start - task.seconds - seconds)

    def key(self, name: str) -> str:
        """Digest of all that decides on a brick's output: its files' bytes, denoiser, way of storing."""
        digest = hashlib.sha256(f"{self.denoiser.key} {sorted(asdict(self.output).items())}".encode())
        bands = self.denoiser.description.bands
        files = [raw_file(self.cache, name, kind, band) for kind in ("image", "invvar") for band in bands]
        for file in [*files, raw_file(self.cache, name, "maskbits")]:
            digest.update(file_digest(file).encode() if file.exists() else b"none")
        return digest.hexdigest()[:24]

    def provenance(self, key: str) -> dict[str, str | int | float]:
        """What the output's headers say about its making."""
        settings = self.denoiser.settings
        thresholds = " ".join(f"{value:g}" for value in settings.recover.threshold)
        return {
            "model": self.denoiser.description.sha256[:32],
            "key": key,
            "tile": settings.tile,
            "overlap": settings.overlap,
            "recover": thresholds if settings.recover.enabled else "no",
            "sigma": "calibrated" if self.denoiser.uncertainty else "noise of the input",
        }

    def attempt(self, name: str, step: Callable[[], Result]) -> Result | None:
        """Result of a step of brick `name`; None, and an entry with the reason, if it fails.

        Raises StepError on a full disk.
        """
        try:
            return step()
        except BrickError as error:
            _stop_if_disk_full(error, self.root)
            reason = str(error)
            logger.warning("skipped: %s", reason)
        except Exception as error:
            _stop_if_disk_full(error, self.root)
            reason = " ".join(f"brick {name}: {type(error).__name__}: {error}".split())
            logger.exception("skipped: %s", reason)
            self.failures.append(reason)
        self.entries[name] = Entry(name, "skipped", reason=reason)
        return None

    def collect(self, writing: list[tuple[str, Future[Entry]]], bar: tqdm) -> None:
        """Wait for the writes under way and settle their bricks."""
        while writing:
            name, future = writing.pop()
            self.settle(name, self.attempt(name, future.result), bar)

    def settle(self, name: str, entry: Entry | None, bar: tqdm) -> None:
        """Count a brick as finished: with `entry`, or with that of its failure."""
        if entry is not None:
            self.entries[name] = entry
            logger.info("brick %s: %s, %d files, %.1f s", name, entry.state, entry.files, entry.seconds)
        bar.update()

    def report(self) -> None:
        """Log the sum; StepError if there was a failure that lies not in a brick."""
        states = [entry.state for entry in self.entries.values()]
        counts = ", ".join(f"{states.count(state)} {state}" for state in ("done", "kept", "skipped"))
        logger.info("%d bricks: %s", len(states), counts)
        if self.failures:
            raise StepError(
                f"predict: {len(self.failures)} of {len(states)} bricks failed unexpectedly, the others are "
                f"finished; first: {self.failures[0]}"
            )


def _entry(name: str, state: str, files: Sequence[Path], start: float) -> Entry:
    digest = joint_digest(file_digest(file) for file in sorted(files))
    return Entry(name, state, len(files), digest, time.perf_counter() - start)


def _stop_if_disk_full(error: BaseException, root: Path) -> None:
    if disk_full(error):
        raise StepError(
            f"predict: no space left for {root}; free some and run again, finished bricks are kept"
        ) from error
