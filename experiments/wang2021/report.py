"""What the reports of all experiments share: a mean with its error, the table of measures, its summary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

from skydenoise.evaluate.tables import Field, make_table, write_table
from skydenoise.io.atomic import write_text


@dataclass(frozen=True)
class Mean:
    """A mean over frames and its standard error, nan for a single frame."""

    value: float
    error: float


def mean_of(values: NDArray[Any]) -> Mean:
    """Mean of one value per frame, (n,), and its standard error."""
    count = len(values)
    error = float(np.std(values, ddof=1) / np.sqrt(count)) if count > 1 else float("nan")
    return Mean(float(np.mean(values)), error)


def columns(means: Mapping[str, Mean]) -> dict[str, float]:
    """Entries of a table's row: each value under its name, its error under `<name>_err`."""
    values = {name: mean.value for name, mean in means.items()}
    return values | {f"{name}_err": mean.error for name, mean in means.items()}


@dataclass(frozen=True)
class Measures:
    """The table of an experiment.

    fields, definitions : see `make_table`; the first field is the method
    shown : names of the fields with an error that the summary shows
    """

    fields: Sequence[Field]
    definitions: Mapping[str, str]
    shown: Sequence[str]

    def write(self, folder: Path, rows: Sequence[Mapping[str, Any]], notes: Sequence[str]) -> Table:
        """Write measures.ecsv, and summary.txt for a person at a terminal, with the notes below."""
        table = make_table(self.fields, rows, self.definitions)
        write_table(folder / "measures.ecsv", table)
        lines = [f"{'method':<14}" + "".join(f"{name:>20}" for name in self.shown)]
        for row in table:
            numbers = (f"{row[name]:.4g} +- {row[f'{name}_err']:.2g}" for name in self.shown)
            lines.append(f"{row['method']:<14}" + "".join(f"{number:>20}" for number in numbers))
        write_text(folder / "summary.txt", "\n".join([*lines, *notes]) + "\n")
        return table
