"""The simulated survey on disk: a mirror in the survey's layout, and the truth beside it."""

import gzip
import io
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.table import Table
from numpy.typing import NDArray

from skydenoise.config import OutputSettings
from skydenoise.errors import SettingsError
from skydenoise.io import write_survey_image
from skydenoise.io.atomic import atomic_path, write_text
from skydenoise.io.digest import file_digest
from skydenoise.io.fitsfile import write_compressed
from skydenoise.paths import Survey, hdu_name, truth_catalogue, truth_file
from skydenoise.simulate.camera import Observation, exposure_maps, observe
from skydenoise.simulate.plan import (
    FILTERS,
    NOMINAL_EXPOSURES,
    PIXEL_SCALE,
    ZERO_POINT,
    BrickField,
    SimulationSettings,
    brick_field,
    brick_names,
)
from skydenoise.simulate.releases import BITS, packed
from skydenoise.simulate.scene import draw_scene, full_well, sky_noise, sources_of
from skydenoise.simulate.sky import STAR

logger = logging.getLogger(__name__)

LOSSLESS = OutputSettings(compression="lossless")

DEPENDENCIES = [
    fits.Card("DEPNAM00", "unwise"),
    fits.Card("DEPVER00", "unwise/maps/of/all/outputs/x/merge/neo11/fulldepth:unwise/maps/of/all/outputs/x"),
    fits.Card("DEPNAM01", "LARGEGALAXIES_CAT"),
    fits.Card.fromstring("DEPVER01= 'large/galaxies/masked/by/the/legacysurvey/sga/2025/SGA2025-parent-re'"),
]
"""A card that is continued, and one that was clipped: the survey has both (legacypipe's issue 786)."""

BRIGHT_STAR, MEDIUM_STAR = 13.0, 16.0
"""r magnitudes to which stars get these bits, within 1630 * 1.396**-magnitude arcsec (the survey, DR8)."""


def _field(name: str, settings: SimulationSettings) -> BrickField:
    names = brick_names(settings)
    if name not in names:
        raise SettingsError(f"brick {name!r} is not one of the simulated bricks {names[0]} to {names[-1]}")
    return brick_field(names.index(name), settings)


def brick_header(field: BrickField, bands: Sequence[str]) -> fits.Header:
    """The cards that every image of a brick has, in the survey's order."""
    ra_min, ra_max, dec_min, dec_max = field.bounds
    cards = [
        ("SURVEY", "simulated", "not a real sky"),
        ("BRICKNAM", field.name, "LegacySurvey brick RRRr[pm]DDd"),
        ("BRICKID", field.row + 1, "Place in the simulated row"),
        ("RAMIN", ra_min, "Brick RA min"),
        ("RAMAX", ra_max, "Brick RA max"),
        ("DECMIN", dec_min, "Brick Dec min"),
        ("DECMAX", dec_max, "Brick Dec max"),
        ("BRICKRA", field.ra, "Brick center"),
        ("BRICKDEC", field.dec, "Brick center"),
        *((f"BRICK_{band.upper()}", True, f"Does band {band} touch this brick?") for band in bands),
        ("BRICKBND", "".join(bands), "Bands touching this brick"),
        ("NBANDS", len(bands), "Number of bands in this catalog"),
        *((f"BAND{k}", band, "Band name in this catalog") for k, band in enumerate(bands)),
        ("COMMENT", "Simulated by skydenoise in the layout of the DESI Legacy Imaging Surveys"),
    ]
    header = fits.Header(cards)
    header.extend(DEPENDENCIES, strip=False)
    header.update(field.wcs_header)
    return header


def _image_header(field: BrickField, kind: str, band: str, settings: SimulationSettings) -> fits.Header:
    header = brick_header(field, settings.bands)
    header["FILTER"] = band
    header["IMTYPE"] = (kind, "LegacySurvey image type")
    header["PRODTYPE"] = ("wtmap" if kind == "invvar" else "image", "NOAO image type")
    if kind == "invvar":
        header["BUNIT"] = ("1/nanomaggy^2", "Ivar of ABmag=22.5-2.5*log10(nmgy)")
    else:
        header["MAGZERO"] = (ZERO_POINT, "Magnitude zeropoint")
        header["BUNIT"] = ("nanomaggy", "AB mag = 22.5 - 2.5*log10(nanomaggy)")
    if settings.layout.named_hdus:
        header["EXTNAME"] = hdu_name(kind, band)
    return header


def maskbits(
    field: BrickField,
    observations: Mapping[str, Observation],
    sources: NDArray[np.void],
    position: NDArray[np.float64],
) -> NDArray[np.int32]:
    """(y, x) int32 of the bits of `releases.MASKBITS`; observations : by band."""
    bits = np.where(field.primary(), 0, BITS["NPRIMARY"]).astype(np.int32)
    for band, seen in observations.items():
        bits[seen.saturated] |= BITS[f"SATUR_{band.upper()}"]
        bits[seen.allmask] |= BITS[f"ALLMASK_{band.upper()}"]
    magnitude = ZERO_POINT - 2.5 * np.log10(sources["flux"][:, FILTERS.index("r")])
    y, x = np.ogrid[: field.size, : field.size]
    for k in np.flatnonzero((sources["profile"] == STAR) & (magnitude < MEDIUM_STAR)):
        radius = 1630 * 1.396 ** -magnitude[k] / PIXEL_SCALE
        near = (x - position[k, 0]) ** 2 + (y - position[k, 1]) ** 2 < radius**2
        bits[near] |= BITS["MEDIUM"] | (BITS["BRIGHT"] if magnitude[k] < BRIGHT_STAR else 0)
    return bits


def _write_truth(
    field: BrickField, scenes: Mapping[str, NDArray[np.float64]], settings: SimulationSettings, root: Path
) -> None:
    for band, scene in scenes.items():
        header, index = _image_header(field, "truth", band, settings), FILTERS.index(band)
        header["PSFFWHM"] = (settings.fwhm[index], "[arcsec] FWHM of the point spread function")
        header["SKYNOISE"] = (sky_noise(index, settings), "[nanomaggy] 1/sqrt(invvar), two exposures")
        header["FULLWELL"] = (full_well(index, settings), "[nanomaggy] saturated pixel")
        file = truth_file(root, field.name, band)
        write_survey_image(file, scene.astype(np.float32), header, output=LOSSLESS)


def truth_table(
    field: BrickField,
    observations: Mapping[str, Observation],
    sources: NDArray[np.void],
    position: NDArray[np.float64],
) -> Table:
    """Sources with their centre on the brick: id, x, y, ra, dec, kind, flux_*, radius, saturated."""
    pixel = np.rint(position).astype(int)
    inside = np.all((pixel >= 0) & (pixel < field.size), axis=-1)
    sources, position, pixel = sources[inside], position[inside], pixel[inside]
    saturated = np.any([seen.saturated[pixel[:, 1], pixel[:, 0]] for seen in observations.values()], axis=0)
    table = Table(
        {
            "id": sources["id"],
            "x": position[:, 0],
            "y": position[:, 1],
            "ra": sources["ra"],
            "dec": sources["dec"],
            "kind": np.where(sources["profile"] == STAR, "star", "galaxy"),
            **{f"flux_{band}": sources["flux"][:, FILTERS.index(band)] for band in observations},
            "radius": sources["radius"],
            "saturated": saturated,
        },
        meta={"brick": field.name, "x, y": "0-based, pixel centres at integers"},
    )
    for name, unit in (("ra", "deg"), ("dec", "deg"), ("radius", "arcsec"), ("x", "pix"), ("y", "pix")):
        table[name].unit = unit
    for band in observations:
        table[f"flux_{band}"].unit = "nmgy"
    return table


def simulate_brick(name: str, settings: SimulationSettings, mirror: Path, truth_root: Path) -> None:
    """Write one brick to the mirror, and its truth.

    The truth is the astrophysical scene convolved with the point spread function: no background, stripes,
    saturation, defects or missing exposures. In the mirror: image and invvar of each band, maskbits, and last
    their sha256sum file.

    Parameters
    ----------
    name : one of `brick_names(settings)`
    mirror : folder that stands for .../legacysurvey
    truth_root : folder under which `paths.truth_file` and `paths.truth_catalogue` lie

    Raises
    ------
    SettingsError : no such brick
    OSError : a file cannot be written
    """
    field = _field(name, settings)
    sources, position = sources_of(field, settings)
    numbers = {band: FILTERS.index(band) for band in settings.bands}
    scenes = {b: draw_scene(sources, position, field.size, k, settings) for b, k in numbers.items()}
    observations = {band: observe(scenes[band], field, k, settings) for band, k in numbers.items()}
    _write_truth(field, scenes, settings, truth_root)
    with atomic_path(truth_catalogue(truth_root, name)) as partial:
        truth_table(field, observations, sources, position).write(
            partial, format="ascii.ecsv", overwrite=True
        )
    survey, layout = Survey(str(mirror), settings.release, settings.region), settings.layout
    files = []
    for band, seen in observations.items():
        for kind, pixels in (("image", seen.image), ("invvar", seen.invvar)):
            files.append(Path(survey.file(name, kind, band)))
            data, header = pixels.astype(np.float32), _image_header(field, kind, band, settings)
            write_compressed(files[-1], data, header, packed(data, kind, layout))
    header = brick_header(field, settings.bands)
    header["IMTYPE"] = ("maskbits", "LegacySurveys image type")
    layout.name_bits(header)
    if layout.named_hdus:
        header["EXTNAME"] = hdu_name("maskbits")
    bits = maskbits(field, observations, sources, position).astype(layout.mask_type)
    files.append(Path(survey.file(name, "maskbits")))
    write_compressed(files[-1], bits, header, packed(bits, "maskbits", layout))
    _write_sums(name, files, survey, layout.pipeline_sums)
    logger.info("brick %s simulated: %d sources", name, len(sources))


def _write_sums(name: str, files: Sequence[Path], survey: Survey, pipeline: bool) -> None:
    """Write the sha256sum file of a brick: of names, or, as legacypipe does, of paths from the region on."""
    path = Path(survey.pipeline_checksums(name) if pipeline else survey.checksums(name))
    lines = [
        f"{file_digest(file)} {f'*{file.relative_to(survey.root)}' if pipeline else f' {file.name}'}\n"
        for file in sorted(files)
    ]
    write_text(path, "".join(lines))


def _write_table(path: Path, table: Table) -> None:
    """Gzipped FITS table; the same content gives the same bytes."""
    content = io.BytesIO()
    table.write(content, format="fits")
    with atomic_path(path) as partial:
        partial.write_bytes(gzip.compress(content.getvalue(), mtime=0))


def write_survey_tables(mirror: Path, settings: SimulationSettings) -> None:
    """Write the survey-bricks tables: of all bricks, and of the region with exposures and depths per band.

    nexp is the median number of exposures in the primary area, psfdepth the 5-sigma AB magnitude of a point
    source there, and galdepth, as a round number, a quarter of a magnitude less.
    """
    fields = [brick_field(row, settings) for row in range(settings.bricks)]
    sky = Table(
        {
            "BRICKNAME": np.array([field.name for field in fields], "S8"),
            "BRICKID": np.array([field.row + 1 for field in fields], np.int32),
            "BRICKQ": np.array([field.row % 4 for field in fields], np.int16),
            "BRICKROW": np.zeros(len(fields), np.int32),
            "BRICKCOL": np.array([field.row for field in fields], np.int32),
            "RA": [field.ra for field in fields],
            "DEC": [field.dec for field in fields],
            **{
                key: [field.bounds[k] for field in fields]
                for k, key in enumerate(("RA1", "RA2", "DEC1", "DEC2"))
            },
        }
    )
    primary = [field.primary() for field in fields]
    region = Table({"brickname": sky["BRICKNAME"], "ra": sky["RA"], "dec": sky["DEC"]})
    for band in settings.bands:
        index = FILTERS.index(band)
        counts = [
            exposure_maps(field, index, settings)[1][inside]
            for field, inside in zip(fields, primary, strict=True)
        ]
        median = np.array([np.median(count) if count.size else 0 for count in counts], np.int16)
        histogram = [np.bincount(np.minimum(count, 5), minlength=6) for count in counts]
        depth = settings.depth[index] + 1.25 * np.log10(np.maximum(median, 1) / NOMINAL_EXPOSURES)
        region[f"nexp_{band}"] = median
        region[f"nexphist_{band}"] = np.array(histogram, np.int32)
        region[f"psfsize_{band}"] = np.where(median > 0, settings.fwhm[index], 0).astype(np.float32)
        region[f"psfdepth_{band}"] = np.where(median > 0, depth, 0).astype(np.float32)
        region[f"galdepth_{band}"] = np.where(median > 0, depth - 0.25, 0).astype(np.float32)
    survey = Survey(str(mirror), settings.release, settings.region)
    _write_table(Path(survey.all_bricks), sky)
    _write_table(Path(survey.region_bricks), region)
