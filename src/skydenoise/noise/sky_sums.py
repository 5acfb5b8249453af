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

BLOCK = 512
"""Largest edge of a block, pixels."""
BLOCKS_PER_BAND = 12
"""Blocks of a brick that are looked at, spread evenly: 3 million pixels give rho to 0.001."""
OUTLIER = 5.0
"""Single pixels beyond this many sigma, of either sign, are defects."""


@dataclass
class Tally:
    """Sums over the blocks of one band, of one brick or of several; y is whitened, x sqrt(invvar).

    products, pairs : (2L+1, 2L+1), sum of y(p) y(p+d) over pairs of sky pixels, and number of pairs
    variances, pixels : of y, robust, and sky pixels, per block
    inverse_root : 1 / sqrt(invvar) of a sample of pixels, per brick
    """

    products: Array
    pairs: Array
    variances: list[float] = field(default_factory=list)
    pixels: list[int] = field(default_factory=list)
    inverse_root: list[Array] = field(default_factory=list)

    @classmethod
    def empty(cls, max_lag: int) -> Tally:
        """Of nothing; max_lag : L, pixels."""
        edge = 2 * max_lag + 1
        return cls(np.zeros((edge, edge)), np.zeros((edge, edge)))

    def add(self, y: Array, sky: Array) -> None:
        """Count in the whitened pixels `y` of a block where `sky`."""
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

    def join(self, other: Tally) -> None:
        """Count in what the other has."""
        self.products += other.products
        self.pairs += other.pairs
        self.variances += other.variances
        self.pixels += other.pixels
        self.inverse_root += other.inverse_root


def tally_sky(brick: Brick, max_lag: int) -> list[Tally]:
    """One tally for each band of a brick; max_lag : L, pixels."""
    usable = brick.usable
    step = max(1, min(brick.shape) // 200)
    tallies = [Tally.empty(max_lag) for _ in brick.bands]
    for tally, invvar, covered in zip(tallies, brick.invvar, usable, strict=True):
        tally.inverse_root.append(1 / np.sqrt(invvar[::step, ::step][covered[::step, ::step]]))
    for rows, columns in _blocks(usable):
        block = (slice(None), rows, columns)
        whitened, sky = empty_sky(brick.image[block], brick.invvar[block], usable[block], brick.masked[block])
        for tally, y, here in zip(tallies, whitened, sky, strict=True):
            if np.count_nonzero(here) > here.size / 50:  # fewer are the dregs of a crowded or uncovered block
                tally.add(y, here)
    return tallies


def _blocks(usable: Array) -> Iterator[tuple[slice, slice]]:
    """Blocks (rows, columns) spread over the covered area of each band of `usable` (band, y, x)."""
    edges = [np.linspace(0, size, max(2, -(-size // BLOCK)) + 1).astype(int) for size in usable.shape[1:]]
    rows, columns = ([slice(a, b) for a, b in itertools.pairwise(edge)] for edge in edges)
    blocks = [(row, column) for row in rows for column in columns]
    covered = np.array([usable[:, row, column].mean(axis=(1, 2)) for row, column in blocks])  # (block, band)
    chosen: set[int] = set()
    for fraction in covered.T:
        full = np.flatnonzero((fraction >= min(0.5, fraction.max())) & (fraction > 0))
        if len(full):
            chosen.update(full[np.linspace(0, len(full) - 1, BLOCKS_PER_BAND).round().astype(int)])
    for index in sorted(chosen):
        yield blocks[index]
