"""Tables of measurements: every column with a unit and a description, definitions in the header.

What the tables of an evaluation hold is declared in `tables.yaml`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from itertools import count, takewhile
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from astropy.table import Column, Table

from skydenoise.io.atomic import atomic_path

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Field:
    """A column: its name, description, unit (astropy's notation, "" for none) and type; None: the values'."""

    name: str
    description: str
    unit: str = ""
    dtype: type | None = None

    def with_error(self, how: str) -> tuple["Field", "Field"]:
        """The field and that of its standard error, `<name>_err`."""
        error = Field(f"{self.name}_err", f"standard error of {self.name}: {how}", self.unit)
        return self, error


def make_table(fields: Sequence[Field], rows: Sequence[Row], definitions: Mapping[str, str]) -> Table:
    """Table with one column per field, in order; `definitions` go to its meta.

    Raises
    ------
    KeyError : a row lacks a field
    """
    columns = [
        Column(
            np.array([row[each.name] for row in rows], dtype=each.dtype),
            name=each.name,
            unit=each.unit or None,
            description=each.description,
        )
        for each in fields
    ]
    return Table(columns, meta=dict(definitions))


@cache
def _declarations() -> dict[str, dict[str, Any]]:
    text = resources.files(__package__).joinpath("tables.yaml").read_text(encoding="utf-8")
    return dict(yaml.safe_load(text))


def declared_table(name: str, rows: Sequence[Row]) -> Table:
    """The table of this name in `tables.yaml`; its rows hold a value for each column."""
    declared = _declarations()[name]
    errors = declared.get("errors", "")
    fields = [
        field
        for heading, text in declared["columns"].items()
        for field in _fields(heading, text, errors, rows)
    ]
    return make_table(fields, rows, declared["notes"] | ({"errors": errors} if errors else {}))


def _fields(heading: str, text: str, errors: str, rows: Sequence[Row]) -> Iterator[Field]:
    """Columns of an entry of `tables.yaml`; of a numbered one as many as the rows have."""
    name, *error = heading.split()
    unit, _, description = text.rpartition("] ")
    numbers = takewhile(lambda k: rows and name.format(k) in rows[0], count(1)) if "{" in name else (0,)
    unit, dtype = ("", str) if unit == "[text" else (unit.lstrip("["), None)
    for number in numbers:
        field = Field(name.format(number), description.replace("{}", str(number)), unit, dtype)
        yield from field.with_error(errors) if error else (field,)


def write_table(path: Path, table: Table) -> None:
    """Write `table` to `path` as ECSV, in one step."""
    with atomic_path(path) as partial:
        table.write(partial, format="ascii.ecsv")
