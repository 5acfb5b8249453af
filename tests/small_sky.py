"""A small sky of bricks that overlap, brought into tiles as the workflow does it."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from builders import PIXEL, make_brick, make_denoised, make_noise, places, stamps, write_products

from skydenoise.config import SkySettings
from skydenoise.evaluate.detection.matched import moffats
from skydenoise.io.manifest import Entry, write_manifest
from skydenoise.sky.chunk import add_bricks
from skydenoise.sky.pyramid import Pyramid
from skydenoise.sky.survey import write_sky
from skydenoise.sky.tiles import read_tile

ORDER, EDGE = 5, 64 * PIXEL
"""Of pixels that are 64 times as wide as the survey's, so that there are six orders below."""
BANDS, SIGMA, SIZE = ("g", "r", "z"), (0.01, 0.012, 0.02), 200
NOISE, LEAST = make_noise(BANDS, SIGMA), {"input": 5.0, "denoised": 5.0}


@dataclass
class Sky:
    """A run's folder, and what the rules do in it."""

    folder: Path
    settings: ClassVar = SkySettings(order=ORDER, values=("r",))

    @property
    def root(self) -> Path:
        return self.folder / "run/sky"

    @property
    def pyramid(self) -> Pyramid:
        return Pyramid(self.root, self.settings, NOISE)

    def brick(self, name: str, x0: float = 0.0, level: float = 0.0, seed: int = 0) -> Entry:
        """Write a brick `x0` pixels to the right, and what was made of it; its line of a manifest."""
        generator = np.random.default_rng(seed)
        x, y = places(SIZE, 40, 40)
        truth = level + stamps((SIZE, SIZE), x, y, np.full((3, x.size), 2.0), moffats((4.0, 4.0, 4.0)))
        noisy = truth + np.reshape(SIGMA, (3, 1, 1)) * generator.standard_normal(truth.shape)
        write_products(
            self.folder, make_brick(noisy, SIGMA, BANDS, name=name, x0=x0, pixel=EDGE), make_denoised(truth)
        )
        return Entry(name, "done", sha256=f"{name} {level} {seed}", noise="0.01 0.012 0.02; 0 0 0")

    def add(self, *entries: Entry, chunk: str = "a") -> list[dict[str, Any]]:
        """What rule sky_chunk does."""
        fwhm = (4 * 3600 * EDGE,) * 3
        records = add_bricks(entries, self.folder / "raw", self.pyramid, fwhm, LEAST)
        write_manifest(self.folder / f"{chunk}.tsv", entries)
        (self.folder / f"{chunk}.json").write_text(json.dumps(records))
        return records

    def finish(self, *chunks: str) -> dict[str, Any]:
        """What rule sky does; what the page reads."""
        records = [self.folder / f"{chunk}.json" for chunk in chunks or "a"]
        manifests = [path.with_suffix(".tsv") for path in records]
        write_sky(self.pyramid, records, manifests, self.folder / "raw", "Simulated.", LEAST)
        content: dict[str, Any] = json.loads((self.root / "sky.json").read_text())
        return content

    def tiles(self, survey: str) -> dict[str, int]:
        """When each tile of a survey was written, by name."""
        files = (self.root / survey).glob("Norder*/Dir*/*")
        return {str(path.relative_to(self.root / survey)): path.stat().st_mtime_ns for path in files}


def finest(sky: Sky, survey: str) -> dict[int, np.ndarray]:
    """Pixels of the tiles made of bricks, by number."""
    return {
        int(path.stem[4:]): read_tile(path) for path in (sky.root / survey).glob(f"Norder{ORDER}/*/Npix*")
    }
