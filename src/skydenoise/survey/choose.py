"""Choose bricks from the survey's own tables: by name, in a box, or around a position."""

import logging
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import fitsio
import numpy as np
from astropy.coordinates import SkyCoord
from astropy.table import Table, vstack

from skydenoise import paths
from skydenoise.config import FetchSettings
from skydenoise.errors import SettingsError
from skydenoise.io.lock import alone
from skydenoise.survey.download import Downloader, RefusedError, TransferError, UnfitError
from skydenoise.survey.fetch import GOES_ON, FetchError, mark_source, unwritable
from skydenoise.survey.region import Box, Cone, Names, Region

log = logging.getLogger(__name__)

BORDER = 32.375
"""Declination, degrees, above which the northern galactic cap is the north's (legacysurvey.org/dr9)."""

SPREAD = ("psfdepth", "psfsize")
"""Columns of the survey's tables over which training bricks are spread."""


def choose_bricks(
    survey: paths.Survey,
    bands: Sequence[str],
    where: Region,
    tables: Path,
    settings: FetchSettings | None = None,
    places: Sequence[str] = (),
) -> Table:
    """Choose the bricks of a part of the sky that were observed in every band.

    survey : where the tables are; fetched once, by https or from a mirror on disk
    bands : a brick needs nexp_<band> > 0 in each: the median number of exposures over its unique area
    where : Names, Box or Cone; box and cone choose bricks whose unique area they touch
    tables : folder that keeps the tables
    places : regions of the survey, as `Survey.at` takes them; none for its own. A brick that two have is
        taken from its own side of BORDER

    Returns a table with the columns brickname, region, ra, dec (degrees, of the centre), nexp_<band>, and as
    far as the survey's have them, psfdepth_<band> (5-sigma AB magnitude) and psfsize_<band> (arcsec), sorted
    by name. Its meta["left_out"] holds {name: reason} of the bricks there that were not chosen; bricks
    that were asked for by name are logged one by one. Rows of the tables that name no brick are passed over.

    Raises SettingsError if nothing is left, the survey has no such table or no such band, or `tables` holds
    another release, and FetchError if a table could not be fetched for a reason that may pass.
    """
    for band in bands:
        paths.check_band_name(band)
    mark_source(tables, survey)
    places = places or (survey.region,)
    left_out: dict[str, str] = {}
    found = []
    needed = ["brickname", "ra", "dec", *(paths.column_name("nexp", band) for band in bands)]
    spread = [paths.column_name(quantity, band) for quantity in SPREAD for band in bands]
    with Downloader(settings or FetchSettings()) as downloader:
        wanted = _wanted(downloader, survey, where, tables)
        for place in places:
            observed = _read(_table(downloader, survey.at(place).region_bricks, tables), needed, spread)
            rows, reasons = _observed(observed, wanted, bands)
            rows["region"] = place
            found.append(rows)
            left_out |= reasons
    chosen = _one_of_each(vstack(found, metadata_conflicts="silent"))
    left_out = {name: reason for name, reason in left_out.items() if name not in set(chosen["brickname"])}
    if isinstance(where, Names):
        for name, reason in left_out.items():
            log.warning("brick %s is left out: %s", name, reason)
    log.info("%d bricks chosen, %d left out", len(chosen), len(left_out))
    if not len(chosen):
        why = "; ".join(f"{name}: {reason}" for name, reason in list(left_out.items())[:3])
        where_from = f"{survey.release} {' or '.join(places)}"
        raise SettingsError(f"choose: no brick of {where_from} is left ({why or 'none is there'})")
    chosen.meta["left_out"] = left_out
    return chosen


def _wanted(downloader: Downloader, survey: paths.Survey, where: Region, tables: Path) -> np.ndarray:
    """Names of the bricks there, sorted."""
    if isinstance(where, Names):
        return np.unique(np.array(where.names))
    cells = _read(_table(downloader, survey.all_bricks, tables), ["brickname", "ra1", "ra2", "dec1", "dec2"])
    return np.unique(cells["brickname"][_touches(cells, where)])


def _one_of_each(rows: Table) -> Table:
    """Rows sorted by name; of a brick in two regions, that of its own side of BORDER."""
    place = SkyCoord(rows["ra"], rows["dec"], unit="deg")
    north = (place.dec.deg > BORDER) & (place.galactic.b.deg > 0)
    other_side = north != np.char.endswith(rows["region"].astype(str), "north")
    rows = rows[np.lexsort((other_side, rows["brickname"]))]
    return rows[np.unique(rows["brickname"], return_index=True)[1]]


def pick_training(chosen: Table, count: int, generator: np.random.Generator) -> list[str]:
    """Pick `count` bricks for training (all, if there are no more), sorted, over all depths and seeings.

    Every brick is as likely as any other, but the sample is spread: bricks are ordered in strips of depth,
    and in each by seeing, to and fro; one is drawn from each of `count` equal parts of that order.

    chosen : as from `choose_bricks`, in whatever order; the same bricks and seed give the same sample
    """
    if count < 1:
        raise SettingsError(f"choose.train: {count} is below 1")
    rows = chosen[np.argsort(chosen["brickname"])]
    rows = rows[generator.permutation(len(rows))]  # where depth or seeing is equal, or not known
    count = min(count, len(rows))
    depth, seeing = (_mean(rows, quantity) for quantity in SPREAD)
    strips = round(count**0.5)
    strip = np.argsort(np.argsort(depth, kind="stable")) * strips // len(rows)
    order = np.lexsort((seeing * (-1) ** strip, strip))
    return sorted(str(rows["brickname"][generator.choice(part)]) for part in np.array_split(order, count))


def _mean(rows: Table, quantity: str) -> np.ndarray:
    """Mean over the bands; 0 if the table has no such column."""
    columns = [rows[name] for name in rows.colnames if name.startswith(f"{quantity}_")]
    return np.mean(columns, axis=0) if columns else np.zeros(len(rows))


def _table(downloader: Downloader, url: str, folder: Path) -> Path:
    """Local copy of a table."""
    target = folder / url.rsplit("/", 1)[-1]
    with suppress(UnfitError):
        _check_table(target)
        return target
    try:
        with alone(folder):
            downloader.fetch(url, target, _check_table)
    except (RefusedError, UnfitError) as error:
        raise SettingsError(f"survey.url: {url}: {error}") from None
    except TransferError as error:
        raise FetchError(f"{url}: {error} ({GOES_ON})") from None
    except OSError as error:
        raise FetchError(f"{unwritable(error, target)} ({GOES_ON})") from None
    return target


def _check_table(path: Path) -> str:
    """Whose checksum vouches for a table: that of its gzip; raises UnfitError if HDU 1 holds none."""
    try:
        with fitsio.FITS(str(path)) as file:
            file[1].get_colnames()
    except Exception as error:  # readers meet damaged bytes with errors of every kind
        raise UnfitError("no readable FITS table") from error
    return "gzip"


def _read(path: Path, columns: Sequence[str], more: Sequence[str] = ()) -> Table:
    """Columns of HDU 1, in any case, of the rows that name a brick; of `more` those that are there."""
    try:
        with fitsio.FITS(str(path)) as file:
            there = {name.lower(): name for name in file[1].get_colnames()}
            if missing := [name for name in columns if name.lower() not in there]:
                raise SettingsError(f"{path}: no column {', '.join(missing)}")
            names = [*columns, *(name for name in more if name.lower() in there)]
            rows = file[1].read(columns=[there[name.lower()] for name in names])
            table = Table({name: rows[there[name.lower()]] for name in names})
    except SettingsError:
        raise
    except Exception as error:  # readers meet damaged bytes with errors of every kind
        cause = " ".join(str(error).split())
        raise SettingsError(f"{path} cannot be read ({cause}); remove it, and it is fetched again") from error
    table["brickname"] = np.char.strip(table["brickname"].astype(str))
    named = np.array([bool(paths.SURVEY_BRICK.fullmatch(name)) for name in table["brickname"]], bool)
    if not named.all():
        first = str(table["brickname"][~named][0])
        log.warning("%s: %d rows are left out, for they name no brick: %r", path, np.sum(~named), first)
    return table[named]


def _observed(observed: Table, wanted: np.ndarray, bands: Sequence[str]) -> tuple[Table, dict[str, str]]:
    """Rows of the `wanted` bricks that have exposures in every band, and why the others have to stay out."""
    rows = observed[np.isin(observed["brickname"], wanted)]
    rows.sort("brickname")
    left_out = {
        str(name): "not in the region's table of observed bricks"
        for name in np.setdiff1d(wanted, rows["brickname"])
    }
    lacking = {band: ~(rows[paths.column_name("nexp", band)] > 0) for band in bands}
    complete = ~np.any(list(lacking.values()), axis=0)
    for index in np.flatnonzero(~complete):
        absent = ", ".join(band for band in bands if lacking[band][index])
        left_out[str(rows["brickname"][index])] = f"no exposure in band {absent}"
    return rows[complete], left_out


def _touches(cells: Table, where: Box | Cone) -> np.ndarray:
    """(brick,) bool: whether the brick's unique area, ra1..ra2 and dec1..dec2, touches the region."""
    if isinstance(where, Cone):
        return _distance(cells, where.ra, where.dec) <= where.radius
    width = where.ra_max - where.ra_min
    if width < 0:
        width += 360
    east = (cells["ra1"] - where.ra_min) % 360 < width  # the brick begins inside the box
    west = (where.ra_min - cells["ra1"]) % 360 < cells["ra2"] - cells["ra1"]  # or the box inside the brick
    return (east | west) & (cells["dec1"] <= where.dec_max) & (cells["dec2"] > where.dec_min)


def _distance(cells: Table, ra: float, dec: float) -> np.ndarray:
    """Angle in degrees from a position to the nearest point of each brick's area, 0 inside.

    The nearest point lies on the position's own meridian if that crosses the brick, else on the brick's
    nearer side. Along a meridian at the difference d of right ascension, the cosine of the angle to
    declination x is sin(dec) sin(x) + cos(dec) cos(x) cos(d), greatest at tan(x) = tan(dec) / cos(d).
    """
    half = (cells["ra2"] - cells["ra1"]) / 2
    offset = np.abs((ra - (cells["ra1"] + half) + 180) % 360 - 180)
    d = np.deg2rad(np.maximum(offset - half, 0))
    lowest, highest, here = np.deg2rad(cells["dec1"]), np.deg2rad(cells["dec2"]), np.deg2rad(dec)
    best = np.clip(np.arctan2(np.sin(here), np.cos(here) * np.cos(d)), lowest, highest)
    cosines = [
        np.sin(here) * np.sin(x) + np.cos(here) * np.cos(x) * np.cos(d) for x in (lowest, best, highest)
    ]
    return np.rad2deg(np.arccos(np.clip(np.max(cosines, axis=0), -1, 1)))
