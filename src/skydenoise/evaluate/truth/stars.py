"""Width and ellipticity of stars, by adaptive moments: what is left of the point spread function."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

from skydenoise.evaluate.aperture import RADIUS, inside_by
from skydenoise.evaluate.images import Image
from skydenoise.evaluate.psf import STAMP, star_shape, whole_stamps
from skydenoise.evaluate.statistics import Array, bootstrap_row, joined
from skydenoise.evaluate.tables import BAND, METHOD, Field, Measure, make_table, with_errors
from skydenoise.evaluate.truth.known import KnownBrick
from skydenoise.evaluate.truth.photometry import measure
from skydenoise.noise import NoiseModel

LEAST_SNR = 50.0
"""Signal-to-noise ratio of the aperture in the input, from which a star counts in a band."""
TRUTH, NOISY = "truth", "noisy"
"""Names of the noise-free image and of the input in the table."""

MEASURES = (
    Measure("fwhm", "mean full width at half maximum", "pix", of=lambda s: s[0].mean(axis=-1)),
    Measure("e1", "mean ellipticity along the pixel axes", of=lambda s: s[1].mean(axis=-1)),
    Measure("e2", "mean ellipticity along the diagonals", of=lambda s: s[2].mean(axis=-1)),
    Measure(
        "fwhm_shift_percent",
        "mean of fwhm over that in the noisy image, - 1",
        "%",
        of=lambda s: 100 * (s[0] / s[3] - 1).mean(axis=-1),
    ),
    Measure("e1_shift", "mean of e1 minus that in the noisy image", of=lambda s: (s[1] - s[4]).mean(axis=-1)),
    Measure("e2_shift", "mean of e2 minus that in the noisy image", of=lambda s: (s[2] - s[5]).mean(axis=-1)),
)
FIELDS = (
    replace(METHOD, description=f"{METHOD.description}; truth: the noise-free image"),
    BAND,
    Field("stars", "stars measured in this image, in the noise-free and in the noisy one", "", int),
    Field("failed", "stars of which the moments did not converge in one of them", "", int),
    *with_errors("bootstrap over stars", *MEASURES),
)
DEFINITIONS = {
    "stars": f"kind star in the catalogue, isolated, not saturated, S/N of the aperture above {LEAST_SNR:g}, "
    f"every pixel measured within {STAMP} along both axes; one in two bricks that overlap counts in both",
    "fwhm": "2.3548 times the size sigma = det(M)**(1/4) of the best Gaussian weight (Hirata & Seljak 2003)",
    "e1, e2": "distortion: (a^2 - b^2) / (a^2 + b^2) cos 2 phi, sin 2 phi; phi from x to y",
    "shift": "against the input, whose noise the image shares; the input has no shift against the truth but "
    "by noise",
    "errors": "standard deviation over bootstrap samples of the stars",
}

Shapes = Mapping[str, Array]
"""By method, and of the noise-free image: fwhm (pixels), e1, e2 of n stars in each band, (3, band, n); NaN
where a star does not count in the band, inf where its moments did not converge."""


def star_shapes(known: KnownBrick, methods: Mapping[str, Image], noise: NoiseModel) -> dict[str, Array]:
    """Shapes of the stars of a brick in all images; see `Shapes`. Without a column `kind` there are none."""
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
    kinds = known.sources["kind"] if "kind" in known.sources.colnames else np.full(x.size, "")
    x, y, star = x[inside], y[inside], np.asarray(kinds)[inside] == "star"
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
    return make_table(FIELDS, rows, DEFINITIONS)
