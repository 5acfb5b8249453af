"""What is found in a brick before and after: point sources in all bands together, scored on one scale."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from astropy.table import Table
from scipy.ndimage import maximum_filter

from skydenoise.errors import BrickError
from skydenoise.evaluate.detection.detect import find_peaks, searched_pixels
from skydenoise.evaluate.detection.matched import (
    combined,
    flux_errors,
    matched_filter,
    moffats,
    point_flux,
    smoothing_filter,
)
from skydenoise.evaluate.images import measured_pixels, pixel_scale
from skydenoise.evaluate.psf import measure_fwhm
from skydenoise.io import Brick, Denoised
from skydenoise.io.wcs import celestial_wcs
from skydenoise.noise import NoiseModel, measure_brick_noise

log = logging.getLogger(__name__)

METHODS = {"input": "noisy", "denoised": "denoised"}
"""What the tables of the evaluation call the images that are searched."""

BODY_SHARE, BODY_REACH = 0.003, 60
"""A maximum below this share of the highest score within so many pixels counts as that source's own light."""

Positions = list[tuple[float, float, float]]


def found_in(
    brick: Brick, denoised: Denoised, noise: NoiseModel, fwhm: Sequence[float], least: Mapping[str, float]
) -> dict[str, Positions]:
    """Right ascension and declination (degrees) and score of what is found, by "input" and "denoised".

    The input is searched with a matched filter, the denoised image with a narrow Gaussian
    (evaluate.detection.matched); nothing near borders and in masked pixels.

    noise : of the training bricks
    fwhm : seeing in each band, arcsec; empty: measured on the brick's stars; without any, nothing is found
    least : score from which a maximum is listed
    """
    own = measure_brick_noise(brick, noise)
    try:
        scale = pixel_scale(brick.headers[0])
        widths = [width / scale for width in fwhm] or measure_fwhm(brick, own)
    except BrickError as error:
        log.warning("nothing is searched; evaluate.fwhm can say how wide the seeing is: %s", error)
        return {"input": [], "denoised": []}
    usable = measured_pixels(brick, denoised)
    matched, narrow = matched_filter(moffats(widths), own), smoothing_filter(moffats(widths), own)
    errors = flux_errors(own.sigma(brick.invvar), usable, matched)
    searched = searched_pixels(errors, matched)
    wcs, lists = celestial_wcs(brick.headers[0]), {}
    for name, image, point_filter in (("input", brick.image, matched), ("denoised", denoised.image, narrow)):
        score = combined(point_flux(image, usable, point_filter) / errors)
        peaks = find_peaks(score, searched)
        rows, columns = np.rint(peaks.y).astype(int), np.rint(peaks.x).astype(int)
        glare = BODY_SHARE * maximum_filter(score, 2 * BODY_REACH + 1)[rows, columns]
        high = peaks.score >= np.maximum(glare, least[name])
        places = wcs.pixel_to_world(peaks.x[high], peaks.y[high]).icrs
        table = [places.ra.deg.round(6), places.dec.deg.round(6), peaks.score[high].round(1)]
        lists[name] = [tuple(row) for row in np.stack(table, axis=1).tolist()]
    return lists


def least_scores(tables: Sequence[Path | str], score: float) -> dict[str, float]:
    """Score from which a source is listed, by image searched.

    tables : detection.ecsv of a run with a known truth, or none: the score at which nine in ten are true;
        where there is none, `score`
    """
    least = dict.fromkeys(METHODS, score)
    for path in tables:
        table = Table.read(path, format="ascii.ecsv")
        longest = max(table["search"], key=len, default="")  # all bands
        for image, method in METHODS.items():
            found = table["threshold"][(table["method"] == method) & (table["search"] == longest)]
            if len(found) and np.isfinite(found[0]):
                least[image] = float(found[0])
    return least
