"""Four bricks that overlap, and the sources on them."""

from pathlib import Path

import numpy as np
import pytest
from mosaic_bricks import SCALE, SIZE, brick_wcs, sky, write

from skydenoise.mosaic import MosaicInput


@pytest.fixture
def centres() -> list[tuple[float, float]]:
    """Neighbours at declination 60, 100 pixels apart: they overlap by 60."""
    return [
        (150 + column * 100 * SCALE / np.cos(np.pi / 3), 60 + row * 100 * SCALE)
        for row in (0, 1)
        for column in (0, 1)
    ]


@pytest.fixture
def sources(centres: list[tuple[float, float]]) -> np.ndarray:
    """(source, 3): right ascension, declination, flux; in overlaps of four and of two, and in one brick."""
    (ra0, dec0), (ra1, dec1) = centres[0], centres[3]
    places = [(0.5, 0.5), (0.5, 0.05), (0.03, 0.48), (1.0, 1.0), (0.0, 0.0), (0.52, 0.95), (1.35, 0.75)]
    fluxes = [30.0, 5.0, 12.0, 80.0, 3.0, 20.0, 7.0]
    return np.array(
        [
            (ra0 + x * (ra1 - ra0), dec0 + y * (dec1 - dec0), f)
            for (x, y), f in zip(places, fluxes, strict=True)
        ]
    )


@pytest.fixture
def inputs(tmp_path: Path, centres: list[tuple[float, float]], sources: np.ndarray) -> list[MosaicInput]:
    generator = np.random.default_rng(3)
    items = []
    for index, (ra, dec) in enumerate(centres):
        wcs = brick_wcs(ra, dec)
        invvar = generator.uniform(500, 2000, (SIZE, SIZE)) * (index + 1)
        items.append(write(tmp_path, f"150{index}p600", wcs, sky(wcs, (SIZE, SIZE), sources), invvar))
    return items
