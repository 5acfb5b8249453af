"""The noise-free image: every source convolved with the band's point spread function.

The core of the point spread function is a Moffat profile, understood as the effective one (pixel response
included); the telescope's halo and diffraction spikes take a further fraction of every source's light.
"""

import math

import numpy as np
from numpy.typing import NDArray
from scipy.signal import fftconvolve

from skydenoise.errors import SettingsError
from skydenoise.simulate.plan import BANDS, PIXEL_SCALE, BrickField, SimulationSettings, nanomaggies
from skydenoise.simulate.sky import DISC, STAR, sources_between

try:
    import galsim
except ModuleNotFoundError as error:
    raise SettingsError("a simulated survey needs GalSim: pip install 'skydenoise[simulate]'") from error

BETA = 3.5
"""Moffat exponent; 3.5 has a closed Fourier transform and is what DECam's cores look like."""
MARGIN = 220
"""Pixels around a brick in which sources are drawn, for the light that they send into it."""
WINGS_RADIUS = 150
"""Pixels to which halo and spikes reach."""
HALO_CORE = 3.0
"""Arcsec; the halo falls as radius to the power of -3 beyond."""
BRIGHT_FLUX = 25.0
"""Nanomaggies (19th magnitude): fainter sources send no visible halo farther than their own stamp."""
TOLERANCE = 2e-3
"""Surface brightness at which a stamp may end, in units of the sky noise of a pixel."""
DEV_TRUNCATION = 8.0
"""De Vaucouleurs profiles end at this many half-light radii (as in the survey's own models, legacypipe)."""
KNOTS = 15
"""Star-forming knots in a bright disc."""
FAINT_WIDENING = 5.2
"""Fitted to exponential discs of 0.15 to 0.7 arcsec seen with 1.3 to 1.5 arcsec."""
_FAST = galsim.GSParams(
    folding_threshold=1e-2, maxk_threshold=5e-3, kvalue_accuracy=1e-4, xvalue_accuracy=1e-4
)


def _moffat_radius(fwhm: float) -> float:
    return fwhm / (2 * math.sqrt(2 ** (1 / BETA) - 1))


def noise_equivalent_pixels(fwhm: float, wings: float) -> float:
    """1 / sum(p^2) of the point spread function, in pixels (Moffat core; wings add nothing to the sum)."""
    alpha = _moffat_radius(fwhm) / PIXEL_SCALE
    return math.pi * alpha**2 * (2 * BETA - 1) / (BETA - 1) ** 2 / (1 - wings) ** 2


def sky_noise(band: int, settings: SimulationSettings) -> float:
    """1/sqrt(invvar) of a pixel of empty sky at nominal exposures, nanomaggies.

    From the depth as the survey defines it: 5-sigma flux = 5 * sigma * sqrt(noise-equivalent pixels).
    """
    pixels = noise_equivalent_pixels(settings.fwhm[band], settings.wings)
    return float(nanomaggies(settings.depth[band])) / 5 / math.sqrt(pixels)


def electrons_per_nanomaggy(band: int, settings: SimulationSettings) -> float:
    """Of the nominal coadd: the sky's own Poisson noise is the sky noise (background-limited exposures)."""
    sky = float(nanomaggies(settings.sky_brightness[band])) * PIXEL_SCALE**2
    return sky / sky_noise(band, settings) ** 2


def full_well(band: int, settings: SimulationSettings) -> float:
    """Nanomaggies in a pixel at which it saturates."""
    alpha = _moffat_radius(settings.fwhm[band]) / PIXEL_SCALE
    peak = (1 - settings.wings) * (BETA - 1) / (math.pi * alpha**2)
    return float(nanomaggies(settings.saturation[band])) * peak


def sources_of(
    field: BrickField, settings: SimulationSettings
) -> tuple[NDArray[np.void], NDArray[np.float64]]:
    """Sources in the brick and in MARGIN pixels around it.

    Returns
    -------
    sources : (n,) of dtype sky.SOURCE
    position : (n, 2) x, y on the brick's grid, 0-based, pixel centres at integers
    """
    edge = np.linspace(-MARGIN, field.size - 1 + MARGIN, 9)
    x, y = (axis.ravel() for axis in np.meshgrid(edge, edge))
    ra, dec = field.wcs.pixel_to_world_values(x, y)
    offset = (ra - field.ra + 180) % 360 - 180
    sources = sources_between(
        (field.ra + offset.min(), field.ra + offset.max()), (dec.min(), dec.max()), settings
    )
    position = np.stack(field.wcs.world_to_pixel_values(sources["ra"], sources["dec"]), axis=-1)
    inside = np.all((position > -MARGIN) & (position < field.size - 1 + MARGIN), axis=-1)
    return sources[inside], position[inside]


def _stamp_radii(sources: NDArray[np.void], band: int, settings: SimulationSettings) -> NDArray[np.int64]:
    """Pixels from the centre of a source to where its surface brightness falls below TOLERANCE."""
    faint = TOLERANCE * sky_noise(band, settings)
    flux, size, ratio = sources["flux"][:, band], sources["radius"], sources["axis_ratio"]
    alpha = _moffat_radius(settings.fwhm[band])
    peak = flux * PIXEL_SCALE**2 * (BETA - 1) / (math.pi * alpha**2)
    core = alpha * np.sqrt(np.maximum((peak / faint) ** (1 / BETA) - 1, 4.0**2))
    extent = np.maximum(size, 1e-3)
    density = flux * PIXEL_SCALE**2 / (ratio * extent**2 * faint)
    # exponential: I = F b^2 / (2 pi R^2) exp(-b r/R), b = 1.678
    # de Vaucouleurs: I = F / (22.67 R^2) exp(-c ((r/R)^1/4 - 1)), c = 7.669
    disc = extent / 1.678 * np.log(np.maximum(1.678**2 / (2 * math.pi) * density, 150.0))
    spheroid = extent * np.clip(1 + np.log(np.maximum(density / 22.67, 1e-3)) / 7.669, 1.2, 1.682) ** 4
    body = np.select([sources["profile"] == STAR, sources["profile"] == DISC], [0.0, disc], spheroid)
    reach = np.maximum(core, body + np.where(body > 0, settings.fwhm[band], 0))
    return np.minimum(np.ceil(reach / PIXEL_SCALE), 1.5 * MARGIN).astype(np.int64)


def _faint_profile(source: np.void, fwhm: float) -> galsim.GSObject:
    """An exponential disc seen through the point spread function, as one Moffat profile: ten times cheaper.

    scale^2 = alpha^2 + FAINT_WIDENING * radius^2 along each axis. Total flux exact, surface brightness within
    4 % of the peak for half-light radii up to 0.7 arcsec; used where that is a few hundredths of the noise.
    """
    alpha, blur = _moffat_radius(fwhm), math.sqrt(FAINT_WIDENING) * float(source["radius"])
    major, minor = math.hypot(alpha, blur), math.hypot(alpha, blur * float(source["axis_ratio"]))
    body = galsim.Moffat(beta=BETA, scale_radius=math.sqrt(major * minor))
    return body.shear(q=minor / major, beta=float(source["angle"]) * galsim.radians)


def _profile(source: np.void, psf: galsim.GSObject) -> galsim.GSObject:
    """Unit-flux profile of a source as the telescope sees it."""
    if source["profile"] == STAR:
        return psf
    circular = float(source["radius"]) * math.sqrt(source["axis_ratio"])
    if source["profile"] == DISC:
        body = galsim.Exponential(half_light_radius=circular, gsparams=_FAST)
        knots = float(source["knots"])
        if knots > 0:
            seed = galsim.BaseDeviate(int(source["id"]) % (2**31 - 1) + 1)
            clumps = galsim.RandomKnots(KNOTS, profile=body, rng=seed, gsparams=_FAST)
            body = (1 - knots) * body + knots * clumps
    else:
        body = galsim.Sersic(4, half_light_radius=circular, trunc=DEV_TRUNCATION * circular, gsparams=_FAST)
    sheared = body.shear(q=float(source["axis_ratio"]), beta=float(source["angle"]) * galsim.radians)
    return galsim.Convolve(sheared, psf, gsparams=_FAST)


def _wings() -> NDArray[np.float64]:
    """(y, x) halo and four diagonal diffraction spikes, sum 1, going to zero at WINGS_RADIUS."""
    axis = np.arange(-WINGS_RADIUS, WINGS_RADIUS + 1)
    y, x = np.meshgrid(axis, axis, indexing="ij")
    radius = np.hypot(x, y)
    taper = np.cos(np.clip(radius / WINGS_RADIUS, 0, 1) * math.pi / 2) ** 2
    halo = (1 + (radius * PIXEL_SCALE / HALO_CORE) ** 2) ** -1.5 * taper
    across = np.minimum(np.abs(x - y), np.abs(x + y)) / math.sqrt(2)
    spikes = np.exp(-0.5 * (across / 1.2) ** 2) / (radius + 10) ** 1.5 * taper
    return 0.8 * halo / halo.sum() + 0.2 * spikes / spikes.sum()


def draw_scene(
    sources: NDArray[np.void],
    position: NDArray[np.float64],
    size: int,
    band: int,
    settings: SimulationSettings,
) -> NDArray[np.float64]:
    """The image without noise, background or saturation.

    Parameters
    ----------
    sources, position : as from `sources_of`
    size : edge of the image, pixels
    band : index in FILTERS

    Returns
    -------
    (y, x) float64, nanomaggies per pixel
    """
    canvas = galsim.ImageD(
        size + 2 * MARGIN, size + 2 * MARGIN, xmin=-MARGIN, ymin=-MARGIN, scale=PIXEL_SCALE
    )
    psf = galsim.Moffat(beta=BETA, fwhm=settings.fwhm[band], gsparams=_FAST)
    radii = _stamp_radii(sources, band, settings)
    faint = np.all(sources["flux"][:, : len(BANDS)] < nanomaggies(settings.depth[: len(BANDS)]), axis=-1)
    hidden = (sources["profile"] != STAR) & faint
    touching = np.all((position > -radii[:, None]) & (position < size + radii[:, None]), axis=-1)
    for k in np.flatnonzero(touching | (sources["flux"][:, band] > BRIGHT_FLUX)):
        (x, y), radius = position[k], int(radii[k])
        bounds = galsim.BoundsI(round(x) - radius, round(x) + radius, round(y) - radius, round(y) + radius)
        source = sources[k]
        profile = _faint_profile(source, settings.fwhm[band]) if hidden[k] else _profile(source, psf)
        profile *= float(source["flux"][band])
        profile.drawImage(
            image=canvas[bounds & canvas.bounds],
            method="no_pixel",
            center=galsim.PositionD(x, y),
            add_to_image=True,
        )
    scene = canvas.array
    if settings.wings > 0:
        scene = (1 - settings.wings) * scene + settings.wings * fftconvolve(scene, _wings(), mode="same")
    return np.ascontiguousarray(scene[MARGIN:-MARGIN, MARGIN:-MARGIN])
