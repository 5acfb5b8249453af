"""Training patches: random cuts through all bands, spread over the training bricks, repeatable by a seed.

A folder of patches holds `image.npy` and `invvar.npy`, (patch, band, y, x) float32, and `positions.ecsv`,
which says where each patch comes from, and has the sha256 of both; it is written last, so a folder with it is
complete.
"""

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from astropy.table import Table
from numpy.lib.format import open_memmap
from numpy.typing import NDArray
from tqdm import tqdm

from skydenoise.config import PatchSettings
from skydenoise.errors import SettingsError, one_line
from skydenoise.fill import fill
from skydenoise.io import Brick, readable
from skydenoise.io.atomic import atomic_path
from skydenoise.io.digest import file_digest

_log = logging.getLogger(__name__)

Array = NDArray[Any]

POSITIONS, ARRAYS = "positions.ecsv", ("image.npy", "invvar.npy")


def cut_patches(
    names: Sequence[str], read: Callable[[str], Brick], settings: PatchSettings, folder: Path
) -> dict[str, str]:
    """Cut `settings.count` patches from the bricks `names` into `folder`.

    Every brick gives patches in proportion to its number of possible positions: those where at least
    `settings.min_coverage` of the pixels are usable in every band. Patches may overlap; none is taken twice.
    Positions depend on the seed, the names and the coverage alone, not on the order of the names, and the
    patches of a brick are scattered over all places. Unusable pixels are filled from their neighbours, with
    invvar 0. Each brick is read twice, and one at a time is in memory.

    names : training bricks; a name given twice counts once
    read : gives the brick of a name, or raises BrickError: that brick is then skipped

    Returns the reason by name of each brick that was skipped.

    Raises
    ------
    SettingsError : no brick can be read, bricks differ in their bands, or all together have fewer positions
        than patches are asked for
    """
    skipped: dict[str, str] = {}
    possible: dict[str, int] = {}
    bands: set[tuple[str, ...]] = set()
    for brick in readable(sorted(set(names)), read, step="patches", skipped=skipped):
        possible[brick.name] = int(np.count_nonzero(possible_corners(brick.usable, settings)))
        bands.add(brick.bands)
        del brick
    _check_possible(possible, bands, skipped, settings)
    patches = allot(possible, settings.count)
    folder.mkdir(parents=True, exist_ok=True)
    for name in (POSITIONS, *ARRAYS):  # of an earlier run, the index first
        (folder / name).unlink(missing_ok=True)
    places = iter(np.random.default_rng(settings.seed).permutation(settings.count).tolist())
    origins: list[tuple[int, str, int, int]] = []  # patch, brick, y, x
    with ExitStack() as files:
        shape = settings.count, len(bands.pop()), settings.size, settings.size
        arrays = [_create_array(files.enter_context(atomic_path(folder / name)), shape) for name in ARRAYS]
        for name in tqdm([name for name in patches if patches[name]], unit="brick", disable=None):
            brick = read(name)
            corners = draw_corners(brick, patches[name], settings)
            found = [(place, name, y, x) for (y, x), place in zip(corners, places, strict=False)]
            _copy(brick, found, arrays, settings.size)
            origins += found
            del brick
    _write_positions(folder, origins, settings)
    _log.info("%d patches from %d bricks", len(origins), np.count_nonzero(list(patches.values())))
    return skipped


def _check_possible(
    possible: Mapping[str, int],
    bands: set[tuple[str, ...]],
    skipped: Mapping[str, str],
    settings: PatchSettings,
) -> None:
    if not possible:
        reason = next(iter(skipped.values()), "none is marked for training")
        raise SettingsError(f"patches: no training brick can be read, the first because {reason}")
    if len(bands) > 1:
        listed = " and ".join(sorted(" ".join(each) for each in bands))
        raise SettingsError(f"patches: the training bricks have different bands: {listed}")
    total = sum(possible.values())
    if total < settings.count:
        holding = np.count_nonzero(list(possible.values()))
        raise SettingsError(
            f"patches.count: {settings.count} patches are asked for, {total} are possible: places of size "
            f"{settings.size} with min_coverage {settings.min_coverage} in every band, in {holding} of "
            f"{len(possible)} readable training bricks"
        )


def possible_corners(usable: Array, settings: PatchSettings) -> Array:
    """First corners at which a patch has enough usable pixels in every band.

    usable : (band, y, x) bool

    Returns (y - size + 1, x - size + 1) bool, empty for an image smaller than a patch.
    """
    size = settings.size
    height, width = (max(0, edge - size + 1) for edge in usable.shape[1:])
    needed = np.ceil(settings.min_coverage * size**2 - 1e-6)  # the product may be just above an integer
    possible = np.ones((height, width), dtype=bool)
    if possible.size == 0:
        return possible
    for band in usable:
        total = np.zeros((band.shape[0] + 1, band.shape[1] + 1), dtype=np.int32)
        np.cumsum(band, axis=0, out=total[1:, 1:])
        np.cumsum(total, axis=1, out=total)
        count = total[size:, size:] - total[:-size, size:] - total[size:, :-size] + total[:-size, :-size]
        possible &= count >= needed
    return possible


def allot(possible: Mapping[str, int], count: int) -> dict[str, int]:
    """Share `count` patches among bricks in proportion to their `possible` positions (largest remainder).

    Needs count <= sum(possible); then no brick is asked for more than it has.
    """
    total = sum(possible.values())
    shares = {name: divmod(count * number, total) for name, number in possible.items()}
    rest = count - sum(whole for whole, _ in shares.values())
    first = sorted(shares, key=lambda name: (-shares[name][1], name))[:rest]
    return {name: whole + (name in first) for name, (whole, _) in shares.items()}


def draw_corners(brick: Brick, count: int, settings: PatchSettings) -> list[tuple[int, int]]:
    """Draw `count` different first corners (y, x); the seed and the brick's name determine them."""
    possible = possible_corners(brick.usable, settings)
    generator = np.random.default_rng([settings.seed, *brick.name.encode()])
    flat = np.flatnonzero(possible)
    chosen = flat[generator.choice(len(flat), count, replace=False)]
    return [(int(y), int(x)) for y, x in zip(*np.unravel_index(chosen, possible.shape), strict=True)]


def _create_array(path: Path, shape: tuple[int, ...]) -> Array:
    """Memory map of a new float32 .npy file, with its room on the disk: a full disk would kill us later.

    Raises OSError if there is no room.
    """
    array = open_memmap(path, mode="w+", dtype=np.float32, shape=shape)
    with path.open("r+b") as stream:
        try:
            os.posix_fallocate(stream.fileno(), 0, path.stat().st_size)
        except OSError as error:
            cause = f"no room for {array.nbytes / 1e6:.0f} MB of patches: {error.strerror}"
            raise OSError(error.errno, cause, str(path.parent)) from error
    return array


def _copy(
    brick: Brick, found: Sequence[tuple[int, str, int, int]], arrays: Sequence[Array], size: int
) -> None:
    """Copy the patches of a brick to their places in the arrays."""
    usable = brick.usable
    planes = fill(brick.image, usable), np.where(usable, brick.invvar, np.float32(0))
    for place, _, y, x in found:
        for array, plane in zip(arrays, planes, strict=True):
            array[place] = plane[:, y : y + size, x : x + size]


def _write_positions(
    folder: Path, origins: Sequence[tuple[int, str, int, int]], settings: PatchSettings
) -> None:
    table = Table(rows=sorted(origins), names=("patch", "brick", "y", "x"))
    table.meta = {"size": settings.size, "min_coverage": settings.min_coverage, "seed": settings.seed}
    table.meta["sha256"] = {name: file_digest(folder / name) for name in ARRAYS}
    with atomic_path(folder / POSITIONS) as partial:
        table.write(partial, format="ascii.ecsv")


@dataclass(frozen=True)
class PatchSet:
    """The patches of a folder, memory-mapped: nothing is read until it is asked for.

    images, invvars : (patch, band, y, x) float32 memory maps; nanomaggies, nanomaggies^-2
    bricks : (patch,) name of the brick that each comes from
    """

    images: Array
    invvars: Array
    bricks: Array

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Open what `cut_patches` wrote; raises SettingsError if the folder is not complete, or damaged."""
        file = folder / POSITIONS
        if not file.exists():
            raise SettingsError(f"patches: {file} is missing: the patches were not cut to the end")
        arrays: list[Array] = []
        try:
            table = Table.read(file, format="ascii.ecsv")
            if not isinstance(digests := table.meta.get("sha256"), dict):
                raise ValueError("it has no sha256 of the patches")
            for file in (folder / name for name in ARRAYS):
                if file_digest(file) != digests.get(file.name):
                    raise ValueError("its content has changed since it was cut")
                arrays.append(np.load(file, mmap_mode="r"))
        except (OSError, KeyError, ValueError, EOFError) as error:
            remedy = "remove it, and the next run cuts the patches again"
            raise SettingsError(f"patches: {file} is damaged ({one_line(error)}): {remedy}") from error
        images, invvars = arrays
        if len(images) != len(table) or images.shape != invvars.shape:
            raise SettingsError(
                f"patches: the patches in {folder} do not agree with {POSITIONS}: cut them again"
            )
        return cls(images, invvars, np.asarray(table["brick"]))

    def __len__(self) -> int:
        return len(self.bricks)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(band, y, x) of a patch."""
        _, bands, height, width = self.images.shape
        return bands, height, width

    def get(self, indices: Sequence[int] | Array) -> tuple[Array, Array]:
        """Image and invvar of the patches with these numbers, each (n, band, y, x) float32, in memory."""
        return np.asarray(self.images[indices]), np.asarray(self.invvars[indices])
