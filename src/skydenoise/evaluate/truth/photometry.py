"""Aperture fluxes of known sources on the truth and on every image, their bias and scatter, and colours."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
from astropy.coordinates import SkyCoord
from astropy.table import Table
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from skydenoise.evaluate.aperture import RADIUS, ZERO_POINT, aperture_noise, aperture_sums, inside_by
from skydenoise.evaluate.fluxes import (
    RATIO_MEASURES,
    Bin,
    average,
    binned,
    magnitude_edges,
    magnitudes,
    snr_bins,
)
from skydenoise.evaluate.images import Image
from skydenoise.evaluate.statistics import Array, Statistic, bootstrap_row, joined, selected
from skydenoise.evaluate.tables import declared_table
from skydenoise.evaluate.truth.known import KnownBrick
from skydenoise.io.wcs import celestial_wcs
from skydenoise.noise import NoiseModel

NEIGHBOUR_FLUX = 0.1
"""A source is isolated if nothing brighter than this share of its flux lies within two radii ..."""
CONTAMINATION = 1.2
"""... and the true aperture holds at most this many times its own total flux."""
SNR_EDGES = (5.0, 10.0, 20.0, 50.0, 100.0, np.inf)
MAGNITUDE_STEP = 0.5

PHOTOMETRY: Mapping[str, Statistic] = {
    **RATIO_MEASURES,
    "shift_percent": lambda sample: 100 * average(sample[2:0:-1]),
}


def _colour_bias(ratio: Array) -> Array:
    blue, red = ratio.mean(axis=-1)
    with np.errstate(invalid="ignore"):
        return magnitudes(blue) - magnitudes(red)


@dataclass(frozen=True, eq=False)
class Apertures:
    """Aperture fluxes of n sources, nanomaggies; float64 (band, n) unless said otherwise.

    truth : on the noise-free image
    noise : rms noise of the aperture in the input
    magnitude : true total AB magnitude
    good : bool, isolated and measured in that band
    fluxes : by method; NaN where a method has none
    direction : (3, n) unit vectors to the sources on the sky
    scores : (n,) float64, by those methods that measure where they detect: score of the detection
    """

    truth: Array
    noise: Array
    magnitude: Array
    good: NDArray[np.bool_]
    fluxes: Mapping[str, Array]
    direction: Array
    scores: Mapping[str, Array] = field(default_factory=dict)


def measure(known: KnownBrick, methods: Mapping[str, Image], noise: NoiseModel) -> Apertures:
    """Aperture fluxes of every source whose circle lies inside the brick, on the truth and by each method."""
    x, y = known.places
    inside = inside_by(RADIUS, x, y, known.brick.shape)
    total, isolated = known.fluxes[:, inside], isolated_sources(x, y, known.fluxes)[:, inside]
    plain = measure_at(known, methods, noise, x[inside], y[inside])
    clean = isolated & (total > 0) & (plain.truth > 0) & (plain.truth <= CONTAMINATION * total)
    return replace(
        plain,
        magnitude=ZERO_POINT - 2.5 * np.log10(np.where(clean, total, 1)),
        good=plain.good & clean & ~np.asarray(known.sources["saturated"][inside], dtype=bool),
    )


def measure_at(
    known: KnownBrick, methods: Mapping[str, Image], noise: NoiseModel, x: Array, y: Array
) -> Apertures:
    """Aperture fluxes at any positions (n,), 0-based pixels, circles inside the brick; magnitudes are NaN.

    Good is where every pixel of the circle is measured.
    """
    aperture = aperture_noise(known.brick, noise, x, y)
    sky = celestial_wcs(known.brick.headers[0]).pixel_to_world_values(x, y)
    return Apertures(
        truth=aperture_sums(known.truth, x, y),
        noise=aperture,
        magnitude=np.full(aperture.shape, np.nan),
        good=(aperture > 0) & (aperture_sums(~known.measured, x, y) == 0),
        fluxes={method: aperture_sums(image, x, y) for method, image in methods.items()},
        direction=SkyCoord(*sky, unit="deg").cartesian.xyz.value,
    )


def isolated_sources(x: Array, y: Array, flux: Array) -> NDArray[np.bool_]:
    """Sources without a neighbour of comparable flux (band, n) within two radii: (band, n) bool."""
    isolated = np.ones(flux.shape, dtype=bool)
    pairs = cKDTree(np.column_stack([x, y])).query_pairs(2 * RADIUS, output_type="ndarray")
    for one, other in (pairs.T, pairs.T[::-1]):
        band, pair = np.nonzero(flux[:, other] > NEIGHBOUR_FLUX * flux[:, one])
        isolated[band, one[pair]] = False
    return isolated


def combine(parts: Sequence[Apertures], arcsec: float = 0.1) -> Apertures:
    """All bricks' sources; one that lies in several overlapping bricks counts once, as the first has it.

    parts : of at least one brick
    arcsec : between the positions of one source at most
    """
    together = joined(parts)
    brick = np.repeat(np.arange(len(parts)), [part.truth.shape[1] for part in parts])
    pairs = cKDTree(together.direction.T).query_pairs(np.radians(arcsec / 3600), output_type="ndarray")
    repeated = pairs[brick[pairs[:, 0]] != brick[pairs[:, 1]]].max(axis=1, initial=-1)
    return selected(together, np.setdiff1d(np.arange(brick.size), repeated))


def photometry_table(
    apertures: Apertures,
    bands: Sequence[str],
    generator: np.random.Generator,
    detected: Mapping[str, Apertures] | None = None,
) -> Table:
    """Bias and scatter of fluxes by method, band and bin.

    apertures : of the catalogue's sources
    generator : of the bootstrap
    detected : apertures around what each method shows (`dual.measure_detected`), for the bins snr_detected
    """
    rows = [
        {"method": method, "band": name, **columns, **bootstrap_row(PHOTOMETRY, inside, generator)}
        for method in apertures.fluxes
        for band, name in enumerate(bands)
        for sample, values, bins in _binnings(apertures, (detected or {}).get(method), method, band)
        for columns, inside in binned(sample, values, bins)
    ]
    return declared_table("photometry", rows)


def _binnings(
    known: Apertures, seen: Apertures | None, method: str, band: int
) -> Iterable[tuple[Array, Array, Sequence[Bin]]]:
    """Samples of a method in a band, by what their sources are binned, and the bins."""
    good = known.good[band] & np.isfinite(known.fluxes[method][band])
    noise, magnitude = known.noise[band, good], known.magnitude[band, good]
    by_ratio, by_sum = (_sample(known, method, band, good, by_sum) for by_sum in (False, True))
    edges = pairwise(magnitude_edges(magnitude, MAGNITUDE_STEP))
    yield by_ratio, magnitude, [("magnitude", *edge) for edge in edges]
    yield by_ratio, by_sum[1] / noise, _bins("snr")
    yield by_sum, by_sum[0] / noise, _bins("snr_measured")
    if seen is not None:
        by_sum = _sample(seen, method, band, seen.good[band], True)
        yield by_sum, by_sum[0] / seen.noise[band, seen.good[band]], _bins("snr_detected")


def _bins(name: str) -> list[Bin]:
    return snr_bins(name, SNR_EDGES, SNR_EDGES[:-1])


def _sample(apertures: Apertures, method: str, band: int, good: NDArray[np.bool_], by_sum: bool) -> Array:
    """F, F_true and F - F_noisy of the good ones, (3, n); over F_true unless `by_sum`."""
    fluxes = apertures.fluxes[method], apertures.truth, apertures.fluxes["noisy"]
    flux, truth, noisy = (each[band, good] for each in fluxes)
    return np.stack([flux, truth, flux - noisy]) / (1 if by_sum else truth)


def colour_table(apertures: Apertures, bands: Sequence[str], generator: np.random.Generator) -> Table:
    """Bias of the colours of neighbouring bands by method and the lower of both signal-to-noise ratios.

    Parameters as above.
    """
    rows: list[dict[str, object]] = []
    for method, flux in apertures.fluxes.items():
        ratio = np.divide(flux, apertures.truth, out=np.full(flux.shape, np.nan), where=apertures.good)
        for blue, names in enumerate(pairwise(bands)):
            pair = slice(blue, blue + 2)
            good = np.isfinite(ratio[pair]).all(axis=0)
            lower = (apertures.truth[pair, good] / apertures.noise[pair, good]).min(axis=0)
            for columns, inside in binned(ratio[pair, good], lower, _bins("snr")):
                row = bootstrap_row({"bias_mag": _colour_bias}, inside, generator)
                rows.append({"method": method, "colour": "-".join(names), **columns, **row})
    return declared_table("colours", rows)
