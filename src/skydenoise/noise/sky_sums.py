"""Sums over the empty sky of one brick, from which strength and correlation of the noise follow."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from skydenoise.noise.correlation import autocorrelation
from skydenoise.noise.sky import empty_sky

if TYPE_CHECKING:
    from skydenoise.io import Brick

Array = NDArray[Any]

BLOCK, BLOCKS = 512, 12
"""Largest edge of a block, pixels, and blocks of each band: 3 million pixels give rho to 0.001."""
OUTLIER = 5.0
"""Single pixels beyond this many sigma, of either sign, are defects."""


@dataclass
class Tally:
    """Sums over the blocks of one band, of one brick or of several; y is whitened, x sqrt(invvar).

    products, pairs : (2L+1, 2L+1), sum of y(p) y(p+d) over pairs of sky pixels, and number of pairs
    variances, pixels : of y, robust, and sky pixels, per block
    inverse_root : 1 / sqrt(invvar) of a sample of pixels, per brick
    backgrounds : median of the sky pixels, nanomaggies, per block
    """

    products: Array
    pairs: Array
    variances: list[float] = field(default_factory=list)
    pixels: list[int] = field(default_factory=list)
    inverse_root: list[Array] = field(default_factory=list)
    backgrounds: list[float] = field(default_factory=list)

    @classmethod
    def empty(cls, max_lag: int) -> Tally:
        """Of nothing; max_lag : L, pixels."""
        edge = 2 * max_lag + 1
        return cls(np.zeros((edge, edge)), np.zeros((edge, edge)))

    def add(self, image: Array, y: Array, sky: Array) -> None:
        """Count in a block where `sky`: its pixels, (y, x) nanomaggies, and the same whitened."""
        values = y[sky]
        centre = np.median(values)
        variance = float(1.4826 * np.median(np.abs(values - centre))) ** 2
        if variance == 0:  # an empty image that claims to be measured
            return
        kept = sky & (np.abs(y - centre) < OUTLIER * np.sqrt(variance))
        deviation = np.where(kept, y - y[kept].mean(), 0)
        max_lag = self.products.shape[0] // 2
        self.products += autocorrelation(deviation, max_lag)
        self.pairs += autocorrelation(kept, max_lag)
        self.variances.append(variance)
        self.pixels.append(int(values.size))
        self.backgrounds.append(float(np.median(image[sky])))

    def join(self, other: Tally) -> None:
        """Count in what the other has."""
        self.products += other.products
        self.pairs += other.pairs
        self.variances += other.variances
        self.pixels += other.pixels
        self.inverse_root += other.inverse_root
        self.backgrounds += other.backgrounds


def tally_sky(brick: Brick, max_lag: int) -> list[Tally]:
    """One tally for each band of a brick; max_lag : L, pixels."""
    tallies = [Tally.empty(max_lag) for _ in brick.bands]
    step = max(1, min(brick.shape) // 200)
    for tally, invvar, covered in zip(tallies, brick.invvar, brick.usable, strict=True):
        tally.inverse_root.append(1 / np.sqrt(invvar[::step, ::step][covered[::step, ::step]]))
    for block in tally_blocks(brick, max_lag):
        for tally, found in zip(tallies, block, strict=True):
            tally.join(found)
    return tallies


def tally_blocks(
    brick: Brick, max_lag: int, edge: int = BLOCK, number: int = BLOCKS
) -> Iterator[list[Tally]]:
    """Yield a tally for each band, block by block; it is empty where there is too little sky.

    edge : of a block at most, pixels
    number : of the blocks of each band, spread evenly over what it covers
    """
    usable = brick.usable
    for rows, columns in _blocks(usable, edge, number):
        tallies = [Tally.empty(max_lag) for _ in brick.bands]
        block = (slice(None), rows, columns)
        whitened, sky = empty_sky(brick.image[block], brick.invvar[block], usable[block], brick.masked[block])
        for tally, image, y, here in zip(tallies, brick.image[block], whitened, sky, strict=True):
            if np.count_nonzero(here) > here.size / 50:  # fewer are the dregs of a crowded or uncovered block
                tally.add(image, y, here)
        yield tallies


def _blocks(usable: Array, edge: int, number: int) -> Iterator[tuple[slice, slice]]:
    """Blocks (rows, columns) spread over the covered area of each band of `usable` (band, y, x)."""
    parts = [max(2, -(-size // edge)) for size in usable.shape[1:]]
    edges = [np.linspace(0, size, n + 1).astype(int) for size, n in zip(usable.shape[1:], parts, strict=True)]
    rows, columns = ([slice(a, b) for a, b in itertools.pairwise(each)] for each in edges)
    blocks = [(row, column) for row in rows for column in columns]
    covered = np.array([usable[:, row, column].mean(axis=(1, 2)) for row, column in blocks])  # (block, band)
    chosen: set[int] = set()
    for fraction in covered.T:
        full = np.flatnonzero((fraction >= min(0.5, fraction.max())) & (fraction > 0))
        if len(full):
            chosen.update(full[np.linspace(0, len(full) - 1, number).round().astype(int)])
    for index in sorted(chosen):
        yield blocks[index]
