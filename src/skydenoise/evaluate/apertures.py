"""Aperture fluxes of known sources, on the truth and on what was made of the noisy brick."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import sep
from astropy.wcs import WCS
from numpy.typing import NDArray
from photutils.aperture import CircularAperture
from scipy.signal import fftconvolve
from scipy.spatial import cKDTree

from skydenoise.evaluate.scene import Image, Scene
from skydenoise.evaluate.statistics import Array
from skydenoise.noise import NoiseModel

RADIUS = 5.0
"""Radius of the aperture, pixels."""
NEIGHBOUR_FLUX = 0.1
"""A source is isolated if nothing brighter than this share of its flux lies within two radii ..."""
CONTAMINATION = 1.2
"""... and the true aperture holds at most this many times its own total flux."""
ZERO_POINT = 22.5
"""AB magnitude of one nanomaggy."""


@dataclass(frozen=True)
class Apertures:
    """Aperture fluxes of n sources, nanomaggies; float64 (band, n) unless said otherwise.

    truth : on the noise-free image
    noise : rms noise of the aperture in the input
    magnitude : true total AB magnitude
    good : bool, isolated and measured in that band
    fluxes : by method; NaN where a method has none
    direction : (n, 3) unit vectors to the sources on the sky
    scores : (n,) float64, by those methods that measure where they detect: score of the detection
    """

    truth: Array
    noise: Array
    magnitude: Array
    good: NDArray[np.bool_]
    fluxes: Mapping[str, Array]
    direction: Array
    scores: Mapping[str, Array] = field(default_factory=dict)

    def select(self, chosen: NDArray) -> "Apertures":
        """The sources `chosen`, a mask or indices over n."""
        return Apertures(
            self.truth[:, chosen],
            self.noise[:, chosen],
            self.magnitude[:, chosen],
            self.good[:, chosen],
            {method: flux[:, chosen] for method, flux in self.fluxes.items()},
            self.direction[chosen],
            {method: score[chosen] for method, score in self.scores.items()},
        )


def aperture_sums(image: NDArray, x: Array, y: Array) -> Array:
    """Sums of `image` (y, x) in circles of `RADIUS` around 0-based positions; pixels cut exactly; (n,)."""
    flux, _, _ = sep.sum_circle(np.ascontiguousarray(image, dtype=np.float64), x, y, RADIUS, subpix=0)
    return np.asarray(flux, dtype=np.float64)


def variance_of_sum(weights: Array, correlation: Array) -> float:
    """Variance of a weighted sum over noise of unit variance: w' C w for the covariance C.

    weights : (2R+1, 2R+1)
    correlation : (2L+1, 2L+1), of two pixels against their distance
    """
    pairs = fftconvolve(weights, weights[::-1, ::-1])
    reach, lag = pairs.shape[0] // 2, correlation.shape[0] // 2
    both = min(reach, lag)
    inner = [slice(edge - both, edge + both + 1) for edge in (reach, lag)]
    return float(np.sum(pairs[inner[0], inner[0]] * correlation[inner[1], inner[1]]))


def correlated_area(correlation: Array) -> float:
    """Variance of the aperture's sum over noise of unit variance with a correlation (2L+1, 2L+1).

    The area, but for pixels at the rim, if the noise is white.
    """
    weights = CircularAperture((0.0, 0.0), RADIUS).to_mask(method="exact").data
    return variance_of_sum(weights, correlation)


def measure(scene: Scene, methods: Mapping[str, Image], noise: NoiseModel) -> Apertures:
    """Aperture fluxes of every source whose circle lies inside the brick, on the truth and by each method."""
    x, y = (np.asarray(scene.sources[key], dtype=np.float64) for key in ("x", "y"))
    total = np.stack([np.asarray(scene.sources[f"flux_{band}"], dtype=np.float64) for band in noise.bands])
    inside = circle_inside(x, y, scene.brick.shape)
    isolated = isolated_sources(x, y, total)[:, inside]
    sources, total = scene.sources[inside], total[:, inside]
    plain = measure_at(scene, methods, noise, x[inside], y[inside])
    positive = (total > 0) & (plain.truth > 0)
    clean = isolated & (plain.truth <= CONTAMINATION * total)
    return replace(
        plain,
        magnitude=ZERO_POINT - 2.5 * np.log10(np.where(positive, total, 1)),
        good=plain.good & positive & clean & ~np.asarray(sources["saturated"], dtype=bool),
        direction=_direction(sources["ra"], sources["dec"]),
    )


def circle_inside(x: Array, y: Array, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Positions (n,) whose circle lies inside an image of this shape (y, x): bool."""
    height, width = shape
    return (np.minimum(x, y) >= RADIUS) & (x <= width - 1 - RADIUS) & (y <= height - 1 - RADIUS)


def measure_at(
    scene: Scene, methods: Mapping[str, Image], noise: NoiseModel, x: Array, y: Array
) -> Apertures:
    """Aperture fluxes at any positions (n,), 0-based pixels, circles inside the brick; magnitudes are NaN.

    Good is where every pixel of the circle is measured.
    """
    variance = noise.sigma(scene.brick.invvar) ** 2
    area = np.pi * RADIUS**2
    spread = np.array([correlated_area(correlation) for correlation in noise.correlation])
    noise_of_aperture = np.sqrt(
        np.stack([aperture_sums(image, x, y) for image in variance]) / area * spread[:, None]
    )
    lost = np.stack([aperture_sums(~measured, x, y) for measured in scene.measured])
    ra, dec = WCS(scene.brick.headers[0]).celestial.pixel_to_world_values(x, y)
    return Apertures(
        truth=np.stack([aperture_sums(image, x, y) for image in scene.truth]),
        noise=noise_of_aperture,
        magnitude=np.full(lost.shape, np.nan),
        good=(noise_of_aperture > 0) & (lost == 0),
        fluxes={
            method: np.stack([aperture_sums(band, x, y) for band in image])
            for method, image in methods.items()
        },
        direction=_direction(ra, dec),
    )


def isolated_sources(x: Array, y: Array, flux: Array) -> NDArray[np.bool_]:
    """Sources without a neighbour of comparable flux (band, n) within two radii: (band, n) bool."""
    isolated = np.ones(flux.shape, dtype=bool)
    pairs = cKDTree(np.column_stack([x, y])).query_pairs(2 * RADIUS, output_type="ndarray")
    for one, other in (pairs.T, pairs.T[::-1]):
        for band, values in enumerate(flux):
            disturbed = values[other] > NEIGHBOUR_FLUX * values[one]
            isolated[band, one[disturbed]] = False
    return isolated


def _direction(right_ascension: Array, declination: Array) -> Array:
    ra, dec = (np.radians(np.asarray(angle, dtype=np.float64)) for angle in (right_ascension, declination))
    return np.column_stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)])


def combine(parts: Sequence[Apertures], arcsec: float = 0.1) -> Apertures:
    """All bricks' sources; one that lies in several overlapping bricks counts once, as the first has it."""
    together = Apertures(
        truth=np.concatenate([part.truth for part in parts], axis=1),
        noise=np.concatenate([part.noise for part in parts], axis=1),
        magnitude=np.concatenate([part.magnitude for part in parts], axis=1),
        good=np.concatenate([part.good for part in parts], axis=1),
        fluxes={
            method: np.concatenate([part.fluxes[method] for part in parts], axis=1)
            for method in parts[0].fluxes
        },
        direction=np.concatenate([part.direction for part in parts]),
        scores={
            method: np.concatenate([part.scores[method] for part in parts]) for method in parts[0].scores
        },
    )
    brick = np.repeat(np.arange(len(parts)), [part.direction.shape[0] for part in parts])
    pairs = cKDTree(together.direction).query_pairs(np.radians(arcsec / 3600), output_type="ndarray")
    repeated = pairs[brick[pairs[:, 0]] != brick[pairs[:, 1]]].max(axis=1, initial=-1)
    return together.select(np.setdiff1d(np.arange(brick.size), repeated))
