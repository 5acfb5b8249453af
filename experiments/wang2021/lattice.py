"""A large crystal lattice (paper, Figs 7 and 8), and how straight and how sharp a denoiser leaves it.

Two kinds of columns, as in SmCo: heavy ones at the corners of the unit cell, light ones in close pairs at its
centre. Every frame has a cell of its own, slightly strained and turned, the same all over the frame: true
rows are straight. Electrons are counted: Poisson noise. Unit of all images: electrons.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from tqdm import tqdm

from experiments.wang2021.frames import Data
from experiments.wang2021.settings import LatticeSettings
from experiments.wang2021.spots import add_spots, located

Array = NDArray[np.float64]

BASELINE = 128.0
"""Length (pixels) over which columns are averaged for the long-range straightness: that of a small patch."""
LONG_ROW = 0.7
"""Part of the frame's edge that a row must reach over to be measured."""
MARGIN = 16
"""Pixels at the frame's edge whose columns are not measured."""


@dataclass(frozen=True, eq=False)
class Lattice:
    """Geometry of one frame.

    basis : (2, 2) rows are the cell's edges as (y, x), pixels: along the columns' rows it is basis[1]
    origin : (2,) one heavy column
    size : edge of the frame, pixels
    """

    basis: Array
    origin: Array
    size: int

    def cells(self) -> NDArray[np.int64]:
        """Numbers (n, 2) of all cells whose corner may be within a cell of the frame."""
        corners = np.array([[y, x] for y in (0, self.size) for x in (0, self.size)]) - self.origin
        reach = np.abs(corners @ np.linalg.inv(self.basis)).max(axis=0).astype(int) + 2
        steps = np.mgrid[-reach[0] : reach[0] + 1, -reach[1] : reach[1] + 1].reshape(2, -1).T
        places = self.origin + steps @ self.basis
        near = (np.abs(places - self.size / 2) < self.size / 2 + np.abs(self.basis).sum()).all(axis=1)
        return np.asarray(steps[near])

    def heavy(self, cells: NDArray[np.int64]) -> Array:
        """Heavy column of each cell, (n, 2)."""
        return np.asarray(self.origin + cells @ self.basis)

    def pairs(self, cells: NDArray[np.int64], pair: float) -> Array:
        """The two light columns of each cell, (n, 2, 2): they lie along the rows, `pair` pixels apart."""
        centre = self.heavy(cells) + self.basis.sum(axis=0) / 2
        along = self.basis[1] / np.linalg.norm(self.basis[1])
        return centre[:, None] + np.array([-0.5, 0.5])[:, None] * pair * along


def draw_lattice(settings: LatticeSettings, generator: np.random.Generator) -> Lattice:
    """A frame's own lattice: the cell strained and turned by a little, the origin anywhere."""
    strain = np.eye(2) + settings.strain * generator.normal(size=(2, 2))
    turn = np.radians(settings.tilt) * generator.normal()
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    basis = np.diag(settings.cell) @ strain @ rotation
    return Lattice(basis, generator.uniform(0, settings.cell, 2), settings.size)


def simulate(settings: LatticeSettings, generator: np.random.Generator) -> Data:
    """Frames in electrons, all measured; the notes hold `basis` and `origin` of each lattice."""
    noisy, clean = np.empty((2, settings.frames, settings.size, settings.size), np.float32)
    notes: dict[str, list[Any]] = {"basis": [], "origin": []}
    for index in tqdm(range(settings.frames), "frames", unit="frame", disable=None):
        lattice = draw_lattice(settings, generator)
        clean[index] = expected(lattice, settings, generator)
        noisy[index] = generator.poisson(clean[index])
        notes["basis"].append(lattice.basis.tolist())
        notes["origin"].append(lattice.origin.tolist())
    return Data(noisy, clean, followed=1, notes=notes)


def lattices_of(data: Data) -> list[Lattice]:
    """The true lattice of each frame."""
    places = zip(data.notes["basis"], data.notes["origin"], strict=True)
    return [Lattice(np.array(basis), np.array(origin), data.clean.shape[-1]) for basis, origin in places]


def expected(lattice: Lattice, settings: LatticeSettings, generator: np.random.Generator) -> Array:
    """Expected electrons, (y, x) float64; the generator scatters the columns' heights."""
    clean = np.full((lattice.size, lattice.size), float(settings.background))
    cells = lattice.cells()
    for places, height in (
        (lattice.heavy(cells), settings.heavy),
        (lattice.pairs(cells, settings.pair).reshape(-1, 2), settings.light),
    ):
        factors = np.maximum(0, 1 + settings.scatter * generator.normal(size=len(places)))
        add_spots(clean, places, height * factors, settings.probe)
    return clean


@dataclass(frozen=True, eq=False)
class Row:
    """A row of fitted heavy columns.

    along : (n,) true places along the row, pixels
    residuals : (n, 2) fitted places (y, x) less the straight, evenly spaced row that fits them best, pixels
    """

    along: Array
    residuals: Array

    def means(self) -> Array:
        """Mean residual (k, 2) of the columns within each `BASELINE`, but for pieces under half as long."""
        label = ((self.along - self.along.min()) / BASELINE).astype(int)
        counts = np.bincount(label)
        sums = np.stack([np.bincount(label, self.residuals[:, axis]) for axis in range(2)], axis=1)
        full = counts >= counts.max() / 2
        return np.asarray(sums[full] / counts[full, None])


def fitted_rows(image: NDArray[Any], lattice: Lattice, settings: LatticeSettings) -> tuple[list[Row], float]:
    """Rows that are long enough, and the fraction of columns for which no centre was found; image (y, x).

    The fit takes offset and slope of each row, so a lattice that is moved or strained as a whole counts as
    straight.
    """
    cells = lattice.cells()
    places = lattice.heavy(cells)
    inside = ((places >= MARGIN) & (places <= lattice.size - 1 - MARGIN)).all(axis=1)
    cells, places = cells[inside], places[inside]
    offsets = located(image, places, settings.probe) - places
    lost = np.isnan(offsets[:, 0])
    rows = []
    for number in np.unique(cells[:, 0]):
        chosen = (cells[:, 0] == number) & ~lost
        along = places[chosen] @ lattice.basis[1] / np.linalg.norm(lattice.basis[1])
        if np.count_nonzero(chosen) >= 4 and np.ptp(along) >= LONG_ROW * lattice.size:
            rows.append(Row(along, _without_line(along, offsets[chosen])))
    return rows, float(lost.mean()) if len(lost) else float("nan")


def straightness(image: NDArray[Any], lattice: Lattice, settings: LatticeSettings) -> dict[str, float]:
    """How far fitted heavy columns of a frame (y, x) are from straight, evenly spaced rows; 0 for the truth.

    single : rms of a column's residual, pixels, along one axis; NaN if no row is long enough
    long_range : rms of the mean residual of the columns within `BASELINE` pixels: what the eye sees as a bent
        row. Independent errors of single columns add to it, too, by single / sqrt(columns in a baseline)
    lost : fraction of the columns for which no centre was found
    """
    rows, lost = fitted_rows(image, lattice, settings)
    single = np.concatenate([np.empty((0, 2)), *(row.residuals for row in rows)])
    long_range = np.concatenate([np.empty((0, 2)), *(row.means() for row in rows)])
    return {"single": _rms(single), "long_range": _rms(long_range), "lost": lost}


def _rms(values: Array) -> float:
    return float(np.sqrt(np.mean(values**2))) if values.size else float("nan")


def _without_line(along: Array, offsets: Array) -> Array:
    """Offsets (n, 2) less a straight line in `along` (n,), each axis alone, scaled by the freedom left."""
    line = np.polynomial.polynomial.polyfit(along, offsets, 1)
    left = offsets - np.polynomial.polynomial.polyval(along, line).T
    return np.asarray(left * np.sqrt(len(along) / (len(along) - 2)))


def sharpness(image: NDArray[Any], clean: NDArray[Any], lattice: Lattice, settings: LatticeSettings) -> float:
    """Contrast of close pairs relative to the truth: 1 as sharp as it, 0 where two columns have merged.

    The contrast of a pair is the mean of its two columns less the point between them. It is summed over all
    pairs of the frame, so noise does not raise it; a noisy image has 1, too.

    image, clean : (y, x), electrons
    """
    pairs = lattice.pairs(lattice.cells(), settings.pair)
    inside = ((pairs >= MARGIN) & (pairs <= lattice.size - 1 - MARGIN)).all(axis=(1, 2))
    seen, true = (_pair_contrast(each, pairs[inside]).sum() for each in (image, clean))
    return float(seen / true)


def _pair_contrast(image: NDArray[Any], pairs: Array) -> Array:
    """Mean of the two columns less the point between them, (n,); cubic interpolation."""
    points = np.concatenate([pairs, pairs.mean(axis=1, keepdims=True)], axis=1)  # (n, 3, 2)
    values = ndimage.map_coordinates(np.asarray(image, dtype=float), np.moveaxis(points, -1, 0), order=3)
    return np.asarray(values[:, :2].mean(axis=1) - values[:, 2])
