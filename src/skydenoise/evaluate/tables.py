"""Tables of measurements: every column with a unit and a description, definitions in the header."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
            np.array([row[field.name] for row in rows], dtype=field.dtype),
            name=field.name,
            unit=field.unit or None,
            description=field.description,
        )
        for field in fields
    ]
    return Table(columns, meta=dict(definitions))


def write_table(path: Path, table: Table) -> None:
    """Write `table` to `path` as ECSV, in one step; floats keep six digits."""
    table = table.copy()
    for column in table.itercols():
        if column.dtype.kind == "f":
            column.info.format = ".6g"
    with atomic_path(path) as partial:
        table.write(partial, format="ascii.ecsv")


def summary(quality: Table, photometry: Table, above: float = 20.0) -> str:
    """Plain-text table of methods against the truth, for a person at a terminal.

    quality, photometry : as `evaluate_truth` writes them
    above : the flux bias is that of apertures with a signal-to-noise ratio above this one
    """
    if len(quality) == 0:
        return "No brick with a known truth was evaluated."
    head = (
        f"{'band':<5} {'method':<10} {'error':>15} {'sky rms':>15} {'background':>17} "
        f"{f'flux bias S/N>{above:g}':>17} {'sources':>8}"
    )
    units = f"{'':<5} {'':<10} {'sigma':>15} {'sigma':>15} {'1e-4 nMgy':>17} {'per cent':>17}"
    lines = [head, units]
    for row in quality:
        chosen = photometry[
            (photometry["method"] == row["method"])
            & (photometry["band"] == row["band"])
            & (photometry["binned_by"] == "snr_above")
            & (photometry["low"] == above)
        ]
        bias, error, sources = (
            (chosen["bias_percent"][0], chosen["bias_percent_err"][0], chosen["sources"][0])
            if len(chosen)
            else (np.nan, np.nan, 0)
        )
        lines.append(
            f"{row['band']:<5} {row['method']:<10} {_pair(row['error'], row['error_err'], 3):>15} "
            f"{_pair(row['sky_rms'], row['sky_rms_err'], 3):>15} "
            f"{_pair(1e4 * row['background'], 1e4 * row['background_err'], 2):>17} "
            f"{_pair(bias, error, 2):>17} {sources:>8}"
        )
    return "\n".join(lines)


def _pair(value: float, error: float, digits: int) -> str:
    return "-" if np.isnan(value) else f"{value:.{digits}f} +- {error:.{digits}f}"
