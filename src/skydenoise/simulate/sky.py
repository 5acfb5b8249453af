"""The sources of the sky: how many, how bright, of which colour and shape. Cells have seeds of their own."""

import math

import numpy as np
from numpy.typing import NDArray

from skydenoise.simulate.plan import SimulationSettings, Stream, generator, nanomaggies

CELL_RA, CELL_DEC = 0.1, 0.05
"""Degrees. A cell's sources do not depend on the bricks that look at it, so neighbours share one sky."""

STAR, DISC, SPHEROID = 0, 1, 2
"""Profiles: point, exponential, de Vaucouleurs."""

SOURCE = np.dtype(
    [
        ("id", "i8"),
        ("ra", "f8"),
        ("dec", "f8"),
        ("profile", "i1"),
        ("flux", "f8", (4,)),  # g, r, z, i; nanomaggies, total
        ("radius", "f8"),  # half-light along the major axis, arcsec; 0 for stars
        ("axis_ratio", "f8"),
        ("angle", "f8"),  # of the major axis from +x to +y, radians
        ("knots", "f8"),  # fraction of a disc's light in star-forming knots
    ]
)

GALAXY_COUNTS = np.array(
    [[12, -1.5], [15, 0.45], [16, 1.05], [18, 2.2], [20, 3.3], [22, 4.15], [24, 4.85], [27, 5.55], [29, 5.9]]
)
"""r magnitude, log10 of galaxies per square degree and magnitude; rounded from Yasuda et al. 2001 (AJ 122,
1104) and, beyond r = 20, Capak et al. 2007 (ApJS 172, 99)."""

STAR_COUNTS = np.array(
    [
        [8, 0.4],
        [10, 0.9],
        [12, 1.4],
        [14, 1.95],
        [16, 2.4],
        [18, 2.7],
        [20, 2.95],
        [22, 3.2],
        [25, 3.6],
        [29, 3.8],
    ]
)
"""The same for stars at high galactic latitude."""


def _magnitudes(
    counts: NDArray[np.float64], area: float, settings: SimulationSettings, rng: np.random.Generator
) -> NDArray[np.float64]:
    """A Poisson sample of r magnitudes for `area` square degrees."""
    grid = np.linspace(settings.bright_limit, settings.faint_limit, 2000)
    density = 10 ** np.interp(grid, counts[:, 0], counts[:, 1])
    steps = 0.5 * (density[1:] + density[:-1]) * np.diff(grid)
    cumulative = np.concatenate(([0.0], np.cumsum(steps)))
    number = rng.poisson(cumulative[-1] * area)
    return np.interp(rng.uniform(0, cumulative[-1], number), cumulative, grid)


R_I = math.log(784 / 642) / math.log(926 / 642)
"""r-i in units of r-z, of a power law through DECam's r, i and z (effective wavelengths in nm)."""


def _fluxes(
    r: NDArray[np.float64], g_r: NDArray[np.float64], r_z: NDArray[np.float64]
) -> NDArray[np.float64]:
    return nanomaggies(np.stack([r + g_r, r, r - r_z, r - R_I * r_z], axis=-1))


def _stars(r: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.void]:
    """Dwarfs along the stellar locus: blue ones around the turn-off, and red ones, more when fainter."""
    stars = np.zeros(r.size, SOURCE)
    red = rng.random(r.size) < np.clip(0.15 + 0.06 * (r - 15), 0.1, 0.6)
    g_r = np.where(red, rng.normal(1.4, 0.07, r.size), rng.gamma(4.0, 0.12, r.size) + 0.15)
    g_r = np.minimum(g_r, 1.6)
    late = rng.gamma(2.5, 0.3, r.size)  # M dwarfs: r-z runs on while g-r stands still
    r_z = np.where(red, 0.6 + np.minimum(late, 2.0), 0.6 * g_r - 0.08) + rng.normal(0, 0.03, r.size)
    stars["profile"], stars["flux"] = STAR, _fluxes(r, g_r, r_z)
    stars["axis_ratio"] = 1
    return stars


def _galaxies(r: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.void]:
    """Spheroids and inclined discs, bluer, smaller and more often discs when fainter."""
    n = r.size
    galaxies = np.zeros(n, SOURCE)
    spheroid = rng.random(n) < np.clip(0.5 - 0.06 * (r - 17), 0.08, 0.5)
    depth = np.clip((r - 16) / 6, 0, 1)  # fainter is farther: red ones redden, blue ones do not
    tint = rng.normal(0, 1, n)
    g_r = np.where(
        spheroid, 0.85 + 0.65 * depth + 0.12 * tint, 0.55 + 0.15 * depth - 0.05 * (r > 24) + 0.25 * tint
    )
    r_z = np.where(spheroid, 0.60 + 0.65 * depth + 0.15 * tint, 0.40 + 0.10 * depth + 0.22 * tint)
    r_z += rng.normal(0, 0.12, n)
    slope = np.where(r < 20, -0.16, -0.095)  # 4.4 arcsec at 16, 1 at 20, 0.42 at 24
    log_radius = slope * (r - 20) + rng.normal(0, 0.2, n) - 0.08 * spheroid
    cosine = rng.random(n)  # of a disc's inclination; its intrinsic thickness is 0.2
    flattened = np.sqrt(cosine**2 * (1 - 0.2**2) + 0.2**2)
    galaxies["profile"] = np.where(spheroid, SPHEROID, DISC)
    galaxies["flux"] = _fluxes(r, g_r, r_z)
    galaxies["radius"] = np.clip(10**log_radius, 0.1, 9)
    galaxies["axis_ratio"] = np.where(spheroid, rng.uniform(0.5, 1, n), flattened)
    galaxies["angle"] = rng.uniform(0, math.pi, n)
    galaxies["knots"] = np.where(spheroid | (r > 21), 0, rng.uniform(0, 0.3, n))
    return galaxies


def cell_sources(column: int, row: int, settings: SimulationSettings) -> NDArray[np.void]:
    """Sources of one cell: right ascension from column * CELL_RA, declination from row * CELL_DEC.

    Returns
    -------
    (n,) of dtype SOURCE; empty beyond the poles
    """
    rng = generator(settings, Stream.SOURCES, column, row)
    low, high = (math.sin(math.radians(np.clip(edge * CELL_DEC, -90, 90))) for edge in (row, row + 1))
    area = CELL_RA * math.degrees(high - low)
    stars = _stars(_magnitudes(STAR_COUNTS, area * settings.stars, settings, rng), rng)
    galaxies = _galaxies(_magnitudes(GALAXY_COUNTS, area * settings.galaxies, settings, rng), rng)
    sources = np.concatenate((stars, galaxies))
    sources["ra"] = (column + rng.random(sources.size)) * CELL_RA
    sources["dec"] = np.degrees(np.arcsin(rng.uniform(low, high, sources.size)))
    cell = column * 10_000 + row + 5_000
    sources["id"] = cell * 100_000 + np.arange(sources.size)
    return sources


def sources_between(
    ra: tuple[float, float], dec: tuple[float, float], settings: SimulationSettings
) -> NDArray[np.void]:
    """Sources of all cells that touch a box.

    Parameters
    ----------
    ra : low and high, degrees; low may be negative and high above 360
    dec : low and high, degrees
    """
    turn = round(360 / CELL_RA)
    columns = range(math.floor(ra[0] / CELL_RA), math.floor(ra[1] / CELL_RA) + 1)
    rows = range(math.floor(dec[0] / CELL_DEC), math.floor(dec[1] / CELL_DEC) + 1)
    return np.concatenate([cell_sources(column % turn, row, settings) for column in columns for row in rows])
