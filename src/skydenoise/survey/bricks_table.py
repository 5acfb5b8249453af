"""The table of bricks, and their chunks; light enough to import while Snakemake parses."""

import csv
import hashlib
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from skydenoise.errors import SettingsError
from skydenoise.io.atomic import write_text
from skydenoise.paths import REGION, check_brick_name

COLUMNS = ["brick", "train", "predict"]
PLACED = [*COLUMNS, "region"]
"""With the column that a table of several regions has."""


@dataclass(frozen=True)
class BrickRow:
    """One line of the table.

    brick : name
    train : whether patches are cut from it
    predict : whether it is denoised
    region : of the survey that it comes from, as `paths.Survey.at` takes it; "" for `survey.region`
    """

    brick: str
    train: bool
    predict: bool
    region: str = ""


def read_cells(path: Path) -> list[tuple[int, list[str]]]:
    """Line number and cells, without blanks around them, of each line of a tab-separated table.

    Empty lines and lines that begin with # are passed over; so is the byte order mark of some editors.
    Raises SettingsError, in one line, for no such file, none that can be read, no text, or an open quote.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError:
        raise SettingsError(f"{path}: there is no such table") from None
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path}: is no text in UTF-8 ({error.reason})") from None
    except OSError as error:
        raise SettingsError(f"{path}: is no table ({error.strerror})") from None
    cells = []
    for number, line in enumerate(lines, 1):
        if line.strip() and not line.startswith("#"):
            try:
                (row,) = csv.reader([line], delimiter="\t", strict=True)
            except csv.Error as error:
                raise SettingsError(f"{path}, line {number}: {error} (is a quote not closed?)") from None
            cells.append((number, [cell.strip() for cell in row]))
    return cells


def read_bricks_table(path: Path, survey_names: bool = True) -> list[BrickRow]:
    """Read a tab-separated table with the columns brick, train and predict (yes or no); see `read_cells`.

    A fourth column, region, may say where each brick comes from: north, dr9/south, or nothing.

    survey_names : whether names must be the survey's (RRRr[pm]DDd), or only harmless as file names

    Raises SettingsError, in one line with file and line number, for no such file, other columns, a name of
    another form, a brick listed twice, a word that is not yes or no, or no brick at all.
    """
    cells = read_cells(path)
    columns = cells[0][1] if cells else []
    if columns not in (COLUMNS, PLACED):
        found = columns or "nothing"
        raise SettingsError(
            f"{path}: the header must be {COLUMNS}, with or without 'region', separated by tabs, not {found}"
        )
    rows: dict[str, BrickRow] = {}
    for number, row in cells[1:]:
        try:
            if len(row) != len(columns):
                raise SettingsError(f"{len(row)} columns instead of {len(columns)}")
            parsed = _row(row, survey_names)
            if parsed.brick in rows:
                raise SettingsError(f"brick {parsed.brick} is listed twice")
        except SettingsError as error:
            raise SettingsError(f"{path}, line {number}: {error}") from None
        rows[parsed.brick] = parsed
    if not rows:
        raise SettingsError(f"{path}: lists no brick")
    return list(rows.values())


def _row(cells: Sequence[str], survey_names: bool) -> BrickRow:
    for column, cell in zip(COLUMNS[1:], cells[1:3], strict=True):
        if cell not in ("yes", "no"):
            raise SettingsError(f"{column} is {cell!r}, not 'yes' or 'no'")
    region = "".join(cells[3:])
    if region and not REGION.fullmatch(region):
        raise SettingsError(f"region is {region!r}, not of the form north, south or dr9/north")
    name = check_brick_name(cells[0], survey=survey_names)
    return BrickRow(name, cells[1] == "yes", cells[2] == "yes", region)


def write_bricks_table(
    path: Path,
    bricks: Iterable[str],
    train: Iterable[str],
    predict: Iterable[str],
    regions: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Write the table of `bricks`, in their order, in one step.

    train, predict : which of them are for training, which are denoised
    regions : of bricks, by name; without any the table has no such column

    Raises SettingsError for a name that is not harmless: a tab or a newline would make a row of its own.
    """
    purposes = set(train), set(predict)  # of lists, a whole survey's table would take minutes
    lines = ["\t".join(PLACED if regions else COLUMNS)]
    for brick in bricks:
        check_brick_name(brick, survey=False)
        cells = [brick, *("yes" if brick in chosen else "no" for chosen in purposes)]
        lines.append("\t".join([*cells, regions.get(brick, "")] if regions else cells))
    write_text(path, "\n".join(lines) + "\n")


def chunks(bricks: Iterable[str], size: int) -> dict[str, list[str]]:
    """Split bricks into chunks of at most `size` that hardly change when bricks are added.

    Extendible hashing (Fagin et al. 1979, ACM TODS 4, 315): a brick's place follows from the bits of the
    sha256 of its name. All are in chunk "c" until there are too many; a chunk that is too large splits by the
    next bit into two with "0" and "1" added to its name. So a new brick changes one chunk, or splits it, and
    work done for all others stays valid.

    bricks : names; repetitions count once
    size : most bricks in a chunk

    Returns chunk name -> its bricks, sorted; no chunk is empty. Raises SettingsError if size < 1.
    """
    if size < 1:
        raise SettingsError(f"a chunk of {size} bricks: at least 1 is needed")
    keyed = sorted((hashlib.sha256(name.encode()).digest(), name) for name in set(bricks))
    keys = [key for key, _ in keyed]
    found: dict[str, list[str]] = {}

    def split(bits: str, start: int, end: int) -> None:
        """Chunks of keyed[start:end], whose keys begin with `bits`."""
        if end - start > size:
            middle = bisect_left(keys, _first_key(bits + "1"), start, end)
            split(bits + "0", start, middle)
            split(bits + "1", middle, end)
        elif end > start:
            found["c" + bits] = sorted(name for _, name in keyed[start:end])

    split("", 0, len(keyed))
    return found


def _first_key(bits: str) -> bytes:
    """Lowest sha256 that begins with `bits`."""
    return int(bits.ljust(256, "0"), 2).to_bytes(32, "big")


def sample(bricks: Iterable[str], count: int) -> list[str]:
    """Pick `count` bricks (all, if there are no more) that hardly change when bricks are added, sorted.

    Those with the lowest sha256 of their names: as good as random, and nothing has to be remembered.
    """
    return sorted(sorted(set(bricks), key=lambda name: hashlib.sha256(name.encode()).digest())[:count])
