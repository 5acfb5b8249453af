"""Injection and recovery: sources of known flux, put into the noisy image, looked for in the denoised one.

No truth is needed. The method sees a brick with and without them; the difference of its two images in a
circle around each source, over the flux that was put there, is the share that it gives back. What is in the
sky already, and the noise, cancel as far as the method lets them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from skydenoise.evaluate.again.sources import aperture_share, colours, draw_sources
from skydenoise.evaluate.apertures import RADIUS, ZERO_POINT, aperture_sums, correlated_area
from skydenoise.evaluate.scene import Image, Mask, Method
from skydenoise.evaluate.statistics import Array
from skydenoise.io import Brick
from skydenoise.noise import NoiseModel
from skydenoise.noise.sky import empty_sky

DETECTION_RADIUS = 2
"""A source is found if a pixel this near to its place is above the threshold, pixels."""


@dataclass(frozen=True)
class InjectionSettings:
    """What is put in. Lengths in pixels.

    faintest, brightest : signal-to-noise ratio of the aperture, drawn log-uniformly in one of the bands
    discs : share of sources that are exponential discs; the others are points
    disc_radius : least and largest half-light radius of discs before the seeing
    separation : least distance of two sources: beyond it they do not see each other
    margin : least distance from the border, where a method has little context
    electrons : per nanomaggy in each band: adds the Poisson noise of the sources; None adds none
    """

    faintest: float = 2.0
    brightest: float = 200.0
    discs: float = 0.5
    disc_radius: tuple[float, float] = (1.0, 3.0)
    separation: float = 40.0
    margin: int = 32
    electrons: tuple[float, ...] | None = None


@dataclass(frozen=True, eq=False)
class Ground:
    """A brick, or a part of one, with room for sources.

    noise : of its bands
    fwhm : of the point spread function in each band, pixels
    empty : (y, x) bool, usable and without a visible source in every band
    """

    brick: Brick
    noise: NoiseModel
    fwhm: tuple[float, ...]
    empty: Mask


def survey_ground(brick: Brick, noise: NoiseModel, fwhm: Sequence[float]) -> Ground:
    """Find where a brick is empty: by its noisy pixels, so that places are the same for every method."""
    _, sky = empty_sky(brick.image, brick.invvar, brick.usable, brick.masked)
    return Ground(brick, noise, tuple(fwhm), np.asarray(sky.all(axis=0)))


@dataclass(frozen=True)
class Injection:
    """A brick with n sources put in; float64 unless said otherwise.

    brick : with the sources
    x, y : (n,) places, 0-based
    flux : (band, n) aperture flux that was put in, nanomaggies
    noise : (band, n) rms noise of the aperture in the input, nanomaggies
    pixel_noise : (band, n) rms noise of the central pixel in the input, nanomaggies
    magnitude : (band, n) total AB magnitude; NaN in bands without the source
    disc : (n,) bool, exponential disc or point
    alone : (n,) int, the only band of the source, or -1 if it is in all
    """

    brick: Brick
    x: Array
    y: Array
    flux: Array
    noise: Array
    pixel_noise: Array
    magnitude: Array
    disc: NDArray[np.bool_]
    alone: NDArray[np.intp]


@dataclass(frozen=True)
class Recovered:
    """Sources and what became of them; arrays as in Injection.

    recovered : (band, n) difference of aperture fluxes with and without the source, nanomaggies
    found : (band, n) 1 if the source is above the threshold of detection, 0 if not; NaN where something was
        above it without the source already, or where no threshold was given
    """

    flux: Array
    noise: Array
    magnitude: Array
    disc: NDArray[np.bool_]
    alone: NDArray[np.intp]
    recovered: Array
    found: Array

    @property
    def snr(self) -> Array:
        """(band, n) aperture flux that was put in over the noise of the aperture in the input."""
        return np.divide(self.flux, self.noise, out=np.zeros_like(self.flux), where=self.noise > 0)

    def select(self, chosen: NDArray) -> "Recovered":
        """The sources `chosen`, a mask or indices over n."""
        return Recovered(**{each.name: getattr(self, each.name)[..., chosen] for each in fields(self)})


def join(parts: Sequence[Recovered]) -> Recovered:
    """All sources of several cutouts; at least one part."""
    return Recovered(
        **{
            each.name: np.concatenate([getattr(part, each.name) for part in parts], axis=-1)
            for each in fields(Recovered)
        }
    )


def inject(
    ground: Ground,
    generator: np.random.Generator,
    *,
    count: int,
    one_band: bool = False,
    settings: InjectionSettings | None = None,
) -> Injection:
    """Put sources into random empty places.

    Parameters
    ----------
    ground
        where
    generator
        of places, fluxes, colours and shapes
    count
        of sources at most; fewer if there is no room
    one_band
        put each source into one band alone, in turn, instead of into all with a likely colour
    settings
        what is put in
    """
    settings, brick, fwhm = settings or InjectionSettings(), ground.brick, ground.fwhm
    x, y = empty_places(ground.empty, count, generator, settings)
    number, bands = x.size, len(brick.bands)
    disc = generator.random(number) < settings.discs
    radius = np.where(disc, generator.uniform(*settings.disc_radius, number), 0)
    leading = np.arange(number) % bands
    pixel_noise, aperture_noise = noise_at(brick, ground.noise, x, y)
    wanted = np.exp(generator.uniform(np.log(settings.faintest), np.log(settings.brightest), number))
    share = np.array([[aperture_share(width, size) for size in radius] for width in fwhm])
    chosen = (leading, np.arange(number))
    relative = colours(brick.bands, number, generator)
    total = wanted * aperture_noise[chosen] / share.reshape(bands, number)[chosen]
    total = total * relative / relative[chosen]
    if one_band:
        total[np.arange(bands)[:, None] != leading] = 0
    sources = np.stack(
        [draw_sources(brick.shape, x, y, *pair, radius) for pair in zip(total, fwhm, strict=True)]
    )
    with np.errstate(divide="ignore"):
        magnitude = np.where(total > 0, ZERO_POINT - 2.5 * np.log10(total), np.nan)
    return Injection(
        brick=_with_sources(ground, sources, generator, settings.electrons),
        x=x,
        y=y,
        flux=np.stack([aperture_sums(image, x, y) for image in sources]),
        noise=aperture_noise,
        pixel_noise=pixel_noise,
        magnitude=magnitude,
        disc=disc,
        alone=leading if one_band else np.full(number, -1),
    )


def recover_sources(
    injection: Injection,
    method: Method,
    before: Image,
    threshold: Sequence[float] | None = None,
) -> Recovered:
    """What a method gives back of the sources: it runs once.

    Parameters
    ----------
    injection
        from `inject`
    method
        what is measured
    before
        what it makes of the brick without the sources, (band, y, x), nanomaggies
    threshold
        in each band, in units of the pixel's noise in the input, above which a pixel is a detection
    """
    after = method(injection.brick)
    x, y = injection.x, injection.y
    recovered = np.stack([aperture_sums(image, x, y) for image in after - before])
    found = np.full(recovered.shape, np.nan)
    if threshold is not None:
        level = np.asarray(threshold)[:, None] * injection.pixel_noise
        there, already = (peaks_near(image, x, y) > level for image in (after, before))
        found = np.where(already, np.nan, there.astype(np.float64))
    return Recovered(
        **{
            each.name: getattr(injection, each.name)
            for each in fields(Recovered)
            if each.name not in ("recovered", "found")
        },
        recovered=recovered,
        found=found,
    )


def empty_places(
    empty: Mask, count: int, generator: np.random.Generator, settings: InjectionSettings
) -> tuple[Array, Array]:
    """Up to `count` random places x, y, (n,) each, whose whole aperture is `empty` (y, x) bool."""
    reach = int(np.ceil(RADIUS)) + 1
    rows, columns = np.indices((2 * reach + 1, 2 * reach + 1)) - reach
    free = ndimage.binary_erosion(empty, rows**2 + columns**2 <= reach**2)
    margin = max(settings.margin, reach)
    inside = np.zeros_like(free)
    inside[margin:-margin, margin:-margin] = True
    left = np.argwhere(free & inside).astype(np.float64)  # (places, 2) y, x
    places: list[Array] = []
    while len(places) < count and len(left):
        place = left[generator.integers(len(left))]
        places.append(place + generator.uniform(-0.5, 0.5, 2))
        left = left[np.hypot(*(left - place).T) >= settings.separation]
    y, x = np.reshape(places, (-1, 2)).T
    return x, y


def noise_at(brick: Brick, noise: NoiseModel, x: Array, y: Array) -> tuple[Array, Array]:
    """Rms noise of the input's pixels at x, y and of the apertures around them, (band, n), nanomaggies."""
    sigma = noise.sigma(brick.invvar)
    spread = np.array([correlated_area(correlation) for correlation in noise.correlation])
    variance = np.stack([aperture_sums(image, x, y) for image in sigma**2]) / (np.pi * RADIUS**2)
    pixels = sigma[:, np.rint(y).astype(int), np.rint(x).astype(int)]
    return pixels.astype(np.float64), np.sqrt(variance * spread[:, None])


def peaks_near(image: Image, x: Array, y: Array) -> Array:
    """Highest pixel within DETECTION_RADIUS of each place: (band, n)."""
    size = 2 * DETECTION_RADIUS + 1
    highest = ndimage.maximum_filter(image, (1, size, size))
    return np.asarray(highest[:, np.rint(y).astype(int), np.rint(x).astype(int)], dtype=np.float64)


def _with_sources(
    ground: Ground,
    sources: NDArray[np.float32],
    generator: np.random.Generator,
    electrons: Sequence[float] | None,
) -> Brick:
    """The brick with sources added where it has coverage, with their Poisson noise if wanted."""
    brick, noise = ground.brick, ground.noise
    added = np.where(brick.invvar > 0, sources, np.float32(0))
    if electrons is None:
        return replace(brick, image=brick.image + added)
    variance = added / np.asarray(electrons, np.float32)[:, None, None]
    invvar = (brick.invvar / (1 + variance * brick.invvar)).astype(np.float32)
    scale = np.asarray(noise.scale, np.float32)[:, None, None]
    added = added + scale * np.sqrt(variance) * noise.draw(added.shape, generator)
    return replace(brick, image=brick.image + added, invvar=invvar)
