"""What the camera and the coadd make of the scene: exposures, noise, saturation, defects, inverse variance.

Everything random is laid out on the row's common lattice (`plan.BrickField.origin`) in blocks with seeds of
their own: neighbouring bricks see the same exposures, the same noise and the same defects in their overlap.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, optimize

from skydenoise.simulate.plan import (
    NOISES,
    NOMINAL_EXPOSURES,
    BrickField,
    SimulationSettings,
    Stream,
    generator,
)
from skydenoise.simulate.scene import electrons_per_nanomaggy, full_well, sky_noise

BLOCK = 256
"""Edge of a lattice block, pixels."""
CHIP_PITCH, CHIP_GAP = (4247, 2247), (153, 201)
"""DECam's chips of 4094 x 2046 pixels and the gaps between them along x and y (DECam data handbook)."""
MISSING_CELL = 1024
"""Edge of the lattice cells, pixels, each of which may hold one uncovered rectangle."""
BAD_COLUMNS = 0.15
"""Bad columns per exposure and block."""
TRACK = 25
"""Longest cosmic-ray track, pixels."""
LONGEST_BLEED = 250
"""Pixels to which a bleed trail reaches at most, up and down."""


@dataclass(frozen=True)
class Observation:
    """One band of a brick as the survey would deliver it. Arrays (y, x).

    image : float64 nanomaggies; 0 where there is no exposure
    invvar : float64 nanomaggies^-2; 0 where there is no good pixel
    saturated : bool, saturated star or bleed trail, grown by a pixel (as resampling spreads it)
    allmask : bool, every exposure of the pixel is bad
    """

    image: NDArray[np.float64]
    invvar: NDArray[np.float64]
    saturated: NDArray[np.bool_]
    allmask: NDArray[np.bool_]


def _lattice(field: BrickField, pad: int, cell: int, draw: Callable[[int, int], NDArray]) -> NDArray:
    """Join the lattice cells `draw(column, row)` -> (cell, cell) under a brick grown by `pad` pixels."""
    (x0, y0), extent = (field.origin[0] - pad, field.origin[1] - pad), field.size + 2 * pad
    columns = range(x0 // cell, (x0 + extent - 1) // cell + 1)
    rows = range(y0 // cell, (y0 + extent - 1) // cell + 1)
    joined = np.block([[draw(column, row) for column in columns] for row in rows])
    top, left = y0 - rows[0] * cell, x0 - columns[0] * cell
    return joined[top : top + extent, left : left + extent]


LAGS = ((0, 1), (1, 1), (0, 2), (0, 3))
"""(y, x) distances of pixels whose correlation is given."""

CORRELATION_TOLERANCE = 0.01
"""Of a kernel's correlation: measured ones differ by as much between masks of the sources."""


@cache
def noise_kernel(correlation: tuple[float, ...]) -> NDArray[np.float64]:
    """The square kernel that gives white noise unit variance and the wanted correlation.

    The correlation is the kernel's with itself, so its power spectrum is never negative. The kernel reaches
    as far as the last lag and is the same in mirror images and quarter turns.

    Parameters
    ----------
    correlation : coefficients at the first lags of LAGS, three or four

    Raises
    ------
    ValueError : no such kernel has this correlation
    """
    lags = ((0, 0), *LAGS[: len(correlation)])
    reach = lags[-1][1]
    target = np.array([1.0, *correlation])
    offset = np.abs(np.arange(-reach, reach + 1))
    distance = offset**2 + offset[:, np.newaxis] ** 2
    apart, places = np.unique(distance, return_inverse=True)  # up to a reach of 4 no two orbits share one
    places = places.reshape(distance.shape)
    variance = -0.25 / np.log(np.clip(correlation[0], 1e-3, 0.95))  # Gaussian with this rho(1): a good start
    start = np.exp(-apart / (2 * variance))
    start /= np.linalg.norm(start[places])

    def mismatch(values: NDArray[np.float64]) -> NDArray[np.float64]:
        kernel = np.pad(values[places], reach)
        found = [(kernel * np.roll(kernel, lag, (0, 1))).sum() for lag in lags]
        nearest = 1e-5 * (values - start)  # of all solutions
        return np.concatenate((np.array(found) - target, nearest))

    values = optimize.least_squares(mismatch, start, xtol=1e-14, ftol=1e-14).x
    if np.abs(mismatch(values)[: len(lags)]).max() > CORRELATION_TOLERANCE:
        raise ValueError(f"no kernel gives the noise correlation {correlation}")
    return values[places] / np.linalg.norm(values[places])


def noise_field(field: BrickField, band: int, settings: SimulationSettings) -> NDArray[np.float64]:
    """(y, x) Gaussian noise of unit variance with the correlation of the settings."""

    def white(column: int, row: int) -> NDArray[np.float64]:
        return generator(settings, Stream.NOISE, band, column, row).standard_normal((BLOCK, BLOCK))

    kernel = noise_kernel(NOISES[settings.noise].correlation)
    reach = len(kernel) // 2
    return ndimage.convolve(_lattice(field, reach, BLOCK, white), kernel)[reach:-reach, reach:-reach]


def _in_gap(field: BrickField, band: int, exposure: int, settings: SimulationSettings) -> NDArray[np.bool_]:
    """(y, x) bool: pixels that fall between the chips of one dithered exposure."""
    rng = generator(settings, Stream.DITHER, band, exposure)
    gaps = []
    for start, pitch, gap in zip(field.origin, CHIP_PITCH, CHIP_GAP, strict=True):
        gaps.append((start + np.arange(field.size) + rng.integers(pitch)) % pitch < gap)
    return gaps[1][:, None] | gaps[0][None, :]


def _defects(field: BrickField, band: int, exposure: int, settings: SimulationSettings) -> NDArray[np.bool_]:
    """(y, x) bool: bad columns and cosmic-ray tracks of one exposure."""
    tracks = settings.cosmics * BLOCK**2 / 1e6

    def block(column: int, row: int) -> NDArray[np.bool_]:
        bad = np.zeros((BLOCK, BLOCK), bool)
        along = generator(
            settings, Stream.DEFECTS, band, exposure, column
        )  # a bad column runs through all rows
        bad[:, along.integers(BLOCK, size=along.poisson(BAD_COLUMNS))] = True
        rng = generator(settings, Stream.DEFECTS, band, exposure, column, row)
        for _ in range(rng.poisson(tracks)):
            (y, x), angle = rng.uniform(0, BLOCK, 2), rng.uniform(0, 2 * np.pi)
            step = np.arange(0, rng.uniform(2, TRACK), 0.5)
            path = np.stack((y + step * np.sin(angle), x + step * np.cos(angle))).astype(int)
            path = path[:, np.all((path >= 0) & (path < BLOCK), axis=0)]
            bad[path[0], path[1]] = True
        return bad

    return _lattice(field, 0, BLOCK, block)


def _missing(field: BrickField, band: int, settings: SimulationSettings) -> NDArray[np.bool_]:
    """(y, x) bool: rectangles that no exposure covers."""

    def cell(column: int, row: int) -> NDArray[np.bool_]:
        rng = generator(settings, Stream.MISSING, band, column, row)
        empty = np.zeros((MISSING_CELL, MISSING_CELL), bool)
        if rng.random() < settings.missing:
            height, width = rng.integers(30, 200, 2)
            y, x = rng.integers(0, MISSING_CELL - 200, 2)
            empty[y : y + height, x : x + width] = True
        return empty

    return _lattice(field, 0, MISSING_CELL, cell)


def pass_map(field: BrickField, settings: SimulationSettings) -> NDArray[np.int64]:
    """(y, x) exposures that are taken of each place, chip gaps aside: steps of depth between cells."""
    passes, edge = settings.passes, settings.pass_cell

    def cell(column: int, row: int) -> NDArray[np.int64]:
        return np.full((edge, edge), passes[(column + 2 * row) % len(passes)])

    return _lattice(field, 0, edge, cell)


def exposure_maps(
    field: BrickField, band: int, settings: SimulationSettings
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Exposures that cover each pixel, and those of them in which it is good: two (y, x) arrays."""
    covered = np.zeros((field.size, field.size), np.int64)
    good = np.zeros_like(covered)
    missing, passes = _missing(field, band, settings), pass_map(field, settings)
    for exposure in range(max(settings.passes)):
        on_chip = (exposure < passes) & ~(_in_gap(field, band, exposure, settings) | missing)
        covered += on_chip
        good += on_chip & ~_defects(field, band, exposure, settings)
    return covered, good


def saturate(scene: NDArray[np.float64], well: float) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Clip at the full well and let the excess charge run along its column, half up and half down.

    Parameters
    ----------
    scene : (y, x) nanomaggies
    well : nanomaggies at which a pixel is full

    Returns
    -------
    image : the clipped scene with its bleed trails
    full : (y, x) bool, pixels at the full well
    """
    image, full = np.minimum(scene, well), scene > well
    for x in np.flatnonzero(full.any(axis=0)):
        edges = np.flatnonzero(np.diff(np.pad(full[:, x].astype(np.int8), 1)))
        for low, high in edges.reshape(-1, 2):
            excess = (scene[low:high, x] - well).sum() / 2
            up = slice(high, min(high + LONGEST_BLEED, len(scene)))
            down = slice(low - 1 if low else None, max(low - 1 - LONGEST_BLEED, 0) or None, -1)
            for side in (up, down) if low else (up,):
                room = np.cumsum(well - image[side, x])
                reached = int(np.searchsorted(room, excess))
                image[side, x][:reached] = well
                full[side, x][:reached] = True
    return image, full


def background(field: BrickField, band: int, settings: SimulationSettings) -> NDArray[np.float64]:
    """(y, x) row offsets and a wave of 4096 pixels that sky subtraction left, in units of the sky noise."""
    rng = generator(settings, Stream.BACKGROUND, band)
    phase, direction = rng.uniform(0, 2 * np.pi, 2)
    y, x = np.ogrid[: field.size, : field.size]
    x, y = x + field.origin[0], y + field.origin[1]
    wave = np.sin(2 * np.pi * (x * np.cos(direction) + y * np.sin(direction)) / 4096 + phase)

    def rows(column: int, row: int) -> NDArray[np.float64]:
        offsets = generator(settings, Stream.BACKGROUND, band, row).standard_normal((BLOCK, 1))
        return np.broadcast_to(offsets, (BLOCK, BLOCK))

    return settings.gradient * wave + settings.stripes * _lattice(field, 0, BLOCK, rows)


def observe(
    scene: NDArray[np.float64], field: BrickField, band: int, settings: SimulationSettings
) -> Observation:
    """One band of the brick's coadd.

    invvar counts the sky's and the sources' Poisson noise, as in real coadds (g of DR6 brick 0959p805: 6.9e4
    in the sky, 5e3 at 1 to 3 nanomaggies, 2e3 at 3 to 10: some 8e3 electrons per nanomaggy).

    Parameters
    ----------
    scene : (y, x) nanomaggies, from `scene.draw_scene`
    band : index in FILTERS
    """
    well, sky = full_well(band, settings), sky_noise(band, settings)
    filled, full = saturate(scene, well)
    covered, good = exposure_maps(field, band, settings)
    variance = sky**2 + np.maximum(filled, 0) / electrons_per_nanomaggy(band, settings)
    variance = variance * NOMINAL_EXPOSURES / np.maximum(good, 1)
    noise = NOISES[settings.noise].scale * noise_field(field, band, settings) * np.sqrt(variance)
    image = filled + noise + sky * background(field, band, settings)
    image = np.where(full, well, image)
    spoiled = (covered > 0) & (good == 0)
    hits = generator(settings, Stream.DEFECTS, band, *field.origin).exponential(100 * sky, spoiled.sum())
    image[spoiled] += hits
    full &= covered > 0
    return Observation(
        image=np.where(covered > 0, image, 0.0),
        invvar=np.where((good > 0) & ~full, 1 / variance, 0.0),
        saturated=ndimage.binary_dilation(full, np.ones((3, 3), bool)) & (covered > 0),
        allmask=spoiled | full,
    )
