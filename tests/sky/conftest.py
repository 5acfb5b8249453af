"""A small sky of bricks that overlap, brought into tiles as the workflow does it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from builders import make_brick, make_denoised, make_noise, places, stamps, write_products

from skydenoise.config import SkySettings
from skydenoise.evaluate.detection.matched import moffats
from skydenoise.io.atomic import write_text
from skydenoise.io.manifest import Entry, write_manifest
from skydenoise.sky.chunk import Search, add_bricks
from skydenoise.sky.pyramid import Pyramid, pyramid_of
from skydenoise.sky.survey import About, write_sky

BANDS, SIGMA, SIZE = ("g", "r", "z"), (0.01, 0.012, 0.02), 200
NOISE = make_noise(BANDS, SIGMA)


@dataclass
class Sky:
    """A run's folder, and what the rules do in it."""

    folder: Path
    settings: SkySettings = SkySettings(order=11, values=("r", "z"))

    @property
    def pyramid(self) -> Pyramid:
        return pyramid_of(self.folder / "run/sky", self.settings, NOISE)

    def brick(self, name: str, x0: float = 0.0, level: float = 0.0, seed: int = 0) -> Entry:
        """Write a brick `x0` pixels to the right, and what was made of it; its line of a manifest."""
        generator = np.random.default_rng(seed)
        x, y = places(SIZE, 40, 40)
        truth = level + stamps((SIZE, SIZE), x, y, np.full((3, x.size), 2.0), moffats((4.0, 4.0, 4.0)))
        noisy = truth + np.reshape(SIGMA, (3, 1, 1)) * generator.standard_normal(truth.shape)
        write_products(self.folder, make_brick(noisy, SIGMA, BANDS, name=name, x0=x0), make_denoised(truth))
        return Entry(name, "done", sha256=f"{name} {level} {seed}", noise="0.01 0.012 0.02; 0 0 0")

    def add(self, *entries: Entry, chunk: str = "a") -> list[dict]:
        search = Search(NOISE, (1.05, 1.05, 1.05), {"input": 5.0, "denoised": 5.0})
        records = add_bricks(entries, self.folder / "raw", self.pyramid, search)
        write_manifest(self.folder / f"{chunk}.tsv", entries)
        self.records = self.folder / f"{chunk}.json"
        import json

        write_text(self.records, json.dumps(records))
        return records

    def finish(self) -> None:
        about = About("small", "Simulated.", {"input": 5.0, "denoised": 5.0}, NOISE)
        write_sky(self.pyramid, [self.records], [self.folder / "a.tsv"], self.folder / "raw", about)


@pytest.fixture
def sky(tmp_path: Path) -> Sky:
    return Sky(tmp_path)
