"""Stacks in files of every kind, and a model that is known by heart."""

from collections.abc import Callable
from pathlib import Path

import h5py
import mrcfile
import numpy as np
import tifffile
import torch
from astropy.io import fits

from skydenoise.config import Architecture, PredictSettings, RecoverSettings
from skydenoise.network import ModelDescription
from skydenoise.noise import NoiseModel
from skydenoise.predict.denoiser import Denoiser
from skydenoise.stacks.pixels import StackFile
from skydenoise.stacks.stack import open_stack, write_like
from skydenoise.stretch import Stretch


def save_tiff(path: Path, stack: np.ndarray) -> None:
    tifffile.imwrite(path, stack, photometric="minisblack")


def save_compressed_tiff(path: Path, stack: np.ndarray) -> None:
    tifffile.imwrite(path, stack, photometric="minisblack", compression="zlib")


def save_tiff_of_series(path: Path, stack: np.ndarray) -> None:
    """As a loop over frames with tifffile leaves it: every frame is a series of its own."""
    with tifffile.TiffWriter(path) as writer:
        for frame in stack:
            writer.write(frame, photometric="minisblack")


def save_mrc(path: Path, stack: np.ndarray) -> None:
    with mrcfile.new(path) as file:
        file.set_data(stack)


def save_hdf5(path: Path, stack: np.ndarray) -> None:
    with h5py.File(path, "w") as file:
        file.create_dataset("exchange/data", data=stack, chunks=True, compression="gzip")
        file["exchange/theta"] = np.arange(len(stack))


def save_fits(path: Path, stack: np.ndarray) -> None:
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(stack)]).writeto(path)


def save_compressed_fits(path: Path, stack: np.ndarray) -> None:
    tile = (1,) * (stack.ndim - 2) + stack.shape[-2:]
    packed = fits.CompImageHDU(stack, compression_type="GZIP_2", quantize_level=0, tile_shape=tile)
    fits.HDUList([fits.PrimaryHDU(), packed]).writeto(path)


KINDS: dict[str, tuple[str, Callable[[Path, np.ndarray], object]]] = {
    "tiff": (".tif", save_tiff),
    "tiff compressed": (".tiff", save_compressed_tiff),
    "tiff of series": (".tif", save_tiff_of_series),
    "npy": (".npy", np.save),
    "mrc": (".mrc", save_mrc),
    "mrcs": (".mrcs", save_mrc),
    "hdf5": (".h5", save_hdf5),
    "fits": (".fits", save_fits),
    "fits gz": (".fits.gz", save_fits),
    "fits fz": (".fits.fz", save_compressed_fits),
}


def save(kind: str, folder: Path, stack: np.ndarray) -> Path:
    """Write a stack as a file of a kind; gives its path."""
    suffix, write = KINDS[kind]
    path = folder / f"in{suffix}"
    write(path, stack)
    return path


def make_stack(*shape: int, dtype: str = "int16") -> np.ndarray:
    return np.random.default_rng(len(shape)).integers(-100, 1000, shape).astype(dtype)


def copy(source: Path, target: Path, factor: float = 0.5, dataset: str = "", axes: str = "") -> None:
    """Write `source` times `factor`, frames in reverse order."""
    with (
        open_stack(StackFile(source, dataset, axes)) as stack,
        write_like(stack, target, "model 1234") as write_frame,
    ):
        for index in reversed(range(len(stack))):
            write_frame(index, factor * stack.read(index))


def unit_noise(bands: tuple[str, ...], level: float) -> NoiseModel:
    count = len(bands)
    white = np.ones((count, 1, 1))
    ones = (1.0,) * count
    return NoiseModel(bands, (2.0,) * count, ones, white, np.ones((count, 5)), level=(level,) * count)


class Halved(torch.nn.Module):
    """Gives back half of the stretched image."""

    def forward(self, u: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return (0.5 * u,)


def halver(noise: NoiseModel) -> Denoiser:
    """A denoiser whose stretch is a straight line: it halves the distance from the level."""
    architecture = Architecture(bands=len(noise.bands), levels=2, skips=False, outputs=1)
    stretch = Stretch(1e7)
    description = ModelDescription(architecture, noise.bands, stretch, noise, {}, sha256="ab" * 32)
    recover = RecoverSettings(enabled=False)
    settings = PredictSettings(tile=16, overlap=4, recover=recover, background="remove")
    return Denoiser(Halved(), description, settings)
