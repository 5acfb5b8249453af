"""Small headers, noise, bricks and skies of known truth, of which tests of all rooms are made."""

from dataclasses import replace

import numpy as np
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS

from skydenoise import paths
from skydenoise.config import OutputSettings
from skydenoise.evaluate.truth.known import KnownBrick
from skydenoise.io import Brick, Denoised, write_brick, write_survey_image
from skydenoise.io.rawbrick import write_raw
from skydenoise.noise import NoiseModel, measure_noise
from skydenoise.noise.levels import noise_levels
from skydenoise.noise.sky_sums import tally_sky

NAME, SIGMA = "0001p600", 0.01
PIXEL = 7.3e-5
"""Edge of a pixel, degrees: 0.263 arcsec."""
LOSSLESS = OutputSettings("lossless")


def make_header(x0=0.0, ra=0.15, pixel=PIXEL):
    """TAN around (ra, 60); `x0` pixels further right than a brick without."""
    cards = {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": ra, "CRVAL2": 60.0}
    cards |= {
        "CRPIX1": 100.5 - x0,
        "CRPIX2": 100.5,
        "CD1_1": -pixel,
        "CD1_2": 0.0,
        "CD2_1": 0.0,
        "CD2_2": pixel,
    }
    return fits.Header(cards)


def make_noise(bands=("r",), sigma=SIGMA, width=0.0, **change):
    """Noise with the correlation exp(-distance^2 / width), white if width is 0; sigma : one or many."""
    lag = np.arange(-4, 5) ** 2
    square = np.add.outer(lag, lag)
    correlation = np.exp(-square / width) if width else np.where(square == 0, 1.0, 0.0)
    count, levels = len(bands), noise_levels(correlation, 3)
    sigmas = tuple(np.broadcast_to(sigma, count).tolist())
    every = np.stack([correlation] * count), np.stack([levels] * count)
    return replace(NoiseModel(tuple(bands), sigmas, (1.0,) * count, *every), **change)


def make_brick(image, sigma=SIGMA, bands=None, name=NAME, x0=0.0, pixel=PIXEL):
    """Brick of an image (band, y, x) with the same noise everywhere. sigma : one, or of each band."""
    image = np.asarray(image, np.float32)
    bands = tuple(bands or ("g", "r", "z")[: len(image)])
    sigmas = np.broadcast_to(sigma, len(image))[:, None, None]
    invvar = np.broadcast_to(sigmas**-2, image.shape).astype(np.float32)
    headers = (make_header(x0, pixel=pixel),) * len(image)
    return Brick(name, bands, image, invvar, np.zeros(image.shape, bool), headers)


def make_denoised(image, sigma=SIGMA):
    """The product (band, y, x), without a flag."""
    image = np.asarray(image, np.float32)
    return Denoised(image, np.full_like(image, sigma), np.zeros(image.shape[1:], np.int32))


def draw_noise(noise, shape, seed=0):
    """Noise of a sky, nanomaggies: (band, y, x)."""
    sigma = np.array(noise.sigma_sky, np.float32)[:, None, None]
    return sigma * noise.draw((len(noise.bands), *shape), np.random.default_rng(seed))


def gaussians(shape, x, y, flux, width=2.0):
    """Sources of total fluxes and a standard deviation in pixels: (y, x)."""
    image = np.zeros(shape)
    for at_x, at_y, total in zip(x, y, flux, strict=True):
        squares = [(np.arange(size) - at) ** 2 for size, at in zip(shape, (at_y, at_x), strict=True)]
        image += total * np.exp(-np.add.outer(*squares) / (2 * width**2)) / (2 * np.pi * width**2)
    return image


def stamps(shape, x, y, flux, psf):
    """Sources with profiles psf (band, 2R+1, 2R+1) at whole pixels: (band, y, x). flux : (band, n)."""
    image, reach = np.zeros((len(psf), *shape)), psf.shape[1] // 2
    for column, row, totals in zip(x, y, np.transpose(flux), strict=True):
        part = np.s_[:, row - reach : row + reach + 1, column - reach : column + reach + 1]
        image[part] += np.reshape(totals, (-1, 1, 1)) * psf
    return image


def places(size, border, step):
    """Whole pixels of a grid, `border` from the edges: x, y."""
    at = np.arange(border, size - border, step)
    x, y = np.meshgrid(at, at)
    return x.ravel(), y.ravel()


def make_known(truth, noise, x, y, flux, *, seed=0, fwhm=(), drawn=None, **brick):
    """A brick in noise whose truth is known and which was denoised perfectly; no source is saturated.

    flux : (n,) or (band, n)
    drawn : noise (band, y, x); by default of the model
    brick : see `make_brick`
    """
    truth = np.asarray(truth, np.float32)
    drawn = draw_noise(noise, truth.shape[1:], seed) if drawn is None else drawn
    observed = make_brick(truth + drawn, noise.sigma_sky, noise.bands, **brick)
    flux = np.broadcast_to(flux, (len(truth), len(x)))
    columns = {f"flux_{band}": row for band, row in zip(noise.bands, flux, strict=True)}
    sources = Table({"x": np.asarray(x, float), "y": np.asarray(y, float), **columns})
    sources["ra"], sources["dec"] = WCS(observed.headers[0]).pixel_to_world_values(sources["x"], sources["y"])
    sources["kind"], sources["saturated"] = "galaxy", False
    product = make_denoised(truth)
    return KnownBrick(observed, observed.usable, product, truth, sources, fwhm)


def with_product(known, image, sigma=SIGMA):
    """The same brick, denoised otherwise."""
    return replace(known, denoised=make_denoised(image, sigma))


def write_products(folder, brick, denoised):
    """Write a brick to raw/ and what was made of it to run/."""
    write_raw(folder / "raw", brick, LOSSLESS)
    write_brick(folder / "run", brick, denoised, LOSSLESS, {"key": "k"})


def write_truth(folder, known, fwhm=None):
    """Write the truth to run/. fwhm : of the point spread function, pixels; None if it is not known."""
    for band, image in zip(known.brick.bands, known.truth, strict=True):
        head = known.brick.headers[0].copy()
        if fwhm:
            head["PSFFWHM"] = fwhm * 3600 * PIXEL
        write_survey_image(
            paths.truth_file(folder / "run", known.brick.name, band), image, head, output=LOSSLESS
        )
    known.sources.write(paths.truth_catalogue(folder / "run", known.brick.name))


def make_showcase(bands="grz", saturated=True):
    """A brick with a round galaxy at y 50, x 140, stars and a saturated star; as denoised; its truth."""
    generator = np.random.default_rng(0)
    faint = generator.uniform(10, 90, (12, 2))
    x, y = [60, *faint[:, 1]], [150, *faint[:, 0]]
    truth = gaussians((200, 200), x, y, [125, *[3.8] * 12]) + gaussians((200, 200), [140], [50], [452], 6)
    if saturated:
        truth += gaussians((200, 200), [160], [150], [1257])
    truth = np.repeat(truth[None], len(bands), axis=0).astype(np.float32)
    brick = make_brick(truth + SIGMA * generator.standard_normal(truth.shape), bands=bands)
    brick.masked[truth > 20] = True
    return brick, make_denoised(truth), truth


def noise_of_bricks(bricks, scales=5, max_lag=8):
    """Noise measured on bricks in memory."""
    return measure_noise(((each.name, each.bands, tally_sky(each, max_lag)) for each in bricks), scales)
