"""Sources of known flux, put into the noisy image and measured in the denoised one.

The method sees a brick with and without them; the difference of its two images in a circle around each
source, over the flux that was put there, is the share that it gives back. What is in the sky already, and the
noise, cancel as far as the method lets them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from astropy.nddata import overlap_slices
from numpy.typing import NDArray
from scipy import fft, ndimage

from skydenoise.evaluate.aperture import RADIUS, aperture_noise, aperture_sums
from skydenoise.evaluate.images import Image, Mask, Method, values_at
from skydenoise.evaluate.psf import moffat
from skydenoise.evaluate.statistics import Array
from skydenoise.io import Brick
from skydenoise.noise import NoiseModel
from skydenoise.noise.sky import empty_sky

FAINTEST, BRIGHTEST = 2.0, 200.0
"""Signal-to-noise ratio of the aperture, drawn log-uniformly in one of the bands."""
DISCS, DISC_RADIUS = 0.5, (1.0, 3.0)
"""Share of exponential discs, the others are points; their half-light radius before the seeing, pixels."""
HALF_LIGHT = 1.6783469900166605
"""Half-light radius of an exponential disc over its scale length."""
BLUE = {"u": 1.0, "g": 0.3, "r": 0.0, "i": -0.1, "z": -0.2, "y": -0.2}
RED = {"u": 3.2, "g": 1.4, "r": 0.0, "i": -0.55, "z": -1.0, "y": -1.2}
"""Magnitudes relative to r of a star-forming and of an old galaxy at redshift 0.3 to 0.5 (the colours of
`simulate.sky`, from the counts and colours cited there); sources lie between. Other bands: as r."""
REACH = 40
"""Pixels from a source's centre to the edge of what is drawn."""
SEPARATION = 40.0
"""Least distance of two sources, pixels: beyond it they do not see each other."""
MARGIN = 32
"""Least distance from the border, pixels, where a method has little context."""
DETECTION_RADIUS = 2
"""A source is found if a pixel this near to its place is above the threshold, pixels."""


@dataclass(frozen=True, eq=False)
class Canvas:
    """A brick, or a part of one, with room for sources.

    fwhm : of the point spread function in each band, pixels
    empty : (y, x) bool, usable and without a visible source in every band
    """

    brick: Brick
    noise: NoiseModel
    fwhm: tuple[float, ...]
    empty: Mask


@dataclass(frozen=True, eq=False)
class Sources:
    """n sources that were put in, and what became of them; float64 unless said otherwise.

    x, y : (n,) places, 0-based
    flux : (band, n) aperture flux, nanomaggies; 0 in bands without the source, but for its neighbours
    noise : (band, n) rms noise of the aperture in the input, nanomaggies
    pixel_noise : (band, n) rms noise of the central pixel in the input, nanomaggies
    disc : (n,) bool, exponential disc or point
    alone : (n,) int, the only band of the source, or -1 if it is in all
    measured : (band, n) difference of aperture fluxes with and without the source, nanomaggies
    found : (band, n) 1 if the source is above the threshold of detection, 0 if not; NaN where something was
        above it without the source already, or where no threshold was given
    """

    x: Array
    y: Array
    flux: Array
    noise: Array
    pixel_noise: Array
    disc: NDArray[np.bool_]
    alone: NDArray[np.intp]
    measured: Array
    found: Array

    @property
    def snr(self) -> Array:
        """(band, n) flux over noise of the aperture."""
        return np.divide(self.flux, self.noise, out=np.zeros_like(self.flux), where=self.noise > 0)


@dataclass(frozen=True, eq=False)
class Injection:
    """A brick with sources put in; NaN stands for what is not measured yet."""

    brick: Brick
    sources: Sources


def make_canvas(brick: Brick, noise: NoiseModel, fwhm: Sequence[float]) -> Canvas:
    """Find where a brick is empty: by its noisy pixels, so that places are the same for every method."""
    _, sky = empty_sky(brick.image, brick.invvar, brick.usable, brick.masked)
    return Canvas(brick, noise, tuple(fwhm), np.asarray(sky.all(axis=0)))


def inject(
    canvas: Canvas, generator: np.random.Generator, *, count: int, one_band: int | None = None
) -> Injection:
    """Put sources into random empty places.

    generator : of places, fluxes, colours and shapes
    count : of sources at most; fewer if there is no room
    one_band : number of the band into which alone sources are put, instead of into all with a likely colour
    """
    brick, noise = canvas.brick, canvas.noise
    x, y = empty_places(canvas.empty, count, generator)
    number, bands = x.size, len(brick.bands)
    disc = generator.random(number) < DISCS
    radius = np.where(disc, generator.uniform(*DISC_RADIUS, number), 0)
    leading = np.arange(number) % bands if one_band is None else np.full(number, one_band)
    own = leading, np.arange(number)
    spread = aperture_noise(brick, noise, x, y)
    wanted = np.exp(generator.uniform(np.log(FAINTEST), np.log(BRIGHTEST), number))
    share = np.array([[_aperture_share(width, size) for size in radius] for width in canvas.fwhm])
    relative = _colours(brick.bands, number, generator)
    total = wanted * spread[own] / share.reshape(bands, number)[own] * relative / relative[own]
    if one_band is not None:
        total[np.arange(bands)[:, None] != leading] = 0
    pairs = zip(total, canvas.fwhm, strict=True)
    images = np.stack([draw_sources(brick.shape, x, y, *pair, radius) for pair in pairs])
    pixel_noise = values_at(noise.sigma(brick.invvar), x, y).astype(np.float64)
    flux, unknown = aperture_sums(images, x, y), np.full((bands, number), np.nan)
    alone = np.full(number, -1) if one_band is None else leading
    sources = Sources(x, y, flux, spread, pixel_noise, disc, alone, unknown, unknown)
    added = np.where(brick.invvar > 0, images, np.float32(0))
    return Injection(replace(brick, image=brick.image + added), sources)


def measure_injected(
    injection: Injection, method: Method, without: Image, threshold: Sequence[float] | None = None
) -> Sources:
    """What a method gives back of the sources: it runs once.

    without : what it makes of the brick without the sources, (band, y, x), nanomaggies
    threshold : in each band, in units of the pixel's noise in the input, above which a pixel is a detection
    """
    sources, image = injection.sources, method(injection.brick)
    measured, found = aperture_sums(image - without, sources.x, sources.y), sources.found
    if threshold is not None:
        least = np.asarray(threshold)[:, None] * sources.pixel_noise
        there, already = (_peaks_near(each, sources.x, sources.y) > least for each in (image, without))
        found = np.where(already, np.nan, there.astype(np.float64))
    return replace(sources, measured=measured, found=found)


def empty_places(empty: Mask, count: int, generator: np.random.Generator) -> tuple[Array, Array]:
    """Up to `count` random places x, y, (n,) each, whose whole aperture is `empty` (y, x) bool."""
    reach = int(np.ceil(RADIUS)) + 1
    rows, columns = np.indices((2 * reach + 1, 2 * reach + 1)) - reach
    free = ndimage.binary_erosion(empty, rows**2 + columns**2 <= reach**2)
    inside = np.zeros_like(free)
    inside[MARGIN:-MARGIN, MARGIN:-MARGIN] = True
    left = np.argwhere(free & inside).astype(np.float64)  # (places, 2) y, x
    places: list[Array] = []
    while len(places) < count and len(left):
        place = left[generator.integers(len(left))]
        places.append(place + generator.uniform(-0.5, 0.5, 2))
        left = left[np.hypot(*(left - place).T) >= SEPARATION]
    y, x = np.reshape(places, (-1, 2)).T
    return x, y


def draw_sources(
    shape: tuple[int, int], x: Array, y: Array, flux: Array, fwhm: float, radius: Array
) -> NDArray[np.float32]:
    """Noise-free image (y, x) of one band with sources of total `flux`, nanomaggies.

    A disc is convolved with the point spread function in Fourier space, where it is
    (1 + (2 pi k h)^2)^(-3/2) for the scale length h: its flux is conserved.

    fwhm : of the point spread function, pixels
    radius : half-light radii of exponential discs, pixels; 0 for points
    """
    image = np.zeros(shape)
    for column, row, total, size in zip(x, y, flux, radius, strict=True):
        stamp = moffat(fwhm, REACH, row - round(row), column - round(column))
        if size:
            edge = len(stamp)
            square = np.add.outer(fft.fftfreq(edge) ** 2, fft.rfftfreq(edge) ** 2)
            disc = (1 + (2 * np.pi * size / HALF_LIGHT) ** 2 * square) ** -1.5
            stamp = fft.irfft2(fft.rfft2(stamp) * disc, s=stamp.shape)
        there, part = overlap_slices(shape, stamp.shape, (round(row), round(column)))
        image[there] += total * stamp[part]
    return image.astype(np.float32)


def _aperture_share(fwhm: float, radius: float) -> float:
    """Share of a source's flux in the aperture, if it is centred on a pixel."""
    middle, shape = np.array([float(REACH)]), (2 * REACH + 1, 2 * REACH + 1)
    stamp = draw_sources(shape, middle, middle, np.ones(1), fwhm, np.array([radius]))
    return float(aperture_sums([stamp], middle, middle)[0, 0])


def _colours(bands: Sequence[str], count: int, generator: np.random.Generator) -> Array:
    """Fluxes relative to r, (band, count): each source somewhere between BLUE and RED, 0.1 mag of scatter."""
    age = generator.uniform(0, 1, count)
    scatter = generator.normal(0, 0.1, (len(bands), count))
    blue, red = (np.array([table.get(band, 0.0) for band in bands])[:, None] for table in (BLUE, RED))
    return np.asarray(10 ** (-0.4 * (blue + (red - blue) * age + scatter)))


def _peaks_near(image: Image, x: Array, y: Array) -> Array:
    """Highest pixel within DETECTION_RADIUS of each place: (band, n)."""
    size = 2 * DETECTION_RADIUS + 1
    highest = ndimage.maximum_filter(image, (1, size, size))
    return values_at(highest, x, y).astype(np.float64)
