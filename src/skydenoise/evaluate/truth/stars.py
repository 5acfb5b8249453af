"""Width and ellipticity of stars, by adaptive moments: what is left of the point spread function."""

from collections.abc import Mapping, Sequence

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

from skydenoise.evaluate.aperture import RADIUS, inside_by
from skydenoise.evaluate.images import Image
from skydenoise.evaluate.psf import star_shape, whole_stamps
from skydenoise.evaluate.statistics import Array, Statistic, bootstrap_row, joined
from skydenoise.evaluate.tables import declared_table
from skydenoise.evaluate.truth.known import KnownBrick
from skydenoise.evaluate.truth.photometry import measure
from skydenoise.noise import NoiseModel

LEAST_SNR = 50.0
"""Signal-to-noise ratio of the aperture in the input, from which a star counts in a band."""
TRUTH, NOISY = "truth", "noisy"
"""Names of the noise-free image and of the input in the table."""

MEASURES: Mapping[str, Statistic] = {
    "fwhm": lambda s: s[0].mean(axis=-1),
    "e1": lambda s: s[1].mean(axis=-1),
    "e2": lambda s: s[2].mean(axis=-1),
    "fwhm_shift_percent": lambda s: 100 * (s[0] / s[3] - 1).mean(axis=-1),
    "e1_shift": lambda s: (s[1] - s[4]).mean(axis=-1),
    "e2_shift": lambda s: (s[2] - s[5]).mean(axis=-1),
}
"""Of fwhm, e1 and e2 in an image and in the noisy one, (6, stars)."""

Shapes = Mapping[str, Array]
"""By method, and of the noise-free image: fwhm (pixels), e1, e2 of n stars in each band, (3, band, n); NaN
where a star does not count in the band, inf where its moments did not converge."""


def star_shapes(known: KnownBrick, methods: Mapping[str, Image], noise: NoiseModel) -> dict[str, Array]:
    """Shapes of the stars of a brick in all images; see `Shapes`."""
    x, y, counts = _stars(known, noise)
    images = {TRUTH: known.truth, **methods}
    shapes = {method: np.full((3, *counts.shape), np.nan) for method in images}
    for band, star in np.argwhere(counts):
        for method, image in images.items():
            shapes[method][:, band, star] = star_shape(image[band], x[star], y[star])
    return shapes


def _stars(known: KnownBrick, noise: NoiseModel) -> tuple[Array, Array, NDArray[np.bool_]]:
    """Positions of n stars, and in which bands they count, (band, n) bool."""
    x, y = known.places
    inside = inside_by(RADIUS, x, y, known.brick.shape)
    x, y, star = x[inside], y[inside], np.asarray(known.sources["kind"])[inside] == "star"
    sources = measure(known, {}, noise)
    counts = sources.good & (sources.truth > LEAST_SNR * sources.noise) & star
    counts &= [whole_stamps(x, y, measured) for measured in known.measured]
    some = counts.any(axis=0)
    return x[some], y[some], counts[:, some]


def star_table(parts: Sequence[Shapes], bands: Sequence[str], generator: np.random.Generator) -> Table:
    """Shapes of stars over all bricks by method and band; NaN where there is no star.

    parts : of each brick, as of `star_shapes`, with the method "noisy"
    """
    every = joined(parts)
    rows = []
    for method, found in every.items():
        for band, name in enumerate(bands):
            shapes = np.concatenate([each[:, band] for each in (found, every[NOISY], every[TRUTH])])  # (9, n)
            counts = ~np.isnan(shapes).any(axis=0)
            sample = shapes[:6, counts & np.isfinite(shapes).all(axis=0)]
            numbers = {"stars": sample.shape[1], "failed": int(counts.sum()) - sample.shape[1]}
            rows.append(
                {"method": method, "band": name, **numbers, **bootstrap_row(MEASURES, sample, generator)}
            )
    return declared_table("stars", rows)
