"""What denoising did to a brick, by numbers: the claims of the paper's Fig. 11, which gives none.

Background noise is removed, stripes and saturated pixels are corrected, intensities are kept in every band.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import sep
from astropy.table import Table
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy import ndimage

from experiments.wang2021.figures import image_grid
from skydenoise import paths
from skydenoise.evaluate.figures.bricks import sky_noise
from skydenoise.evaluate.figures.colour import Composite, composite
from skydenoise.evaluate.figures.panels import save_figure
from skydenoise.evaluate.figures.zones import choose_zones, detect
from skydenoise.evaluate.statistics import Blocks, bootstrap_error, jackknife, rms
from skydenoise.evaluate.tables import Field, make_table, write_table
from skydenoise.evaluate.truth.known import has_truth, read_truth
from skydenoise.io import Brick, Denoised, read_brick, read_denoised
from skydenoise.io.fitsfile import read_survey_image
from skydenoise.io.maskbits import band_values, named_values

Array = NDArray[Any]
Mask = NDArray[np.bool_]

RADIUS = 7.0
"""Of apertures, pixels: some 1.8 arcsec of the survey's, 3 times the half width of its seeing."""
APART = 20.0
"""Least distance of a measured source from another one, a masked pixel and the border, pixels."""
BRIGHT = 100.0
"""Aperture signal-to-noise ratio from which a source counts as bright."""
FAINT = 20.0
"""Least ratio of the others; fainter ones are chosen by their noise as well."""
SKY_DISTANCE = 8
"""Pixels around a detected source that are no sky."""
AROUND = 33
"""Lines around one that its offset is measured against, itself included."""
STRIPE_BLOCK = 32
"""Neighbouring lines that stay together when errors are estimated."""

BLOCKS, SOURCES = "jackknife over blocks", "scatter over sources"
LINES = "lines drawn again, 32 neighbours together"
VERSIONS = ("raw", "denoised")
FIELDS = (
    Field("band", "band", dtype=str),
    Field("bright", f"isolated sources above {BRIGHT:g} sigma", dtype=int),
    *Field("bright_kept", "median of their flux denoised over raw").with_error(SOURCES),
    Field("faint", f"isolated sources of {FAINT:g} to {BRIGHT:g} sigma", dtype=int),
    *Field("faint_kept", "median of their flux denoised over raw").with_error(SOURCES),
    *(
        field
        for name, what, how in (
            ("sky", "rms of the empty sky", BLOCKS),
            ("rows", "rms offset of rows", LINES),
            ("columns", "rms offset of columns", LINES),
        )
        for version in VERSIONS
        for field in Field(f"{name}_{version}", f"{what}, {version}", "nmgy").with_error(how)
    ),
    Field("saturated", "saturated pixels", dtype=int),
    *(
        Field(f"saturated_{each}", f"their light {each} over that of the truth, if known")
        for each in VERSIONS
    ),
    Field("bad", "other masked pixels, such as cosmic rays and bad columns", dtype=int),
    *(Field(f"bad_{each}", f"their rms error {each}, if the truth is known", "nmgy") for each in VERSIONS),
)
DEFINITIONS = {
    "sources": f"5 sigma in the raw band, no other, no masked pixel within {APART:g} pixels; aperture of "
    f"{RADIUS:g} pixels",
    "sky": f"usable pixels further than {SKY_DISTANCE} pixels from any detected source",
    "rows, columns": "square root of the covariance of a line's offsets in two halves of the brick, each "
    f"against the {AROUND} lines around; noise does not count, negative where the covariance is",
}


@dataclass(frozen=True, eq=False)
class BeforeAfter:
    """A brick before and after.

    raw : (band, y, x) nanomaggies, as delivered: with the pixels that are saturated or have no invvar
    saturated : (band, y, x) bool, those of the masked pixels
    truth : (band, y, x) nanomaggies, or None where nobody knows it
    """

    brick: Brick
    raw: Array
    saturated: Mask
    denoised: Denoised
    truth: Array | None

    @classmethod
    def read(cls, cache: Path, root: Path, name: str, bands: Sequence[str]) -> Self:
        """Read what a run made of a brick; raises BrickError if something is missing."""
        brick = read_brick(cache, name, bands)
        planes = [read_survey_image(paths.raw_file(cache, name, "image", band))[0] for band in bands]
        truth = read_truth(root, name, bands)[0] if has_truth(root, name, bands) else None
        raw = np.nan_to_num(np.stack(planes).astype(np.float32), posinf=0, neginf=0)
        return cls(brick, raw, _saturated(cache, brick), read_denoised(root, name, bands), truth)


def _saturated(cache: Path, brick: Brick) -> Mask:
    """Pixels that maskbits call saturated, (band, y, x); none without such a file."""
    path = paths.raw_file(cache, brick.name, "maskbits")
    if not path.exists():
        return np.zeros_like(brick.masked)
    bits, header = read_survey_image(path)
    values = [band_values(named_values(header), band, ("SATUR",))[0] for band in brick.bands]
    return np.stack([(bits.astype(np.int64) & value) != 0 for value in values])


def report(both: BeforeAfter, stem: Path, credit: str, generator: np.random.Generator) -> None:
    """Write `stem`.png (`figure`) and `stem`.ecsv (`measures`).

    credit : whose pixels these are
    generator : of the bootstrap
    """
    figure(both, stem.with_name(f"{stem.name}.png"), credit)
    write_table(stem.with_name(f"{stem.name}.ecsv"), measures(both, generator))


def figure(both: BeforeAfter, path: Path, credit: str) -> None:
    """Draw the whole brick, then the zones that `choose_zones` finds in its input; each raw above denoised.

    Columns are the colour composite (of three or more bands) and each band in grey, in units of its noise;
    a column has one scale.
    """
    brick, sigma = both.brick, sky_noise(both.brick)
    looks = {band: Composite((n,), (1 / sigma[n],), 1.0) for n, band in enumerate(brick.bands)}
    colours = composite(both.denoised.image, sigma)
    if len(colours.bands) == 3:
        looks = {"colour": colours} | looks
    whole = {"whole": np.s_[:, :]}
    zones = {zone.title: zone.window for zone in choose_zones(brick, brick.image, sigma)}
    rows = {
        f"{title}\n{version}": {name: look.render(image)[window] for name, look in looks.items()}
        for title, window in (whole | zones).items()
        for version, image in zip(VERSIONS, (both.raw, both.denoised.image), strict=True)
    }
    text = (
        f"{brick.name}; {colours.describe(brick.bands)}; grey: a band in units of its noise, asinh. {credit}"
    )
    image_grid(rows, path, text.strip())


def report_skipped(name: str, stem: Path) -> None:
    """Say in `stem`.png that a brick was skipped, and write `stem`.ecsv without rows."""
    empty = Figure(figsize=(6, 1), dpi=110)
    empty.text(0.5, 0.5, f"brick {name} was skipped: skipped.tsv says why", ha="center", va="center")
    save_figure(empty, stem.with_name(f"{stem.name}.png"))
    write_table(stem.with_name(f"{stem.name}.ecsv"), make_table(FIELDS, [], DEFINITIONS))


def measures(both: BeforeAfter, generator: np.random.Generator) -> Table:
    """One row per band; see FIELDS."""
    brick = both.brick
    rows: list[dict[str, Any]] = []
    for index, (band, sigma) in enumerate(zip(brick.bands, sky_noise(brick), strict=True)):
        usable = brick.usable[index]
        found = detect(brick.image[index], usable, sigma)
        sky = empty_sky(found, usable)
        images = {"raw": both.raw[index], "denoised": both.denoised.image[index]}
        row: dict[str, Any] = {"band": band} | flux_kept(
            images["raw"], images["denoised"], usable, found, sigma
        )
        for name, image in images.items():
            row[f"sky_{name}"], row[f"sky_{name}_err"] = sky_rms(image, sky)
            for kind, axis in (("rows", 0), ("columns", 1)):
                amplitude = stripes(np.moveaxis(image, axis, 0), np.moveaxis(sky, axis, 0), generator)
                row[f"{kind}_{name}"], row[f"{kind}_{name}_err"] = amplitude
        rows.append(row | _masked_pixels(both, index))
    return make_table(FIELDS, rows, DEFINITIONS)


def _masked_pixels(both: BeforeAfter, index: int) -> dict[str, Any]:
    """The entries of a band's row about its saturated and its other masked pixels, as far as delivered."""
    masked = both.brick.masked[index] & (both.raw[index] != 0)
    saturated = masked & both.saturated[index]
    bad = masked & ~saturated
    row: dict[str, Any] = {"saturated": np.count_nonzero(saturated), "bad": np.count_nonzero(bad)}
    truth = np.full(masked.shape, np.nan) if both.truth is None else both.truth[index]
    for name, image in (("raw", both.raw[index]), ("denoised", both.denoised.image[index])):
        light = truth[saturated].sum()
        row[f"saturated_{name}"] = float(image[saturated].sum() / light) if light else np.nan
        error = image[bad] - truth[bad]
        row[f"bad_{name}"] = float(np.sqrt(np.mean(error**2))) if bad.any() else np.nan
    return row


def empty_sky(found: Array, usable: Mask) -> Mask:
    """Usable pixels far from every source; (y, x) bool.

    found : sources as `zones.detect` gives them; each counts as a disc that holds its pixels above 5 sigma
    """
    empty = np.ones(usable.shape, dtype=bool)
    y, x = np.ogrid[: usable.shape[0], : usable.shape[1]]
    for source in found:
        reach = 3 * source["a"] + SKY_DISTANCE
        low, high = (max(0, int(source[key] - reach)) for key in "yx")
        part = np.s_[low : int(source["y"] + reach) + 2, high : int(source["x"] + reach) + 2]
        empty[part] &= (y[part[0]] - source["y"]) ** 2 + (x[:, part[1]] - source["x"]) ** 2 > reach**2
    return empty & ndimage.binary_erosion(usable, iterations=2)


def flux_kept(raw: Array, denoised: Array, usable: Mask, found: Array, sigma: float) -> dict[str, Any]:
    """Numbers of isolated sources, and the median ratio of denoised and raw flux, bright and fainter."""
    x, y = found["x"], found["y"]
    distance = np.hypot(x[:, None] - x, y[:, None] - y)
    np.fill_diagonal(distance, np.inf)
    border = np.minimum.reduce([x, y, usable.shape[1] - 1 - x, usable.shape[0] - 1 - y])
    bad, _, _ = sep.sum_circle(np.ascontiguousarray(~usable, dtype=np.float32), x, y, APART)
    alone = (distance.min(axis=1, initial=np.inf) > APART) & (border > APART) & (bad == 0)
    before, after = (
        sep.sum_circle(np.ascontiguousarray(image, dtype=np.float32), x[alone], y[alone], RADIUS, subpix=5)[0]
        for image in (raw, denoised)
    )
    ratio = before / (sigma * np.sqrt(np.pi) * RADIUS)
    row: dict[str, Any] = {}
    for name, chosen in (("bright", ratio >= BRIGHT), ("faint", (ratio >= FAINT) & (ratio < BRIGHT))):
        kept = after[chosen] / before[chosen]
        row[name] = int(kept.size)
        row[f"{name}_kept"] = float(np.median(kept)) if kept.size else np.nan
        row[f"{name}_kept_err"] = (
            float(1.2533 * np.std(kept, ddof=1) / np.sqrt(kept.size)) if kept.size > 1 else np.nan
        )
    return row


def sky_rms(image: Array, sky: Mask) -> tuple[float, float]:
    """Rms of the sky's pixels about their median, and its standard error."""
    if not sky.any():
        return np.nan, np.nan
    deviation = image - np.median(image[sky])
    return jackknife(rms, Blocks(image.shape).sums(sky, deviation**2))


def stripes(image: Array, sky: Mask, generator: np.random.Generator) -> tuple[float, float]:
    """Rms offset of the rows of an image (y, x), and its standard error.

    A row's offset is measured in the left and in the right half, each against the mean of the AROUND rows
    around it. The noise of the two is independent, so their covariance is that of the offsets alone; for rows
    that are independent of each other it is 1 - 1 / AROUND of it. Stripes wider than AROUND count less.
    """
    halves = []
    for part in (np.s_[:, : image.shape[1] // 2], np.s_[:, image.shape[1] // 2 :]):
        count = sky[part].sum(axis=1)
        mean = np.where(sky[part], image[part], 0).sum(axis=1) / np.maximum(count, 1)
        known = count >= sky[part].shape[1] / 5
        weight = ndimage.uniform_filter1d(known.astype(np.float64), AROUND, mode="constant")
        around = ndimage.uniform_filter1d(np.where(known, mean, 0.0), AROUND, mode="constant")
        halves.append(np.where(known, mean - around / np.maximum(weight, 1 / AROUND), np.nan))
    product = halves[0] * halves[1] / (1 - 1 / AROUND)
    blocks = np.arange(product.size) // STRIPE_BLOCK
    measured = np.isfinite(product)
    if not measured.any():
        return np.nan, np.nan
    values = (np.where(measured, product, 0), measured)
    sums = np.stack([np.bincount(blocks, weights=value) for value in values]).astype(np.float64)

    def amplitude(drawn: Array) -> Array:
        with np.errstate(invalid="ignore", divide="ignore"):
            square = drawn[0].sum(axis=-1) / drawn[1].sum(axis=-1)
        return np.asarray(np.sign(square) * np.sqrt(np.abs(square)))[None]

    return float(amplitude(sums)[0]), float(bootstrap_error(amplitude, sums, generator)[0])
