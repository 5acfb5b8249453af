"""Tiles over an image, the weight of their pixels, and the blend of what comes back, without seams."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

Origin = tuple[int, int]
"""(y, x) of a tile's first pixel."""


def axis_origins(size: int, tile: int, overlap: int) -> tuple[int, ...]:
    """First pixels of the tiles along one axis of `size` pixels.

    With step = tile - overlap the fewest tiles that share at least `overlap` pixels are

        n = ceil((size - overlap) / step),      origin_i = floor(i * (size - tile) / (n - 1)),  i = 0 .. n-1.

    The first tile begins and the last one ends at the image's border, and what is left over is spread evenly
    as a little more overlap, for a last tile that is merely pushed inside would be blended differently from
    all others. Neighbours are at most `step` apart: (size - tile) / (n - 1) <= step, and step is a whole
    number.

    Raises
    ------
    ValueError : size < tile, or overlap not in [0, tile)
    """
    if not 0 <= overlap < tile:
        raise ValueError(f"overlap {overlap} is not in the range [0, {tile})")
    if size < tile:
        raise ValueError(f"{size} pixels are fewer than a tile of {tile}")
    gaps = -(-(size - tile) // (tile - overlap))
    return tuple(i * (size - tile) // gaps for i in range(gaps + 1)) if gaps else (0,)


def window(tile: int, overlap: int) -> NDArray[np.float32]:
    """Weight of a tile's pixels along one axis: (tile,), in (0, 1]; in 2-D the outer product of two.

    A raised cosine sin^2(pi/2 (k + 1/2) / r) rises over the first r = min(overlap, tile // 2) pixels and
    falls over the last r, where a network sees the least context; flat between. Sampled at half pixels it is
    never 0, so that every pixel of the image has weight, at its corners too, and two neighbours that share
    exactly r pixels add up to 1.
    """
    ramp = min(overlap, tile // 2)
    weight = np.ones(tile)
    rise = np.sin(np.pi / 2 * (np.arange(ramp) + 0.5) / max(ramp, 1)) ** 2
    weight[:ramp] = rise
    weight[tile - ramp :] = rise[::-1]
    return weight.astype(np.float32)


@dataclass(frozen=True)
class TileGrid:
    """Cover of an image by square tiles, regular along both axes.

    height, width : of the image, each at least one tile
    tile, overlap : edge of a tile, and pixels that neighbours share at least

    Raises
    ------
    ValueError : image smaller than a tile, or overlap not in [0, tile)
    """

    height: int
    width: int
    tile: int
    overlap: int

    def __post_init__(self) -> None:
        axis_origins(self.height, self.tile, self.overlap)
        axis_origins(self.width, self.tile, self.overlap)

    @property
    def rows(self) -> tuple[int, ...]:
        """First y of each row of tiles."""
        return axis_origins(self.height, self.tile, self.overlap)

    @property
    def columns(self) -> tuple[int, ...]:
        """First x of each column of tiles."""
        return axis_origins(self.width, self.tile, self.overlap)

    @property
    def origins(self) -> list[Origin]:
        """(y, x) of every tile, row by row."""
        return [(y, x) for y in self.rows for x in self.columns]


def cut_tiles(image: torch.Tensor, origins: Sequence[Origin], tile: int) -> torch.Tensor:
    """Copies of the tiles at `origins`: (band, y, x) -> (n, band, tile, tile)."""
    return torch.stack([image[:, y : y + tile, x : x + tile] for y, x in origins])


class Blender:
    """Weighted mean of overlapping tiles, sum(w x) / sum(w), gathered tile by tile in float32.

    Windows are separable and the grid is regular, so sum(w) is the product of two sums along the axes: each
    tile is added with weights that are already divided by it. A tile that is never added leaves zeros where
    no other lies over it. Tiles cut from one image give it back to 1e-6 of each pixel, for overlaps up to
    7/8 of a tile.

    grid, bands : shape of the result
    device : of the tiles and of the result

    Attributes
    ----------
    result : (band, height, width) float32, the blend of what was added so far
    """

    def __init__(self, grid: TileGrid, bands: int, device: torch.device | str = "cpu") -> None:
        self.grid = grid
        self.result = torch.zeros((bands, grid.height, grid.width), device=device)
        self._down = self._shares(grid.rows, grid.height)
        self._along = self._shares(grid.columns, grid.width)

    def add(self, origins: Sequence[Origin], tiles: torch.Tensor) -> None:
        """Add tiles (n, band, tile, tile), any floating dtype, that lie at `origins`."""
        size = self.grid.tile
        for (y, x), tile in zip(origins, tiles, strict=True):
            share = self._down[y][:, None] * self._along[x]
            self.result[:, y : y + size, x : x + size].addcmul_(tile.float(), share)

    def _shares(self, origins: Sequence[int], size: int) -> dict[int, torch.Tensor]:
        """Per tile along an axis its window over the sum of all windows there: (tile,)."""
        tile = self.grid.tile
        edge = window(tile, self.grid.overlap)
        total = np.zeros(size)
        for origin in origins:
            total[origin : origin + tile] += edge
        return {
            origin: torch.from_numpy((edge / total[origin : origin + tile]).astype(np.float32)).to(
                self.result.device
            )
            for origin in origins
        }
