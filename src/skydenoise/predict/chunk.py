"""Many bricks in one job: several are in work at a time, each in a process of its own from file to file."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from skydenoise.config import OutputSettings
from skydenoise.errors import BrickError, StepError, disk_full
from skydenoise.io import Brick, complete_bands, product_files, raw_digests, read_brick, write_brick
from skydenoise.io.cards import CARDS
from skydenoise.io.digest import file_digest, joint_digest
from skydenoise.io.manifest import Entry, write_manifest
from skydenoise.io.verified import intact_header
from skydenoise.noise import NoiseModel, neighbour_correlation
from skydenoise.paths import raw_file, raw_kinds
from skydenoise.pool import each
from skydenoise.predict.denoise import denoise_brick, noise_of
from skydenoise.predict.denoiser import Denoiser

logger = logging.getLogger(__name__)

OF_THE_BRICK = ("noise", "correlation", "unmasked")
"""Entries of the provenance that the manifest repeats."""


def predict_bricks(names: Sequence[str], chunk: Chunk, manifest: Path, threads: int) -> list[Entry]:
    """Denoise bricks, as many side by side as there are threads; write `manifest`: what became of each.

    A brick that is complete and was made from the same files by the same model, settings and version is kept
    as it is. One that cannot be used (BrickError) is skipped with its reason, and the others go on.

    names : bricks; each is done once
    threads : of the job, which has memory for as many bricks: 1.8 GB each at 3 x 3600 x 3600 pixels

    Raises
    ------
    SettingsError : see Denoiser
    StepError : soon if the disk is full or a process died; after all other bricks are done, and the manifest
        is written, if one failed for a reason that lies not in the brick
    """
    names = list(dict.fromkeys(names))
    outcomes: dict[str, Outcome] = {}
    with tqdm(total=len(names), disable=None, unit="brick", desc="predict") as bar:
        for name, outcome in each(chunk, names, threads, torch.set_num_threads, process_died):
            outcomes[name] = outcome
            entry = outcome.entry
            if entry.state != "skipped":
                logger.info("brick %s: %s, %d files, %.1f s", name, entry.state, entry.files, entry.seconds)
            bar.update()
    entries = [outcomes[name].entry for name in names]
    write_manifest(manifest, entries)
    _report([outcomes[name] for name in names])
    return entries


@dataclass(frozen=True)
class Outcome:
    """What became of a brick; failure : a reason that lies not in it, or an empty text."""

    entry: Entry
    failure: str = ""


def process_died(name: str, killed: bool) -> Outcome:
    """Of a brick whose process ended without a word, twice."""
    reason = f"brick {name}: its process " + (
        "was killed, perhaps for lack of memory (mem_mb)" if killed else "crashed: is a file damaged?"
    )
    logger.warning("skipped: %s", reason)
    return Outcome(Entry(name, "skipped", reason=reason), reason if killed else "")


@dataclass(frozen=True)
class Chunk:
    """All that bricks of a chunk share: called with a brick's name it denoises that one.

    cache, root : folders of the raw bricks and of the run's results
    load : makes the denoiser, once in each process
    output : how images are stored
    """

    cache: Path
    root: Path
    load: Callable[[], Denoiser]
    output: OutputSettings

    @cached_property
    def denoiser(self) -> Denoiser:
        """Of this process."""
        return self.load()

    def __call__(self, name: str) -> Outcome:
        """What became of brick `name`; raises SettingsError, and StepError on a full disk."""
        denoiser = self.denoiser
        try:
            return Outcome(self.entry(name, denoiser))
        except BrickError as error:
            self._stop_if_disk_full(error)
            reason, failure = str(error), ""
            logger.warning("skipped: %s", reason)
        except Exception as error:
            self._stop_if_disk_full(error)
            reason = failure = " ".join(f"brick {name}: {type(error).__name__}: {error}".split())
            logger.exception("skipped: %s", reason)
        return Outcome(Entry(name, "skipped", reason=reason), failure)

    def entry(self, name: str, denoiser: Denoiser) -> Entry:
        """Entry of a brick whose files are there: denoised now, or complete already."""
        start = time.perf_counter()
        bands = denoiser.description.bands
        key = self.key(name, denoiser)
        if present := complete_bands(self.root, name, key):
            state, files = "kept", product_files(self.root, name, present)
            header = intact_header(files[-1]) or {}
            noise = {entry: str(header.get(CARDS[entry][0], "")) for entry in OF_THE_BRICK}
        else:
            state = "done"
            brick = read_brick(self.cache, name, bands, verify=False)  # `key` has just done so
            found = noise_of(brick, denoiser)
            present, noise = brick.present, noise_provenance(found, brick)
            if brick.unmasked:
                noise["unmasked"] = " ".join(brick.unmasked)
            denoised = denoise_brick(brick, denoiser, found)
            files = write_brick(self.root, brick, denoised, self.output, provenance(denoiser, key) | noise)
        digest = joint_digest(file_digest(file) for file in sorted(files))
        sigma_sky, rho = (list(map(float, noise[entry].split())) for entry in ("noise", "correlation"))
        foreign = denoiser.description.holds_for.foreign(bands, sigma_sky, rho)
        seconds = time.perf_counter() - start
        return Entry(
            *(name, state, len(files), digest, seconds),
            noise=f"{noise['noise']}; {noise['correlation']}",
            foreign=foreign,
            bands=" ".join(present),
            unmasked=noise.get("unmasked", ""),
        )

    def key(self, name: str, denoiser: Denoiser) -> str:
        """Digest of all that decides on a brick's output: its files' bytes, denoiser, way of storing."""
        digest = hashlib.sha256(f"{denoiser.key} {sorted(asdict(self.output).items())}".encode())
        bands = denoiser.description.bands
        digests = raw_digests(self.cache, name, bands)
        for kind, band in raw_kinds(bands):
            digest.update(digests.get(raw_file(self.cache, name, kind, band).name, "none").encode())
        return digest.hexdigest()[:24]

    def _stop_if_disk_full(self, error: BaseException) -> None:
        if disk_full(error):
            raise StepError(
                f"predict: no space left for {self.root}; free some and run again, finished bricks are kept"
            ) from error


def provenance(denoiser: Denoiser, key: str) -> dict[str, str | int | float]:
    """What the output's headers say about its making."""
    settings = denoiser.settings
    thresholds = " ".join(f"{value:g}" for value in settings.recover.threshold)
    return {
        "model": denoiser.description.sha256[:32],
        "key": key,
        "tile": settings.tile,
        "overlap": settings.overlap,
        "precision": settings.precision,
        "recover": thresholds if settings.recover.enabled else "no",
        "background": settings.background,
        "together": settings.bands + settings.flag_borrowed * ", BORROWED flagged",
        "sigma": "calibrated" if denoiser.uncertainty else "noise of the input",
    }


def noise_provenance(noise: NoiseModel, brick: Brick) -> dict[str, str]:
    """What the output's headers say about the noise of a brick, numbers by band; 0 in one that it lacks."""
    there = np.isin(brick.bands, brick.present)
    return {
        "noise": " ".join(f"{sigma:.4g}" for sigma in there * noise.sigma_sky),
        "correlation": " ".join(f"{rho:.3f}" for rho in there * neighbour_correlation(noise)),
        "level": " ".join(f"{level:.4g}" for level in noise.zero.ravel()),
    }


def _report(outcomes: Sequence[Outcome]) -> None:
    """Log the sum; StepError if there was a failure that lies not in a brick."""
    states = [outcome.entry.state for outcome in outcomes]
    counts = ", ".join(f"{states.count(state)} {state}" for state in ("done", "kept", "skipped"))
    logger.info("%d bricks: %s", len(states), counts)
    failures = [outcome.failure for outcome in outcomes if outcome.failure]
    if failures:
        raise StepError(
            f"predict: {len(failures)} of {len(states)} bricks failed unexpectedly, the others are "
            f"finished; first: {failures[0]}"
        )
