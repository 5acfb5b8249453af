"""How faults are made: each function spoils one thing in a run in miniature."""

import json
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from astropy.io import fits
from safetensors import safe_open
from safetensors.torch import save_file

from skydenoise.errors import StepError
from skydenoise.io.atomic import HOST
from skydenoise.io.digest import file_digest
from skydenoise.io.fitsfile import read_survey_image
from skydenoise.io.verified import RECORD
from skydenoise.train.checkpoint import CHECKPOINT, EARLIER
from skydenoise.train.job import TrainJob
from skydenoise.train.loop import train
from skydenoise.train.ranks import Ranks
from skydenoise.train.training import Training

from .house import BANDS, House

Spoil = Callable[[House], None]


def flip(path: Path, from_end: int = 3000) -> None:
    """One bit of a file."""
    content = bytearray(path.read_bytes())
    content[-from_end] ^= 1
    path.write_bytes(content)


def cut(path: Path) -> None:
    """The last bytes of a file off."""
    path.write_bytes(path.read_bytes()[:-2880])


def before(step: str, spoil: Spoil) -> Spoil:
    """Spoil what `step` reads, as if the run had been ended before it."""

    def spoil_it(house: House) -> None:
        house.forget_from(step)
        spoil(house)

    return spoil_it


def raw(spoil: Callable[[Path], None]) -> Spoil:
    """A fetched image."""
    return lambda house: spoil(house.raw_file())


def by_hand(spoil: Callable[[Path], None]) -> Spoil:
    """An image that was put into the cache by hand, so that nothing vouches for its bytes."""

    def spoil_it(house: House) -> None:
        (house.raw_file().parent / RECORD).unlink()
        for kind in ("image", "invvar"):
            for band in BANDS:
                path = house.raw_file(kind, band)
                pixels, header = read_survey_image(path)
                fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(pixels, header)]).writeto(path, overwrite=True)
        spoil(house.raw_file())

    return spoil_it


def card(old: bytes, new: bytes) -> Callable[[Path], None]:
    """Other bytes in a header."""

    def spoil_it(path: Path) -> None:
        content = path.read_bytes()
        assert len(old) == len(new)
        assert old in content
        path.write_bytes(content.replace(old, new))

    return spoil_it


def huge(path: Path) -> None:
    """A file of 9 kB that says it unpacks to 320 GB."""
    pixels = fits.CompImageHDU(np.zeros((40, 50), np.float32))
    fits.HDUList([fits.PrimaryHDU(), pixels]).writeto(path, overwrite=True)
    for key in (b"ZNAXIS1 =           ", b"ZTILE1  =           "):
        card(key + b"        50", key + b"2000000000")(path)


def dead_process() -> int:
    """Number of a process that has ended."""
    with subprocess.Popen(["true"]) as process:
        return process.pid


def leftover(folder: str, name: str) -> Spoil:
    """What a killed writer leaves in a folder."""

    def spoil_it(house: House) -> None:
        (house.folder / folder).mkdir(parents=True, exist_ok=True)
        partial = f".{HOST}-{dead_process()}-0123456789ab.partial.{name}"
        (house.folder / folder / partial).write_bytes(b"half")

    return spoil_it


def stopped_training(job: TrainJob, steps: int = 7) -> None:
    """A training that is ended by SIGTERM after so many steps; it leaves two checkpoints."""

    class Stopped(Training):
        def batches(self, done: int):
            for step, batch in enumerate(super().batches(done), 1):
                if step == steps:
                    signal.raise_signal(signal.SIGTERM)
                yield batch

    def stopped(job: TrainJob, ranks: Ranks) -> Training:
        return Stopped(job, ranks)

    with pytest.raises(StepError, match="stopped by SIGTERM"):
        train(job, stopped)
    assert (job.model / CHECKPOINT).exists()
    assert (job.model / EARLIER).exists()


def checkpoint(spoil: Callable[[Path], None], *more: str) -> Spoil:
    """The last checkpoint of a training that was ended half-way, and others."""

    def spoil_it(house: House) -> None:
        house.forget_from("train")
        stopped_training(house.job)
        for name in (CHECKPOINT, *more):
            spoil(house.root / "model" / name)

    return spoil_it


def tensors(change: Callable[[dict[str, torch.Tensor]], object]) -> Callable[[Path], None]:
    """Other arrays in a checkpoint that is else as it was."""

    def spoil_it(path: Path) -> None:
        with safe_open(path, "pt") as file:
            metadata, arrays = file.metadata(), {name: file.get_tensor(name) for name in set(file.keys())}
        change(arrays)
        save_file(arrays, path, metadata)

    return spoil_it


def not_finite(arrays: dict[str, torch.Tensor]) -> None:
    next(iter(arrays.values())).fill_(float("nan"))


def description(**architecture: int) -> Spoil:
    """The model says it has another architecture."""

    def spoil_it(house: House) -> None:
        path = house.root / "model/model.json"
        content = json.loads(path.read_text())
        content["architecture"] |= architecture
        path.write_text(json.dumps(content))

    return spoil_it


def weights_not_finite(house: House) -> None:
    """Weights that are NaN, and a description that says they are right."""
    path = house.root / "model/model.safetensors"
    tensors(not_finite)(path)
    about = house.root / "model/model.json"
    about.write_text(json.dumps(json.loads(about.read_text()) | {"sha256": file_digest(path)}))


def text(name: str, content: str) -> Spoil:
    """Another text in a file of the run."""

    def spoil_it(house: House) -> None:
        (house.root / name).write_text(content)

    return spoil_it


def manifest(old: str, new: str) -> Spoil:
    """A manifest that was edited by hand."""

    def spoil_it(house: House) -> None:
        path = house.manifests["fetch"]
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))

    return spoil_it


def remove(*names: str) -> Spoil:
    """The remedy of a line that says: remove it."""

    def mend(house: House) -> None:
        for name in names:
            (house.root / name).unlink(missing_ok=True)

    return mend


def train_again(house: House) -> None:
    """The remedy of a line that says: train again."""
    house.forget_from("train")


def denoise_again(house: House) -> None:
    """The remedy of a line that says --forcerun predict; what was made of its product is made again."""
    (house.root / "predict/c.tsv").unlink()
    shutil.rmtree(house.root / "mosaic")
