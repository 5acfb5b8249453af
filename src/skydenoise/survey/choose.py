"""Choose bricks from the survey's own tables: by name, in a box, or around a position."""

import logging
from collections.abc import Sequence
from pathlib import Path

import fitsio
import numpy as np
from astropy.table import Table

from skydenoise import paths
from skydenoise.config import FetchSettings
from skydenoise.errors import SettingsError
from skydenoise.io.lock import alone
from skydenoise.survey.download import Downloader, RefusedError, TransferError, UnfitError
from skydenoise.survey.fetch import GOES_ON, FetchError, mark_source, unwritable
from skydenoise.survey.region import Box, Cone, Names, Region

log = logging.getLogger(__name__)


def choose_bricks(
    survey: paths.Survey,
    bands: Sequence[str],
    where: Region,
    tables: Path,
    settings: FetchSettings | None = None,
) -> Table:
    """Choose the bricks of a region of the sky that were observed in every band.

    survey : where the tables are; fetched once, by https or from a mirror on disk
    bands : a brick needs nexp_<band> > 0 in each: the median number of exposures over its unique area
    where : Names, Box or Cone; box and cone choose bricks whose unique area they touch
    tables : folder that keeps the tables

    Returns a table with the columns brickname, ra, dec (degrees, of the centre) and nexp_<band>, sorted by
    name. Its meta["left_out"] holds {name: reason} of the bricks in the region that were not chosen; bricks
    that were asked for by name are logged one by one. Rows of the tables that name no brick are passed over.

    Raises
    ------
    SettingsError : nothing is left, the survey has no such table or no such band, or `tables` holds another
        release
    FetchError : a table could not be fetched for a reason that may pass
    """
    columns = [f"nexp_{paths.check_band_name(band)}" for band in bands]
    mark_source(tables, survey)
    with Downloader(settings or FetchSettings()) as downloader:
        observed = _read(
            _table(downloader, survey.region_bricks, tables), ["brickname", "ra", "dec", *columns]
        )
        if isinstance(where, Names):
            wanted = np.unique(np.array(where.names))
        else:
            cells = _read(
                _table(downloader, survey.all_bricks, tables),
                ["brickname", "ra1", "ra2", "dec1", "dec2"],
            )
            wanted = np.unique(cells["brickname"][_touches(cells, where)])
    chosen, left_out = _observed(observed, wanted, columns)
    if isinstance(where, Names):
        for name, reason in left_out.items():
            log.warning("brick %s is left out: %s", name, reason)
    log.info("%d bricks chosen, %d left out", len(chosen), len(left_out))
    if not len(chosen):
        reasons = "; ".join(f"{name}: {reason}" for name, reason in list(left_out.items())[:3])
        raise SettingsError(
            f"choose: no brick of {survey.release} {survey.region} is left ({reasons or 'none is there'})"
        )
    chosen.meta["left_out"] = left_out
    return chosen


def pick_training(names: Sequence[str], count: int, generator: np.random.Generator) -> list[str]:
    """Pick `count` bricks for training (all, if there are no more), sorted.

    The same names, in whatever order, and the same seed give the same bricks.
    """
    if count < 1:
        raise SettingsError(f"choose.train: {count} is below 1")
    ordered = sorted(set(names))
    picked = generator.choice(len(ordered), size=min(count, len(ordered)), replace=False)
    return sorted(ordered[index] for index in picked)


def _table(downloader: Downloader, url: str, folder: Path) -> Path:
    """Local copy of a table."""
    target = folder / url.rsplit("/", 1)[-1]
    if target.exists() and _is_table(target):
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


def _is_table(path: Path) -> bool:
    """Whether `path` is a FITS file with a table in HDU 1."""
    try:
        with fitsio.FITS(str(path)) as file:
            return bool(file[1].get_colnames())
    except Exception:  # readers meet damaged bytes with errors of every kind
        return False


def _check_table(path: Path) -> str:
    if not _is_table(path):
        raise UnfitError("no readable FITS table")
    return "gzip"  # has a checksum of its own


def _read(path: Path, columns: Sequence[str]) -> Table:
    """Read columns of HDU 1 by their lower-case names, of the rows that name a brick."""
    try:
        with fitsio.FITS(str(path)) as file:
            there = {name.lower() for name in file[1].get_colnames()}
            if missing := [name for name in columns if name not in there]:
                raise SettingsError(f"{path}: no column {', '.join(missing)}")
            table = Table(file[1].read(columns=list(columns), lower=True))
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


def _observed(observed: Table, wanted: np.ndarray, columns: Sequence[str]) -> tuple[Table, dict[str, str]]:
    """Rows of the `wanted` bricks that have exposures in every band, and why the others have to stay out."""
    rows = observed[np.isin(observed["brickname"], wanted)]
    rows.sort("brickname")
    left_out = {
        str(name): "not in the region's table of observed bricks"
        for name in np.setdiff1d(wanted, rows["brickname"])
    }
    lacking = {column: ~(rows[column] > 0) for column in columns}
    complete = ~np.any(list(lacking.values()), axis=0)
    for index in np.flatnonzero(~complete):
        bands = ", ".join(column.removeprefix("nexp_") for column in columns if lacking[column][index])
        left_out[str(rows["brickname"][index])] = f"no exposure in band {bands}"
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
