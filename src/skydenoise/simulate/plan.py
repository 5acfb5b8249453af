"""What is simulated: settings, names, and where each brick lies on the sky and in the noise."""

import math
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS
from numpy.typing import ArrayLike

from skydenoise.errors import SettingsError
from skydenoise.schema import default
from skydenoise.simulate.releases import RELEASES, Release

BANDS = ("g", "r", "z")
"""Bands of the default release."""
FILTERS = (*BANDS, "i")
"""All that can be simulated; the place of a band among them seeds its noise."""
PIXEL_SCALE = 0.262
"""Arcsec per pixel of the survey's coadds."""
ZERO_POINT = 22.5
"""AB magnitude of one nanomaggy."""
NOMINAL_EXPOSURES = 2
"""Exposures of the survey's canonical depth."""


@dataclass(frozen=True)
class CoaddNoise:
    """Sky noise of a coadd.

    correlation : coefficient of pixels (1, 0), (1, 1), (2, 0) and, where it matters, (3, 0) pixels apart
    scale : true rms of a pixel in units of 1/sqrt(invvar)
    """

    correlation: tuple[float, ...]
    scale: float


NOISES = {
    "white": CoaddNoise((0.0, 0.0, 0.0), 1.0),
    "decam": CoaddNoise((0.11, 0.03, -0.06), 1.0),
    "bass": CoaddNoise((0.60, 0.35, 0.00, -0.11), 0.84),
    "between": CoaddNoise((0.35, 0.19, -0.03, -0.05), 0.92),
    "resampled": CoaddNoise((0.73, 0.53, 0.28, 0.06), 0.75),
}
"""decam and bass: as measured in real coadds, DECam z and BASS g of DR6 brick 0959p805, the latter outside
the survey's blobs; over all pixels one finds 0.64, 0.43, 0.13 and 0.90 there, because faint sources look like
noise. between: half way from one to the other. resampled: white noise smoothed by a Gaussian of 0.9 px, as an
image resampled to smaller pixels has it."""


@dataclass(frozen=True)
class SimulationSettings:
    """A row of bricks along right ascension, on one common sky. Fours are in the order g, r, z, i.

    The schema describes those that a user sets.

    ra, dec : centre of the first brick, degrees
    step : between the centres of neighbours in right ascension, tenths of a degree; neighbours overlap if
        `size` is more than step * 360 arcsec * cos(dec)
    depth : 5-sigma AB magnitude of a point source with two exposures (survey's canonical 24.7, 23.9, 23.0)
    fwhm : of the point spread function, arcsec
    noise : key of NOISES
    sky_brightness : AB magnitude per square arcsec; sets the electrons per nanomaggy and so the Poisson noise
        of sources (DECam's nominal dark sky, legacyzpts)
    saturation : AB magnitude of a star whose central pixel just saturates
    wings : fraction of a source's light in the halo and the diffraction spikes of the telescope
    bright_limit, faint_limit : r magnitude of the brightest and faintest sources
    passes : of four numbers every square of two by two cells has all. Chip gaps and defects lower them
    missing : probability that a 1024-pixel cell of a band holds a rectangle without any exposure
    cosmics : cosmic-ray tracks per exposure and million pixels
    gradient : amplitude of slow sky residuals, in units of a pixel's sky noise
    """

    seed: int = default("simulation.seed")
    bricks: int = default("simulation.bricks")
    size: int = default("simulation.size")
    ra: float = 150.05
    dec: float = 60.0
    step: int = 1
    depth: tuple[float, ...] = (24.7, 23.9, 23.0, 23.6)
    fwhm: tuple[float, ...] = (1.5, 1.4, 1.3, 1.3)
    noise: str = default("simulation.noise")
    sky_brightness: tuple[float, ...] = (22.04, 20.91, 18.46, 19.77)
    saturation: tuple[float, ...] = (16.0, 16.0, 15.3, 15.6)
    wings: float = 0.02
    galaxies: float = default("simulation.galaxies")
    stars: float = default("simulation.stars")
    bright_limit: float = 12.5
    faint_limit: float = 27.0
    passes: tuple[int, ...] = default("simulation.passes")
    pass_cell: int = default("simulation.pass_cell")
    missing: float = 0.25
    cosmics: float = 60.0
    stripes: float = default("simulation.stripes")
    gradient: float = 0.01
    release: str = default("survey.release")
    region: str = default("survey.region")

    def __post_init__(self) -> None:
        for key in ("depth", "fwhm", "sky_brightness", "saturation"):
            object.__setattr__(self, key, tuple(float(value) for value in getattr(self, key)))
            expected = f"one value for each of {', '.join(FILTERS)} expected"
            _require(len(getattr(self, key)) == len(FILTERS), key, expected)
        object.__setattr__(self, "passes", tuple(self.passes))
        _require(min(self.passes, default=0) >= 1, "passes", f"{self.passes} is not one or more passes")
        for key in ("bricks", "step", "pass_cell"):
            _require(getattr(self, key) >= 1, key, f"{getattr(self, key)} is below 1")
        for key in ("seed", "galaxies", "stars", "cosmics", "stripes", "gradient"):
            _require(getattr(self, key) >= 0, key, f"{getattr(self, key)} is below 0")
        for key in ("wings", "missing"):
            _require(0 <= getattr(self, key) <= 1, key, f"{getattr(self, key)} is not in the range [0, 1]")
        _require(self.size >= 32, "size", f"{self.size} is below 32 pixels")
        _require(0 <= self.ra < 360, "ra", f"{self.ra} is not in the range [0, 360)")
        _require(abs(self.dec) <= 85, "dec", f"{self.dec} is not in the range [-85, 85]")
        _require(self.bricks * self.step <= 3600, "bricks", "the row is longer than the sky is round")
        _require(min(self.fwhm) > 2 * PIXEL_SCALE, "fwhm", "below two pixels is undersampled")
        _require(self.noise in NOISES, "noise", f"{self.noise!r} is not one of {', '.join(NOISES)}")
        _require(self.bright_limit < self.faint_limit, "bright_limit", "not brighter than faint_limit")
        _require(self.release in RELEASES, "release", f"{self.release} is not one of {', '.join(RELEASES)}")
        known = RELEASES[self.release].bands
        _require(self.region in known, "region", f"{self.release} has {' and '.join(known)} alone")

    @property
    def layout(self) -> Release:
        """How the release's files look."""
        return RELEASES[self.release]

    @property
    def bands(self) -> tuple[str, ...]:
        """Of the release in this region."""
        return self.layout.bands[self.region]


def _require(condition: bool, key: str, reason: str) -> None:
    if not condition:
        raise SettingsError(f"simulation.{key}: {reason}")


@dataclass(frozen=True)
class BrickField:
    """Where a brick lies.

    row : place in the row, from 0
    ra, dec : centre, degrees
    size : edge in pixels
    origin : (x, y) of its first pixel on the row's common pixel lattice, on which noise, exposures and
        defects are laid out. The lattice is the bricks' own grids joined: shifts are rounded to whole pixels
        and the rotation between neighbours (0.1 degree) is left out, so that two bricks see the same noise
        in their overlap, but up to a pixel apart.
    bounds : RAMIN, RAMAX, DECMIN, DECMAX, degrees: the area for which this brick is the primary one
    """

    name: str
    row: int
    ra: float
    dec: float
    size: int
    origin: tuple[int, int]
    bounds: tuple[float, float, float, float]

    @property
    def wcs_header(self) -> fits.Header:
        """TAN, north up, east left, the reference in the centre: the cards of the survey."""
        middle = (self.size + 1) / 2
        header = fits.Header()
        for key, value, comment in (
            ("CTYPE1", "RA---TAN", "TANgent plane"),
            ("CTYPE2", "DEC--TAN", "TANgent plane"),
            ("CRVAL1", self.ra, "Reference RA"),
            ("CRVAL2", self.dec, "Reference Dec"),
            ("CRPIX1", middle, "Reference x"),
            ("CRPIX2", middle, "Reference y"),
            ("CD1_1", -PIXEL_SCALE / 3600, "CD matrix"),
            ("CD1_2", 0.0, "CD matrix"),
            ("CD2_1", 0.0, "CD matrix"),
            ("CD2_2", PIXEL_SCALE / 3600, "CD matrix"),
            ("EQUINOX", 2000.0, "Observation epoch"),
        ):
            header[key] = (value, comment)
        return header

    @property
    def wcs(self) -> WCS:
        """The brick's world coordinates."""
        return WCS(self.wcs_header)

    def primary(self) -> np.ndarray:
        """(y, x) bool: pixels inside `bounds`."""
        y, x = np.indices((self.size, self.size))
        ra, dec = self.wcs.pixel_to_world_values(x, y)
        ra_min, _, dec_min, dec_max = self.bounds
        inside = (ra - ra_min) % 360 < (self.bounds[1] - ra_min) % 360
        return inside & (dec >= dec_min) & (dec < dec_max)


def brick_name(ra: float, dec: float) -> str:
    """RRRr[pm]DDd: tenths of a degree, truncated."""
    return f"{int(round(ra * 10, 6)) % 3600:04d}{'p' if dec >= 0 else 'm'}{int(round(abs(dec) * 10, 6)):03d}"


def brick_field(row: int, settings: SimulationSettings) -> BrickField:
    """Geometry of the brick at place `row` of the row."""
    spacing = settings.step * 0.1 * math.cos(math.radians(settings.dec))  # degrees on the sky
    half_ra = settings.step * 0.05
    half_dec = min(spacing, settings.size * PIXEL_SCALE / 3600) / 2
    ra = (settings.ra + row * settings.step * 0.1) % 360
    dec = settings.dec
    left = -round(row * spacing * 3600 / PIXEL_SCALE) - settings.size // 2  # east is left
    return BrickField(
        name=brick_name(ra, dec),
        row=row,
        ra=ra,
        dec=dec,
        size=settings.size,
        origin=(left, -(settings.size // 2)),
        bounds=((ra - half_ra) % 360, (ra + half_ra) % 360, dec - half_dec, dec + half_dec),
    )


def brick_names(settings: SimulationSettings) -> list[str]:
    """Names of the bricks, from west to east."""
    return [brick_field(row, settings).name for row in range(settings.bricks)]


class Stream(IntEnum):
    """Independent streams of random numbers."""

    SOURCES = 0
    NOISE = 1
    DITHER = 2
    DEFECTS = 3
    MISSING = 4
    BACKGROUND = 5


def generator(settings: SimulationSettings, stream: Stream, *place: int) -> np.random.Generator:
    """Random numbers that depend only on the seed, the stream and the place (cell, block, band)."""
    entropy = [settings.seed, int(stream), *(key + 2**31 for key in place)]
    return np.random.default_rng(np.random.SeedSequence(entropy))


def nanomaggies(magnitude: ArrayLike) -> np.ndarray:
    """Flux of an AB magnitude."""
    return np.asarray(10 ** (0.4 * (ZERO_POINT - np.asarray(magnitude))))
