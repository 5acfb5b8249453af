"""Tiles made of bricks, and tiles made of tiles: those that are out of date, and no others.

Several jobs may work on one sky: each tile is made by one at a time, of all bricks that are listed for it.
"""

import hashlib
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from skydenoise.config import SkySettings
from skydenoise.errors import BrickError
from skydenoise.evaluate.figures.colour import Composite
from skydenoise.io.lock import only_one
from skydenoise.noise import NoiseModel
from skydenoise.sky.bricks import bricks_of
from skydenoise.sky.sheet import KINDS, MARKS, Sheet, tile_of
from skydenoise.sky.tiles import parent_of, read_key, read_tile, tile_path, write_tile

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Pyramid:
    """The surveys of a run's sky: input, denoised and flags as PNG, and each kind in some bands as FITS.

    root : folder of the sky; each survey has one in it
    settings : order of the tiles that are made of bricks, and bands whose values are kept, as FITS
    noise : of the training bricks
    """

    root: Path
    settings: SkySettings
    noise: NoiseModel

    @property
    def order(self) -> int:
        """Of the tiles that are made of bricks."""
        return self.settings.order

    @cached_property
    def colours(self) -> Composite:
        """How nanomaggies become colours, the same all over the sky.

        Bands count by the root of their noise, so that neither the deepest nor the reddest alone sets the
        colour; at the survey's depths, as its own viewer weighs g, r and z.
        """
        sigma, count = self.noise.sigma_sky, len(self.noise.bands)
        shown = (count - 1, count // 2, 0) if count >= 3 else tuple(range(count))
        weights = tuple(sigma[band] ** -0.5 for band in shown)
        return Composite(shown, weights, sum(sigma[band] for band in shown) ** 0.5 / len(shown))

    @property
    def surveys(self) -> dict[str, str]:
        """Suffix of the files of each survey, by name; last the one that says what its tiles were made of."""
        names = {f"{kind}-{band}": "fits" for kind in KINDS for band in self.settings.values}
        return names | dict.fromkeys(("flags", "input", "denoised"), "png")

    def paths(self, order: int, tile: int) -> dict[str, Path]:
        """Files of a tile by survey."""
        return {name: tile_path(self.root / name, order, tile, end) for name, end in self.surveys.items()}

    def bring_up_to_date(self, tiles: Iterable[int], read: Callable[[str], Sheet]) -> int:
        """Make those of these tiles whose bricks are not those that they were made of, then what is above.

        read : gives the sheet of a brick, or raises BrickError; a brick that cannot be read is left out

        Returns how many tiles were made of bricks.
        """
        above, made = set(tiles), 0
        by_brick = sorted(above, key=lambda tile: list(bricks_of(self.root, tile)))  # each is read once
        for tile in tqdm(by_brick, desc="tiles", unit="tile", disable=None):
            with self._alone(self.order, tile):
                made += self._make(tile, read)
        for order in reversed(range(self.order)):
            above = {tile // 4 for tile in above}
            for tile in sorted(above):
                with self._alone(order, tile):
                    self._raise(order, tile)
        return made

    def _alone(self, order: int, tile: int) -> AbstractContextManager[None]:
        folder = self.root / "locks"
        folder.mkdir(parents=True, exist_ok=True)
        return only_one(folder / f"{order}-{tile}")

    def _make(self, tile: int, read: Callable[[str], Sheet]) -> bool:
        """One tile of its bricks; whether that was needed."""
        bricks, paths = bricks_of(self.root, tile), self.paths(self.order, tile)
        if not bricks:
            for path in paths.values():
                path.unlink(missing_ok=True)
            return False
        if read_key(paths["denoised"]) == self._key(bricks):
            return False
        sheets = []
        for brick in list(bricks):
            try:
                sheets.append(read(brick))
            except BrickError as error:
                log.warning("left out of the sky: %s", error)
                del bricks[brick]  # and tried again by the next run
        if sheets:
            key = self._key(bricks)
            for name, pixels in self._planes(*tile_of(self.order, tile, sheets)):
                write_tile(paths[name], pixels, key)
        return bool(sheets)

    def _key(self, bricks: Mapping[str, str]) -> str:
        """Digest of what decides on a tile."""
        text = f"{sorted(bricks.items())} {self.colours} {list(self.settings.values)}"
        return hashlib.sha256(text.encode()).hexdigest()[:24]

    def _planes(
        self, images: Mapping[str, NDArray[np.float32]], marks: NDArray[np.uint8]
    ) -> Iterator[tuple[str, NDArray[np.float32]]]:
        """Pixels (plane, y, x) of each survey, in the order of `surveys`."""
        for kind in KINDS:
            for band in self.settings.values:
                yield f"{kind}-{band}", images[kind][[self.noise.bands.index(band)]]
        palette = np.array([(np.nan,) * 3, *MARKS.values()], np.float32)
        yield "flags", palette[marks].transpose(2, 0, 1)
        for kind in ("input", "denoised"):
            image = images[kind]
            colours = self.colours.render(np.nan_to_num(image)).astype(np.float32)
            colours[~np.isfinite(image[list(self.colours.bands)]).any(axis=0)] = np.nan
            yield kind, colours.transpose(2, 0, 1)

    def _raise(self, order: int, tile: int) -> None:
        """One tile of the four below, in every survey in which it is not younger than they are."""
        below = [self.paths(order + 1, 4 * tile + number) for number in range(4)]
        for name, path in self.paths(order, tile).items():
            children = [paths[name] if paths[name].exists() else None for paths in below]
            times = [child.stat().st_mtime_ns for child in children if child]
            if not times:
                path.unlink(missing_ok=True)
            elif not path.exists() or path.stat().st_mtime_ns <= max(times):
                write_tile(path, parent_of([read_tile(child) if child else None for child in children]))
