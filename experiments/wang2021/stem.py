"""Simulated dark-field STEM series (paper, Fig. 3): nanoparticles on a thin support, lone atoms around them.

The signal of a column of atoms grows with their number, its image is the probe, a Gaussian, and what is
counted are single electrons: Poisson noise, a few electrons per pixel. Unit of all images: electrons.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, spatial
from tqdm import tqdm

from experiments.wang2021.frames import Data
from experiments.wang2021.settings import StemSettings
from experiments.wang2021.spots import add_spots

Array = NDArray[np.float64]

ZONES = (((0.5, 0.0), (0.0, 0.5)), ((0.5, 0.354), (0.5, -0.354)))
"""Basis of the columns of a face-centred cubic crystal seen along [001] and [110], in lattice constants."""
SATURATION = 8.0
"""Atoms in a column after which its signal is 1 - 1/e of the most: the others are in their shadow."""
SUPPORT_WAVE, SUPPORT_RIPPLE = 48.0, 0.15
"""Length (pixels) and rms (relative) of the slow changes of the support's thickness."""
FOLLOWED = 4
"""Measured frames that are denoised at every snapshot."""
CLEARANCE = 3.0
"""Probe sigmas that lone atoms keep from particles; from each other, twice as many."""


@dataclass(frozen=True, eq=False)
class StemFrame:
    """One frame as it would be with endless exposure.

    clean : (y, x) expected electrons
    atoms : (n, 2) centres of the lone atoms (y, x), pixels
    outlines : (particle, 6, 3) facets (a, b, c): the particle, with a rim of one probe, is where
        a y + b x <= c for all six
    """

    clean: NDArray[Any]
    atoms: Array
    outlines: Array

    @cached_property
    def particles(self) -> NDArray[np.bool_]:
        """Within a particle or its rim, (y, x) bool."""
        y, x = np.indices(self.clean.shape)
        inside = np.zeros(self.clean.shape, dtype=bool)
        for facets in self.outlines:
            inside |= np.logical_and.reduce([a * y + b * x <= c for a, b, c in facets])
        return inside

    def empty(self, probe: float) -> NDArray[np.bool_]:
        """Support without anything on it: four probe sigmas from any atom or particle, (y, x) bool."""
        occupied = self.particles.copy()
        y, x = np.rint(self.atoms).astype(int).T
        occupied[y, x] = True
        return far_from(occupied, 4 * probe)


def far_from(occupied: NDArray[np.bool_], distance: float) -> NDArray[np.bool_]:
    """Pixels further than `distance` from every occupied one, of the same shape."""
    if not occupied.any():
        return ~occupied
    return np.asarray(ndimage.distance_transform_edt(~occupied) > distance)


@dataclass(frozen=True, eq=False)
class Particle:
    """A faceted crystal.

    centre : (2,) as (y, x), pixels
    turn : direction, radians
    zone : (2, 2) basis of its columns, pixels
    facets, extents : (6,) directions of the facets against `turn` (radians), their distances (pixels)
    """

    centre: Array
    turn: float
    zone: Array
    facets: Array
    extents: Array

    @property
    def normals(self) -> Array:
        """Of the facets, (2, 6) as (y, x)."""
        return np.stack([np.sin(self.turn + self.facets), np.cos(self.turn + self.facets)])

    def outline(self, rim: float) -> Array:
        """Facets (6, 3) as in StemFrame.outlines."""
        limits = self.extents + rim + self.centre @ self.normals
        return np.column_stack([self.normals.T, limits])

    def draw(self, clean: Array, settings: StemSettings) -> None:
        """Add its columns to an image (y, x), in place; what it covers shines through."""
        reach = int(1.5 * self.extents.max() / np.linalg.svd(self.zone)[1].min()) + 1
        steps = np.mgrid[-reach : reach + 1, -reach : reach + 1].reshape(2, -1).T  # (n, 2)
        away = turned(steps @ self.zone, self.turn)
        depth = 1 - (away @ self.normals / self.extents).max(axis=1) ** 2
        inside = depth > 0
        number = np.maximum(1, np.rint(settings.layers * np.sqrt(depth[inside])))
        heights = settings.atom * SATURATION * (1 - np.exp(-number / SATURATION))
        add_spots(clean, away[inside] + self.centre, heights, settings.probe)


def turned(vectors: Array, angle: float) -> Array:
    """Vectors (n, 2) as (y, x), turned from x towards y by an angle in radians."""
    cosine, sine = np.cos(angle), np.sin(angle)
    return np.asarray(vectors @ np.array([[cosine, -sine], [sine, cosine]]))


def draw_frames(settings: StemSettings, generator: np.random.Generator) -> Iterator[StemFrame]:
    """Yield all frames: series after series."""
    for start in range(0, settings.frames, settings.series):
        yield from islice(_draw_series(settings, generator), min(settings.series, settings.frames - start))


def simulate(settings: StemSettings, generator: np.random.Generator) -> Data:
    """Frames in electrons; the last of them are measured, and the very last followed.

    The notes hold what is measured against: `atoms` and `outlines` (as in StemFrame) of each measured frame.
    """
    noisy, clean = np.empty((2, settings.frames, settings.size, settings.size), np.float32)
    measured = min(settings.measured or settings.frames, settings.frames)
    atoms, outlines = [], []
    frames = tqdm(draw_frames(settings, generator), "frames", settings.frames, unit="frame", disable=None)
    for index, frame in enumerate(frames):
        clean[index], noisy[index] = frame.clean, expose(frame.clean, generator)
        atoms.append(frame.atoms.tolist())
        outlines.append(frame.outlines.tolist())
    notes = {"atoms": atoms[-measured:], "outlines": outlines[-measured:]}
    return Data(noisy, clean, measured, min(measured, FOLLOWED), notes=notes)


def frames_of(data: Data) -> list[StemFrame]:
    """The measured frames with what is known of them."""
    clean = np.asarray(data.clean[-data.measured :])
    return [
        StemFrame(image, np.reshape(atoms, (-1, 2)), np.reshape(outlines, (-1, 6, 3)))
        for image, atoms, outlines in zip(clean, data.notes["atoms"], data.notes["outlines"], strict=True)
    ]


def expose(clean: Array, generator: np.random.Generator) -> NDArray[np.float32]:
    """Counted electrons of an expectation, the same shape."""
    return generator.poisson(clean).astype(np.float32)


def _draw_series(settings: StemSettings, generator: np.random.Generator) -> Iterator[StemFrame]:
    """Yield frames of one scene without end."""
    size, area = settings.size, (settings.size / 512) ** 2
    support = settings.support * _support(size, generator)
    crystals = [
        _new_particle(settings, generator)
        for _ in range(max(1, generator.poisson(settings.particles * area)))
    ]
    atoms = np.empty((0, 2))
    while True:
        clean = support.copy()
        for crystal in crystals:
            crystal.draw(clean, settings)
        bare = StemFrame(clean, atoms, np.stack([each.outline(settings.probe) for each in crystals]))
        atoms = _lone_atoms(bare, settings, generator)
        add_spots(clean, atoms, np.full(len(atoms), settings.atom), settings.probe)
        yield replace(bare, atoms=atoms)
        drift = settings.drift * generator.normal(size=2)
        turns = np.radians(settings.turn) * generator.normal(size=len(crystals))
        crystals = [
            replace(each, centre=each.centre + drift, turn=each.turn + turn)
            for each, turn in zip(crystals, turns, strict=True)
        ]
        atoms = atoms + drift + settings.hop * generator.normal(size=atoms.shape)


def _support(size: int, generator: np.random.Generator) -> Array:
    """Relative thickness of the support: mean 1, slow random changes, (size, size)."""
    field = ndimage.gaussian_filter(generator.normal(size=(size, size)), SUPPORT_WAVE / 2, mode="wrap")
    return np.clip(1 + SUPPORT_RIPPLE * field / field.std(), 0.3, None)


def _new_particle(settings: StemSettings, generator: np.random.Generator) -> Particle:
    zone = settings.lattice * np.array(ZONES[generator.integers(len(ZONES))])
    return Particle(
        generator.uniform(0.1 * settings.size, 0.9 * settings.size, 2),
        generator.uniform(0, 2 * np.pi),
        zone,
        np.arange(6) * np.pi / 3 + generator.uniform(-0.1, 0.1, 6),
        generator.uniform(*settings.radius) * generator.uniform(0.8, 1.0, 6),
    )


def _lone_atoms(before: StemFrame, settings: StemSettings, generator: np.random.Generator) -> Array:
    """Positions (n, 2) of the lone atoms: those of before, as far as they still are alone, and new ones.

    New ones land on free pixels, in the mean as many as are missing for `settings.atoms`.
    """
    clearance, atoms = CLEARANCE * settings.probe, before.atoms
    edge = int(np.ceil(2 * clearance))
    free = far_from(before.particles, clearance)
    free[:edge] = free[-edge:] = False
    free[:, :edge] = free[:, -edge:] = False
    near = np.clip(np.rint(atoms).astype(int), 0, settings.size - 1)
    atoms = atoms[free[tuple(near.T)]]
    places = np.argwhere(free)
    missing = generator.poisson(max(0.0, settings.atoms * len(places) / 512**2 - len(atoms)))
    if missing:
        drawn = places[generator.integers(len(places), size=missing)]
        atoms = np.concatenate([atoms, drawn + generator.uniform(-0.5, 0.5, drawn.shape)])
    return _apart(atoms, 2 * clearance)


def _apart(positions: Array, distance: float) -> Array:
    """The positions without those too near to an earlier one."""
    if len(positions) == 0:
        return positions
    kept: list[int] = []
    for index, near in enumerate(spatial.cKDTree(positions).query_ball_point(positions, distance)):
        if not set(near) & set(kept):
            kept.append(index)
    return positions[kept]
