"""Noise, small images and a small network for the tests of the quality benchmark."""

import numpy as np
from astropy.io import fits

from skydenoise.config import Architecture
from skydenoise.io import Brick
from skydenoise.noise import NoiseModel
from skydenoise.noise.levels import noise_levels

SIZE, SIGMA = 72, 0.01
SMALL = Architecture(levels=2, width=4, bottleneck=8, residual_blocks=0, outputs=1)


def noise_model(neighbour=0.0, bands=("g", "r", "z")):
    correlation = np.zeros((len(bands), 5, 5))
    correlation[:, 2, 1:4] = correlation[:, 1:4, 2] = neighbour
    correlation[:, 2, 2] = 1
    levels = np.stack([noise_levels(each, 5) for each in correlation])
    return NoiseModel(bands, (SIGMA,) * len(bands), (1.0,) * len(bands), correlation, levels)


def brick_of(image):
    image = np.asarray(image, np.float32)
    invvar = np.full(image.shape, SIGMA**-2, np.float32)
    header = fits.Header()
    bands = ("g", "r", "z")[: len(image)]
    return Brick("0001p600", bands, image, invvar, np.zeros(image.shape, bool), (header,) * len(bands))


def noise_image(noise, seed=0):
    return SIGMA * noise.draw((len(noise.bands), SIZE, SIZE), np.random.default_rng(seed))


def star(flux, bands=1):
    rows = np.arange(SIZE) - SIZE // 2
    along = np.exp(-(rows**2) / 8) / np.sqrt(8 * np.pi)
    return np.broadcast_to(flux * np.outer(along, along), (bands, SIZE, SIZE))
