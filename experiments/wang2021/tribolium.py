"""Light-sheet stacks of beetle embryos (paper, Fig. 6): CARE's public data set, or a stand-in.

The data set is that of Weigert et al. (2018, Nature Methods 15, 1090): noisy stacks of several conditions and
a long exposure of each, the "ground truth" (GT), under the same file name. It is read from the user's disk; a
stack is (z, y, x), and each of its slices is a frame.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from experiments.wang2021.experiment import Data
from experiments.wang2021.settings import TriboliumSettings
from skydenoise.errors import StepError
from skydenoise.stacks.stack import open_stack

Array = NDArray[np.float32]

STACKS = (".tif", ".tiff", ".npy", ".h5", ".hdf5")
CLEAN_FOLDERS = ("gt", "high", "ground_truth")
"""Names, in lower case, of folders with the long exposures in CARE's archives."""
NUCLEUS = (1.2, 4.5, 4.5)
"""Sigmas of a nucleus along z, y and x, pixels: the slices of the data set lie three times as far apart."""
SHELL = 0.12
"""Depth of the layer of nuclei under the egg's surface, relative to its radius."""


def simulate(settings: TriboliumSettings, generator: np.random.Generator) -> Data:
    """The slices of one stack as frames of one channel, counts, all measured; of a file, or the stand-in.

    The long exposure of a file stands for the truth; its counts have another scale than the noisy ones. The
    notes say whose pixels these are: `source`.

    Raises
    ------
    StepError : see `load`
    """
    noisy, clean = load(settings) if settings.path else stand_in(settings, generator)
    return Data(noisy[:, None], clean[:, None], notes={"source": settings.path or "stand-in"})


def load(settings: TriboliumSettings) -> tuple[Array, Array]:
    """Noisy stack and its long exposure, (z, y, x) float32 each, counts.

    Raises
    ------
    StepError : no such stack, no long exposure of it, or one of another shape; the line names what was looked
        for and where
    """
    noisy = noisy_stack(Path(settings.path).expanduser(), settings.condition, settings.stack)
    clean = long_exposure(noisy)
    stacks = read_stack(noisy), read_stack(clean)
    if stacks[0].shape != stacks[1].shape:
        raise StepError(
            f"{clean} is {stacks[1].shape} (z, y, x), {noisy} is {stacks[0].shape}; they are no pair"
        )
    return stacks


def noisy_stack(path: Path, condition: str, name: str) -> Path:
    """File of the noisy stack: `path` itself, or the first in a folder called `condition` somewhere under it.

    Folders called test (or test_data) come before others. Raises StepError if there is none.
    """
    if path.is_file():
        return path
    if not path.is_dir():
        raise StepError(f"frames.path: {path} is not there; unpack CARE's Tribolium data set to it")
    found = sorted(
        file
        for file in path.rglob("*")
        if file.suffix.lower() in STACKS and file.parent.name.lower() == condition.lower()
        if not name or name in (file.name, file.stem)
    )
    if not found:
        folders = sorted({file.parent.name for file in path.rglob("*") if file.suffix.lower() in STACKS})
        raise StepError(
            f"frames.condition: no stack {name or '*.tif'} in a folder {condition} under {path}; "
            f"stacks are in {', '.join(folders) or 'no folder (the .npz files hold training pairs alone)'}"
        )
    return min(found, key=lambda file: not any("test" in part.lower() for part in file.parts))


def long_exposure(noisy: Path) -> Path:
    """File of the same name in a folder GT beside the noisy stack's, or beside one of those above it."""
    for folder in list(noisy.parents)[1:4]:
        for beside in sorted(folder.iterdir()):
            if beside.name.lower() in CLEAN_FOLDERS and (beside / noisy.name).exists():
                return beside / noisy.name
    raise StepError(
        f"no long exposure of {noisy}: a file of the same name is wanted in a folder GT beside "
        f"{noisy.parent.name}"
    )


def read_stack(path: Path) -> Array:
    """All slices of a stack of one channel, (z, y, x) float32; raises StepError if it is something else."""
    with open_stack(path, axes="") as stack:
        if stack.channels != 1 or stack.frames < 2:
            raise StepError(
                f"{path} has {stack.frames} slices of {stack.channels} channels; a stack (z, y, x) of "
                "one channel is wanted"
            )
        return np.stack([stack.read(index)[0] for index in range(stack.frames)])


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
