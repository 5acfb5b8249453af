"""Which bricks lie in which tile: a list in files, because jobs that know nothing of each other share tiles.

`<sky>/bricks/<cell>/<brick>.json` holds a brick's digest and its tiles in one cell, a HEALPix pixel five
orders above the tiles. A brick is listed before its tiles are made, so of two jobs that make a tile at the
same time the later one knows the bricks of both.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from skydenoise.io.atomic import write_text

CELL_TILES = 4**5
LISTED = "[!.]*.json"
"""Files of bricks, and none that another job has half written."""


def _folder(root: Path, cell: int) -> Path:
    return root / "bricks" / str(cell)


def enlist(root: Path, brick: str, digest: str, tiles: np.ndarray) -> set[int]:
    """List a brick in its cells; returns its tiles, and those of these cells that it has left."""
    affected = {int(tile) for tile in tiles}
    for cell in np.unique(tiles // CELL_TILES):
        path = _folder(root, cell) / f"{brick}.json"
        if path.exists():
            affected.update(json.loads(path.read_text())["tiles"])
        inside = tiles[tiles // CELL_TILES == cell].tolist()
        write_text(path, json.dumps({"digest": digest, "tiles": inside}))
    return affected


def bricks_of(root: Path, tile: int) -> dict[str, str]:
    """Digests of the bricks in a tile, by name, sorted."""
    found = {}
    for path in sorted(_folder(root, tile // CELL_TILES).glob(LISTED)):
        listed = json.loads(path.read_text())
        if tile in listed["tiles"]:
            found[path.stem] = listed["digest"]
    return found


def strike(root: Path, digests: Mapping[str, str]) -> set[int]:
    """Take bricks that are gone, or no longer where they were, off the list; returns the tiles they had.

    digests : of the bricks that are there, by name
    """
    affected: set[int] = set()
    for path, listed in _all(root):
        if digests.get(path.stem) != listed["digest"]:
            affected.update(listed["tiles"])
            path.unlink()
    return affected


def all_tiles(root: Path) -> list[int]:
    """Numbers of the tiles that hold a brick, rising."""
    return sorted({tile for _, listed in _all(root) for tile in listed["tiles"]})


def _all(root: Path) -> Iterator[tuple[Path, dict]]:
    for path in (root / "bricks").glob(f"*/{LISTED}"):
        yield path, json.loads(path.read_text())
