"""Tables that a user writes: tab-separated text, whose first line names the columns."""

import csv
from collections.abc import Collection
from pathlib import Path

from skydenoise.errors import SettingsError


def read_table(path: Path, required: Collection[str] = ()) -> dict[int, dict[str, str]]:
    """Read a tab-separated table in UTF-8.

    Empty lines and lines that begin with # are passed over, and so is a byte order mark. An empty cell is as
    good as no cell: it is left out.

    required : columns that the table must have

    Returns number of the line in the file (from 1) -> column -> cell, without white space around it

    Raises
    ------
    SettingsError : in one line with file and place: it cannot be read, is no text in UTF-8, has a quote that
        is not closed, more cells than columns, a column twice or without a name, or one too few
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path}: is no text in UTF-8 ({error.reason})") from None
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read as a table: {error.strerror}") from None
    rows = {
        number: _cells(path, number, line)
        for number, line in enumerate(lines, 1)
        if line.strip() and not line.startswith("#")
    }
    if not rows:
        raise SettingsError(f"{path}: the table is empty")
    columns = rows.pop(next(iter(rows)))
    if "" in columns:
        raise SettingsError(f"{path}: a column has no name")
    if twice := {column for column in columns if columns.count(column) > 1}:
        raise SettingsError(f"{path}: column {', '.join(sorted(twice))} stands twice")
    if missing := sorted(set(required) - set(columns)):
        raise SettingsError(f"{path}: column {', '.join(missing)} is missing; columns are separated by tabs")
    for number, cells in rows.items():
        if len(cells) > len(columns):
            raise SettingsError(f"{path}, line {number}: {len(cells)} cells for {len(columns)} columns")
    return {
        number: {column: cell for column, cell in zip(columns, cells, strict=False) if cell}
        for number, cells in rows.items()
    }


def _cells(path: Path, number: int, line: str) -> list[str]:
    """Cells of a line; empty ones at its end are left out."""
    try:
        (cells,) = csv.reader([line.rstrip()], delimiter="\t", strict=True)
    except csv.Error as error:
        raise SettingsError(f"{path}, line {number}: a quote is not closed, or too early ({error})") from None
    return [cell.strip() for cell in cells]
