"""Light-sheet stacks of beetle embryos (paper, Fig. 6): CARE's public data set, or a stand-in.

The data set is that of Weigert et al. (2018, Nature Methods 15, 1090): noisy stacks of several conditions and
a long exposure of each, the "ground truth" (GT). A stack is (z, y, x), and each of its slices is a frame.
"""

from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from scipy import ndimage

from experiments.wang2021.frames import Data
from experiments.wang2021.settings import TriboliumSettings
from skydenoise.errors import StepError

Array = NDArray[np.float32]

NUCLEUS = (1.2, 4.5, 4.5)
"""Sigmas of a nucleus along z, y and x, pixels: the slices of the data set lie three times as far apart."""
SHELL = 0.12
"""Depth of the layer of nuclei under the egg's surface, relative to its radius."""


def simulate(settings: TriboliumSettings, generator: np.random.Generator) -> Data:
    """The slices of one stack as frames, counts, all measured; of two files, or the stand-in.

    The long exposure of a file stands for the truth; its counts have another scale than the noisy ones. The
    notes say whose pixels these are: `source`.

    Raises
    ------
    StepError : a file cannot be read, or the two are no pair of stacks
    """
    if not settings.noisy:
        return Data(*stand_in(settings, generator), notes={"source": "stand-in"})
    noisy, clean = (read_stack(Path(path).expanduser()) for path in (settings.noisy, settings.clean))
    if noisy.shape != clean.shape or noisy.ndim != 3:
        raise StepError(
            f"frames.clean: {settings.clean} is {clean.shape}, {settings.noisy} is {noisy.shape}; they are "
            "no pair of stacks (z, y, x)"
        )
    return Data(noisy, clean, notes={"source": settings.noisy})


def read_stack(path: Path) -> Array:
    """All of a TIFF file as float32; raises StepError if it is none."""
    try:
        return tifffile.imread(path).astype(np.float32)
    except (OSError, ValueError, tifffile.TiffFileError) as error:
        raise StepError(f"{path}: cannot be read as TIFF: {error}") from error


def stand_in(settings: TriboliumSettings, generator: np.random.Generator) -> tuple[Array, Array]:
    """Noisy stack and its truth, (z, y, x) float32 each, counts.

    An egg that fills the frame, its long axis along y; nuclei in a layer under its surface, bright ones and
    dim ones; a weak glow inside. The camera counts photons with its gain, offset and read noise.
    """
    photons = expected_photons(settings, generator)
    clean = settings.offset + settings.gain * photons
    read = settings.read_noise * generator.standard_normal(photons.shape, dtype=np.float32)
    noisy = settings.offset + settings.gain * generator.poisson(photons) + read
    return noisy.astype(np.float32), clean.astype(np.float32)


def expected_photons(settings: TriboliumSettings, generator: np.random.Generator) -> NDArray[np.float64]:
    """Photons per pixel, (z, y, x): the glow within the egg and the nuclei under its surface."""
    shape = np.array([settings.slices, settings.height, settings.width])
    centre, radii = (shape - 1) / 2, 0.44 * shape
    away = [((np.arange(n) - c) / r) ** 2 for n, c, r in zip(shape, centre, radii, strict=True)]
    depth = 1 - np.sqrt(away[0][:, None, None] + away[1][:, None] + away[2])  # 0 at the surface, 1 inside
    photons = settings.background * ndimage.gaussian_filter((depth > 0).astype(float), (0.5, 3, 3))
    for place, height in zip(*_nuclei(settings, centre, radii, generator), strict=True):
        _add_nucleus(photons, place, height)
    return photons


def _nuclei(
    settings: TriboliumSettings, centre: NDArray[Any], radii: NDArray[Any], generator: np.random.Generator
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Places (n, 3) as (z, y, x) and heights (n,) in photons."""
    directions = generator.normal(size=(settings.nuclei, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    depths = 1 - SHELL * generator.uniform(0.2, 1, (settings.nuclei, 1))
    heights = settings.peak * generator.lognormal(0, 0.4, settings.nuclei)
    return centre + radii * directions * depths, heights


def _add_nucleus(photons: NDArray[np.float64], place: NDArray[Any], height: float) -> None:
    """Add one Gaussian nucleus in place; what lies outside of the stack is lost."""
    slices, profiles = [], []
    for length, middle, sigma in zip(photons.shape, place, NUCLEUS, strict=True):
        start, stop = (int(np.clip(middle + sign * 4 * sigma, 0, length)) for sign in (-1, 1))
        slices.append(slice(start, stop))
        profiles.append(np.exp(-0.5 * ((np.arange(start, stop) - middle) / sigma) ** 2))
    z, y, x = profiles
    photons[tuple(slices)] += height * z[:, None, None] * y[:, None] * x
