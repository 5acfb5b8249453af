"""Width and ellipticity of stars, by adaptive moments: what is left of the point spread function."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

from skydenoise.evaluate.aperture import circle_inside
from skydenoise.evaluate.images import Image
from skydenoise.evaluate.psf import STAMP, stamp_around, star_shape, whole_stamps
from skydenoise.evaluate.statistics import Array, bootstrap_row, joined
from skydenoise.evaluate.tables import BAND, METHOD, Field, make_table, with_errors
from skydenoise.evaluate.truth.catalogue import measure
from skydenoise.evaluate.truth.known import KnownBrick
from skydenoise.noise import NoiseModel

LEAST_SNR = 50.0
"""Signal-to-noise ratio of the aperture in the input, from which a star counts in a band."""
TRUTH, NOISY = "truth", "noisy"
"""Names of the noise-free image and of the input in the table."""

_MEASURES = (
    Field("fwhm", "mean full width at half maximum of the Gaussian of adaptive moments", "pix"),
    Field("e1", "mean ellipticity along the pixel axes"),
    Field("e2", "mean ellipticity along the diagonals"),
    Field("fwhm_change_percent", "mean of fwhm over that of the same star in the noise-free image, - 1", "%"),
    Field("e1_change", "mean of e1 minus that in the noise-free image"),
    Field("e2_change", "mean of e2 minus that in the noise-free image"),
    Field("fwhm_shift_percent", "mean of fwhm over that in the noisy image, - 1", "%"),
    Field("e1_shift", "mean of e1 minus that in the noisy image"),
    Field("e2_shift", "mean of e2 minus that in the noisy image"),
)
STAR_FIELDS = (
    replace(METHOD, description=f"{METHOD.description}; truth: the noise-free image"),
    BAND,
    Field("stars", "stars measured in this image, in the noise-free and in the noisy one", "", int),
    Field("failed", "stars of which the moments did not converge in one of them", "", int),
    *with_errors("bootstrap over stars", *_MEASURES),
)

STAR_DEFINITIONS = {
    "stars": f"kind star in the catalogue, isolated, not saturated, S/N of the aperture above {LEAST_SNR:g}, "
    f"every pixel measured within {STAMP} along both axes; one in two bricks that overlap counts in both",
    "fwhm": "2.3548 times the size sigma = det(M)**(1/4) of the best Gaussian weight (Hirata & Seljak 2003)",
    "e1, e2": "distortion: (a^2 - b^2) / (a^2 + b^2) cos 2 phi, sin 2 phi; phi from x to y",
    "change, shift": "against the truth, and against the input, whose noise the image shares: the shift is "
    "known better, and is zero in the mean where the change is",
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
    inside = circle_inside(x, y, known.brick.shape)
    kinds = known.sources["kind"] if "kind" in known.sources.colnames else np.full(x.size, "")
    sources = measure(known, {}, noise)
    strong = sources.good & (sources.truth > LEAST_SNR * sources.noise)
    star = whole_stamps(x, y, known.brick.shape)[inside] & (np.asarray(kinds)[inside] == "star")
    star &= strong.any(axis=0)
    x, y, counts = x[inside][star], y[inside][star], strong[:, star]
    for number, at in enumerate(zip(x, y, strict=True)):
        counts[:, number] &= known.measured[(slice(None), *stamp_around(*at))].all(axis=(1, 2))
    return x, y, counts


def _star_statistics(sample: Array) -> Array:
    """From shapes in an image, in the noise-free and in the noisy one, (9, ..., n), `_MEASURES` (9, ...)."""
    columns = list(sample[:3])
    for fwhm, e1, e2 in (sample[3:6], sample[6:]):
        columns += [100 * (sample[0] / fwhm - 1), sample[1] - e1, sample[2] - e2]
    return np.stack([column.mean(axis=-1) for column in columns])


def star_table(parts: Sequence[Shapes], bands: Sequence[str], generator: np.random.Generator) -> Table:
    """Shapes of stars over all bricks by method and band; NaN where there is no star.

    parts : of each brick, as of `star_shapes`, with the method "noisy"
    """
    every = joined(parts)
    rows = []
    for method, found in every.items():
        for band, name in enumerate(bands):
            shapes = np.concatenate([each[:, band] for each in (found, every[TRUTH], every[NOISY])])  # (9, n)
            counts = ~np.isnan(shapes).any(axis=0)
            sample = shapes[:, counts & np.isfinite(shapes).all(axis=0)]
            numbers = {"stars": sample.shape[1], "failed": int(counts.sum()) - sample.shape[1]}
            names = [field.name for field in _MEASURES]
            measured = bootstrap_row(names, _star_statistics, sample, generator)
            rows.append({"method": method, "band": name, **numbers, **measured})
    return make_table(STAR_FIELDS, rows, STAR_DEFINITIONS)
