"""Whole jobs: bricks per hour from file to file, and the price of safety."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from astropy.io import fits
from astropy.io.fits.hdu.compressed import SUBTRACTIVE_DITHER_2

from benchmarks.speed.inputs import Inputs
from benchmarks.speed.measure import alone, clocked, cores, peak_mib, take_turns
from benchmarks.speed.prediction import OUTPUT, Row, timed_denoiser
from skydenoise.io import read_brick, write_brick
from skydenoise.io.digest import file_digest, joint_digest
from skydenoise.paths import coadd_file, raw_file
from skydenoise.predict import Chunk, Denoiser, denoise_brick, predict_bricks
from skydenoise.predict.denoise import finish, restore
from skydenoise.predict.pool import Outcome
from skydenoise.processes import Crew
from skydenoise.simulate import BANDS


def pipeline(inputs: Inputs, device: str = "cpu") -> Iterator[Row]:
    """A job's bricks per hour, the share of its cores that the network keeps busy, memory of a process.

    Against the number of bricks, one process for each core; then most bricks in fewer processes. `start_s` is
    when the first process had its network, `imported_s` when the last had its modules, `all_ready_s` when it
    had its network, too. Memory is the most that a process held, what it shares with others counted in each,
    and that torch held for it on a GPU.
    """
    for bricks in inputs.scale.chunks:
        yield alone(_pipeline_row, inputs, device, bricks, Crew(cores(), cores()))
    for processes in inputs.scale.processes:
        if processes < cores():
            yield alone(_pipeline_row, inputs, device, max(inputs.scale.chunks), Crew(processes, cores()))


def _pipeline_row(inputs: Inputs, device: str, bricks: int, crew: Crew) -> Row:
    processes, _ = crew.share(bricks)
    root = inputs.results / f"{bricks}-in-{processes}"
    clocks = root / "clocks"
    clocks.mkdir(parents=True)
    job = ClockedChunk(inputs.cache, root, partial(clocked_denoiser, inputs, device, clocks), OUTPUT, clocks)
    begun = time.time()
    predict_bricks(inputs.names[:bricks], job, root / "chunk.tsv", crew)
    seconds = time.time() - begun
    imported, ready = (
        [max(0.0, file.stat().st_mtime - begun) for file in clocks.glob(f"*.{event}")]  # its clock is coarse
        for event in ("imported", "ready")
    )
    start = min(ready)
    busy = sum(float(file.read_text()) for file in clocks.glob("*.network"))
    memory = {
        kind: round(max(float(file.read_text()) for file in clocks.glob(f"*.{kind}")))
        for kind in ("process_mib", *(["gpu_mib"] if device != "cpu" else []))
    }
    shutil.rmtree(root)
    return {
        "part": "prediction, pipeline",
        "what": f"{bricks} bricks, {processes} processes",
        "seconds": round(seconds, 2),
        "start_s": round(start, 2),
        "imported_s": round(max(imported), 2),
        "all_ready_s": round(max(ready), 2),
        "bricks_per_hour": round(3600 * bricks / (seconds - start), 1),
        "network_busy": round(busy / processes / (seconds - start), 3),
        **memory,
    }


@dataclass(frozen=True)
class ClockedChunk(Chunk):
    """A chunk whose processes leave in a folder how much memory they held."""

    clocks: Path

    def __call__(self, name: str) -> Outcome:
        """As Chunk."""
        outcome = super().__call__(name)
        on_gpu = torch.cuda.max_memory_reserved() / 2**20 if self.denoiser.device != "cpu" else 0
        (self.clocks / f"{os.getpid()}.process_mib").write_text(str(peak_mib()))
        (self.clocks / f"{os.getpid()}.gpu_mib").write_text(str(on_gpu))
        return outcome


def clocked_denoiser(inputs: Inputs, device: str, clocks: Path) -> Denoiser:
    """The denoiser of a process, which leaves in a folder when it was asked for and ready, and how long its
    network works.
    """
    (clocks / f"{os.getpid()}.imported").touch()
    denoiser, _ = timed_denoiser(inputs, device, clocks / f"{os.getpid()}.network")
    (clocks / f"{os.getpid()}.ready").touch()
    return denoiser


def safety(inputs: Inputs, device: str = "cpu") -> list[Row]:
    """What checksums, digests, atomic writes and flags add to one brick, in seconds and as a share of it."""
    denoiser, _ = timed_denoiser(inputs, device)
    brick = inputs.brick()
    image, recovered, sigma = restore(brick, denoiser)
    flagging = partial(finish, brick, replace(denoiser, uncertainty=None), image, recovered, sigma)
    denoised = denoise_brick(brick, denoiser)
    whole, _ = clocked(lambda: denoise_brick(read_brick(inputs.cache, brick.name, BANDS), denoiser))
    root = inputs.results / "safety"
    files = [raw_file(inputs.cache, brick.name, kind, band) for kind in ("image", "invvar") for band in BANDS]

    def digests() -> None:
        written = [coadd_file(root, brick.name, kind, band) for kind in ("image", "sigma") for band in BANDS]
        joint_digest(file_digest(file) for file in [*files, *written])

    def bare() -> None:
        root.mkdir(parents=True, exist_ok=True)
        for kind, step, images in (
            ("i", OUTPUT.step, denoised.image),
            ("s", OUTPUT.step / 10, denoised.sigma),
        ):
            for band, data in zip(BANDS, images, strict=True):
                dithered = {"quantize_level": -step, "quantize_method": SUBTRACTIVE_DITHER_2}
                _bare_write(root / f"{kind}-{band}.fits.fz", data, **dithered)
        _bare_write(root / "flags.fits.fz", denoised.flags)

    timings = take_turns(
        {"safe write": lambda: write_brick(root, brick, denoised, OUTPUT, {"key": "x"}), "bare write": bare,
         "digests": digests, "flags": flagging},
        inputs.scale.repetitions,
    )  # fmt: skip
    whole += timings["bare write"].median
    extra = {
        "headers, checksums and atomic writes": timings["safe write"].median - timings["bare write"].median,
        "digests of inputs and outputs": timings["digests"].median,
        "flags": timings["flags"].median,
    }
    return [
        {"part": "safety", "what": name, "seconds": round(seconds, 3), "share": round(seconds / whole, 4)}
        for name, seconds in extra.items()
    ]


def _bare_write(path: Path, data: np.ndarray, **how: Any) -> None:
    tile = tuple(min(100, edge) for edge in data.shape)
    pixels = np.ascontiguousarray(data)
    hdu = fits.CompImageHDU(pixels, compression_type="RICE_1", tile_shape=tile, **how)
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(path, overwrite=True)
