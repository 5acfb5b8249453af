"""Tables of measurements: every column with a unit and a description, definitions in the header."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Column, Table

from skydenoise.io.atomic import atomic_path


@dataclass(frozen=True)
class Field:
    """A column: its name, description, unit (astropy's notation, "" for none) and type."""

    name: str
    description: str
    unit: str = ""
    dtype: type = float

    def with_error(self, how: str) -> tuple["Field", "Field"]:
        """The field and that of its standard error, `<name>_err`."""
        error = Field(f"{self.name}_err", f"standard error of {self.name}: {how}", self.unit)
        return self, error


@dataclass(frozen=True)
class Measure(Field):
    """A column that is a statistic: of sums per block (`jackknife_row`), or of a sample (`bootstrap_row`)."""

    of: Callable[[Any], Any] = field(kw_only=True)


METHOD = Field("method", "what was made of the noisy brick", dtype=str)
BAND = Field("band", "filter", dtype=str)
ZONE = Field("zone", "sky, source or all", dtype=str)
PIXELS = Field("pixels", "pixels measured", "pix", int)


def with_errors(how: str, *fields: Field) -> tuple[Field, ...]:
    """Each field and that of its standard error."""
    return tuple(column for each in fields for column in each.with_error(how))


def make_table(
    fields: Sequence[Field], rows: Sequence[Mapping[str, Any]], definitions: Mapping[str, str]
) -> Table:
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


def write_table(path: Path, table: Table) -> None:
    """Write `table` to `path` as ECSV, in one step."""
    with atomic_path(path) as partial:
        table.write(partial, format="ascii.ecsv")
