"""Training patches: random cuts through all bands, spread over the training bricks, repeatable by a seed.

A folder of patches holds `image-000.npy`, ... and `invvar-000.npy`, ... (n, band, y, x) float32, and
`positions.ecsv`, which says where each patch comes from, and has the sha256 of each file; it is written
last, so a folder with it is complete.
"""

import logging
import os
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any, Self

import numpy as np
from astropy.table import Table
from numpy.lib.format import open_memmap
from numpy.typing import NDArray
from tqdm import tqdm

from skydenoise.config import PatchSettings
from skydenoise.errors import SettingsError
from skydenoise.fill import fill
from skydenoise.io import Brick, readable
from skydenoise.io.atomic import atomic_path
from skydenoise.io.digest import file_digest

_log = logging.getLogger(__name__)

Array = NDArray[Any]

POSITIONS = "positions.ecsv"


@dataclass(frozen=True)
class PatchSummary:
    """What was cut.

    patches : number of patches per brick; bricks without a possible position have 0
    shards : number of shards
    skipped : reason by name of each brick that could not be read
    """

    patches: dict[str, int]
    shards: int
    skipped: dict[str, str]


def cut_patches(
    names: Sequence[str], read: Callable[[str], Brick], settings: PatchSettings, folder: Path
) -> PatchSummary:
    """Cut `settings.count` patches from the bricks `names` into `folder`.

    Every brick gives patches in proportion to its number of possible positions: those where at least
    `settings.min_coverage` of the pixels are usable in every band. Patches may overlap; none is taken twice.
    Positions depend on the seed, the names and the coverage alone, not on the order of the names, and the
    patches of a brick are scattered over all shards. Unusable pixels are filled from their neighbours, with
    invvar 0. Each brick is read twice, and one at a time is in memory.

    names : training bricks; a name given twice counts once
    read : gives the brick of a name, or raises BrickError: that brick is then skipped

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
    _clear(folder)
    slots = np.random.default_rng(settings.seed).permutation(settings.count)
    origins: list[tuple[int, int, str, int, int]] = []  # shard, row, brick, y, x
    with ExitStack() as files:
        shards = _create_shards(files, folder, settings, len(bands.pop()))
        for name in tqdm([name for name in patches if patches[name]], unit="brick", disable=None):
            brick = read(name)
            corners = draw_corners(brick, patches[name], settings)
            places = [divmod(int(slot), settings.shard_patches) for slot in slots[len(origins) :]]
            _copy(brick, corners, places, shards, settings.size)
            origins += [(*place, name, y, x) for place, (y, x) in zip(places, corners, strict=False)]
            del brick
    _write_positions(folder, origins, settings, len(shards))
    used = np.count_nonzero(list(patches.values()))
    _log.info("%d patches from %d bricks in %d shards", len(origins), used, len(shards))
    return PatchSummary(patches, len(shards), skipped)


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


def _clear(folder: Path) -> None:
    """Remove patches of an earlier run, their index first."""
    folder.mkdir(parents=True, exist_ok=True)
    for stale in (folder / POSITIONS, *folder.glob("image-*.npy"), *folder.glob("invvar-*.npy")):
        stale.unlink(missing_ok=True)


def _shard_file(folder: Path, kind: str, shard: int) -> Path:
    return folder / f"{kind}-{shard:03d}.npy"


def _create_shards(
    files: ExitStack, folder: Path, settings: PatchSettings, bands: int
) -> list[tuple[Array, Array]]:
    """Memory maps (image, invvar) of each shard, under temporary names until `files` closes."""
    shards: list[tuple[Array, Array]] = []
    for shard, start in enumerate(range(0, settings.count, settings.shard_patches)):
        rows = min(settings.shard_patches, settings.count - start)
        shape = (rows, bands, settings.size, settings.size)
        image, invvar = (
            _create_array(files.enter_context(atomic_path(_shard_file(folder, kind, shard))), shape)
            for kind in ("image", "invvar")
        )
        shards.append((image, invvar))
    return shards


def _create_array(path: Path, shape: tuple[int, ...]) -> Array:
    """Memory map of a new float32 .npy file, with its room on the disk: a full disk would kill us later.

    Raises OSError if there is no room.
    """
    array = open_memmap(path, mode="w+", dtype=np.float32, shape=shape)
    if hasattr(os, "posix_fallocate"):
        with path.open("r+b") as stream:
            try:
                os.posix_fallocate(stream.fileno(), 0, path.stat().st_size)
            except OSError as error:
                cause = f"no room for a shard of {array.nbytes / 1e6:.0f} MB of patches: {error.strerror}"
                raise OSError(error.errno, cause, str(path.parent)) from error
    return array


def _copy(
    brick: Brick,
    corners: Sequence[tuple[int, int]],
    places: Sequence[tuple[int, int]],
    shards: Sequence[tuple[Array, Array]],
    size: int,
) -> None:
    """Copy the patch at each corner to its place (shard, row)."""
    usable = brick.usable
    filled = fill(brick.image, usable)
    invvar = np.where(usable, brick.invvar, np.float32(0))
    for (y, x), (shard, row) in zip(corners, places, strict=False):
        cut = (slice(None), slice(y, y + size), slice(x, x + size))
        shards[shard][0][row] = filled[cut]
        shards[shard][1][row] = invvar[cut]


def _shard_files(folder: Path, shards: int) -> list[Path]:
    """Of the images, then of the invvars."""
    return [_shard_file(folder, kind, shard) for kind in ("image", "invvar") for shard in range(shards)]


def _write_positions(
    folder: Path, origins: Sequence[tuple[int, int, str, int, int]], settings: PatchSettings, shards: int
) -> None:
    table = Table(rows=sorted(origins), names=("shard", "row", "brick", "y", "x"))
    table.meta = {"size": settings.size, "min_coverage": settings.min_coverage, "seed": settings.seed}
    table.meta["sha256"] = {file.name: file_digest(file) for file in _shard_files(folder, shards)}
    with atomic_path(folder / POSITIONS) as partial:
        table.write(partial, format="ascii.ecsv")


@dataclass(frozen=True)
class PatchSet:
    """The patches of a folder, memory-mapped: nothing is read until it is asked for.

    images, invvars : one (n, band, y, x) float32 memory map per shard; nanomaggies, nanomaggies^-2
    bricks : (patches,) name of the brick that each comes from
    """

    images: tuple[Array, ...]
    invvars: tuple[Array, ...]
    bricks: Array

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Open what `cut_patches` wrote; raises SettingsError if the folder is not complete, or damaged."""
        if not (folder / POSITIONS).exists():
            raise SettingsError(
                f"patches: {folder / POSITIONS} is missing: the patches were not cut to the end"
            )
        file = folder / POSITIONS
        shards: list[Array] = []
        try:
            table = Table.read(file, format="ascii.ecsv")
            if not isinstance(digests := table.meta.get("sha256"), dict):
                raise ValueError("it has no sha256 of the shards")
            for file in _shard_files(folder, int(table["shard"].max()) + 1):
                if file_digest(file) != digests.get(file.name):
                    raise ValueError("its content has changed since it was cut")
                shards.append(np.load(file, mmap_mode="r"))
        except (OSError, KeyError, ValueError, EOFError) as error:
            cause = " ".join(str(error).split())
            raise SettingsError(
                f"patches: {file} is damaged ({cause}): remove it, and the next run cuts the patches again"
            ) from error
        images, invvars = tuple(shards[: len(shards) // 2]), tuple(shards[len(shards) // 2 :])
        if sum(map(len, images)) != len(table) or [a.shape for a in images] != [b.shape for b in invvars]:
            raise SettingsError(
                f"patches: the shards in {folder} do not agree with {POSITIONS}: cut them again"
            )
        return cls(images, invvars, np.asarray(table["brick"]))

    def __len__(self) -> int:
        return len(self.bricks)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(band, y, x) of a patch."""
        _, bands, height, width = self.images[0].shape
        return bands, height, width

    def get(self, indices: Sequence[int] | Array) -> tuple[Array, Array]:
        """Image and invvar of the patches with these numbers, each (n, band, y, x) float32, in memory."""
        image = np.empty((len(indices), *self.shape), dtype=np.float32)
        invvar = np.empty_like(image)
        ends = list(accumulate(map(len, self.images)))
        for row, index in enumerate(indices):
            if not 0 <= index < len(self):
                raise IndexError(f"patch {index} of {len(self)}")
            shard = bisect_right(ends, index)
            inside = index - (ends[shard - 1] if shard else 0)
            image[row], invvar[row] = self.images[shard][inside], self.invvars[shard][inside]
        return image, invvar
