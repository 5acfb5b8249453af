"""Aperture fluxes of known sources, on the truth and on what was made of the noisy brick."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from astropy.coordinates import SkyCoord
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from skydenoise.evaluate.aperture import RADIUS, ZERO_POINT, aperture_noise, aperture_sums, inside_by
from skydenoise.evaluate.images import Image
from skydenoise.evaluate.statistics import Array, joined, selected
from skydenoise.evaluate.truth.known import KnownBrick
from skydenoise.io.wcs import celestial_wcs
from skydenoise.noise import NoiseModel

NEIGHBOUR_FLUX = 0.1
"""A source is isolated if nothing brighter than this share of its flux lies within two radii ..."""
CONTAMINATION = 1.2
"""... and the true aperture holds at most this many times its own total flux."""


@dataclass(frozen=True, eq=False)
class Apertures:
    """Aperture fluxes of n sources, nanomaggies; float64 (band, n) unless said otherwise.

    truth : on the noise-free image
    noise : rms noise of the aperture in the input
    magnitude : true total AB magnitude
    good : bool, isolated and measured in that band
    fluxes : by method; NaN where a method has none
    direction : (3, n) unit vectors to the sources on the sky
    scores : (n,) float64, by those methods that measure where they detect: score of the detection
    """

    truth: Array
    noise: Array
    magnitude: Array
    good: NDArray[np.bool_]
    fluxes: Mapping[str, Array]
    direction: Array
    scores: Mapping[str, Array] = field(default_factory=dict)


def measure(known: KnownBrick, methods: Mapping[str, Image], noise: NoiseModel) -> Apertures:
    """Aperture fluxes of every source whose circle lies inside the brick, on the truth and by each method."""
    x, y = known.places
    inside = inside_by(RADIUS, x, y, known.brick.shape)
    total, isolated = known.fluxes[:, inside], isolated_sources(x, y, known.fluxes)[:, inside]
    plain = measure_at(known, methods, noise, x[inside], y[inside])
    clean = isolated & (total > 0) & (plain.truth > 0) & (plain.truth <= CONTAMINATION * total)
    return replace(
        plain,
        magnitude=ZERO_POINT - 2.5 * np.log10(np.where(clean, total, 1)),
        good=plain.good & clean & ~np.asarray(known.sources["saturated"][inside], dtype=bool),
    )


def measure_at(
    known: KnownBrick, methods: Mapping[str, Image], noise: NoiseModel, x: Array, y: Array
) -> Apertures:
    """Aperture fluxes at any positions (n,), 0-based pixels, circles inside the brick; magnitudes are NaN.

    Good is where every pixel of the circle is measured.
    """
    aperture = aperture_noise(known.brick, noise, x, y)
    sky = celestial_wcs(known.brick.headers[0]).pixel_to_world_values(x, y)
    return Apertures(
        truth=aperture_sums(known.truth, x, y),
        noise=aperture,
        magnitude=np.full(aperture.shape, np.nan),
        good=(aperture > 0) & (aperture_sums(~known.measured, x, y) == 0),
        fluxes={method: aperture_sums(image, x, y) for method, image in methods.items()},
        direction=SkyCoord(*sky, unit="deg").cartesian.xyz.value,
    )


def isolated_sources(x: Array, y: Array, flux: Array) -> NDArray[np.bool_]:
    """Sources without a neighbour of comparable flux (band, n) within two radii: (band, n) bool."""
    isolated = np.ones(flux.shape, dtype=bool)
    pairs = cKDTree(np.column_stack([x, y])).query_pairs(2 * RADIUS, output_type="ndarray")
    for one, other in (pairs.T, pairs.T[::-1]):
        band, pair = np.nonzero(flux[:, other] > NEIGHBOUR_FLUX * flux[:, one])
        isolated[band, one[pair]] = False
    return isolated


def combine(parts: Sequence[Apertures], arcsec: float = 0.1) -> Apertures:
    """All bricks' sources; one that lies in several overlapping bricks counts once, as the first has it.

    parts : of at least one brick
    arcsec : between the positions of one source at most
    """
    together = joined(parts)
    brick = np.repeat(np.arange(len(parts)), [part.truth.shape[1] for part in parts])
    pairs = cKDTree(together.direction.T).query_pairs(np.radians(arcsec / 3600), output_type="ndarray")
    repeated = pairs[brick[pairs[:, 0]] != brick[pairs[:, 1]]].max(axis=1, initial=-1)
    return selected(together, np.setdiff1d(np.arange(brick.size), repeated))
