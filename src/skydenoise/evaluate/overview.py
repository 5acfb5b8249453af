"""What came out of a run, in ten lines, on the first page of the report (reStructuredText)."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np
from astropy.table import Row, Table

from skydenoise.io.atomic import write_text

SNR_ABOVE = 20.0
"""The flux bias is that of apertures with a signal-to-noise ratio above this one."""
TABLES = ("residual", "risk", "quality", "detection", "coverage", "photometry")
"""Those that are told of; a run without a truth has the first two."""


def write_overview(summary: Path, tables: Iterable[Path], path: Path) -> None:
    """Tell what the summary and the tables of the evaluation say, one line each, to `path`.

    summary : text of `manifest.summarise`: bricks done and skipped, warnings
    tables : .ecsv files by the names in TABLES, in any order; others are passed over
    """
    found = {file.stem: Table.read(file, format="ascii.ecsv") for file in tables if file.stem in TABLES}
    bricks, *others = summary.read_text(encoding="utf-8").splitlines()
    warnings = [line for line in others if not line.startswith("Observed: ")]
    lines = [
        f"**Bricks**: {_plain(bricks)}",
        *_measured({name: table for name, table in found.items() if len(table)}),
    ]
    shown = " ".join(_plain(line.strip()) for line in warnings[:4])
    if len(warnings) > 4:
        shown += f" And {len(warnings) - 4} lines more in {_plain(str(summary))}."
    lines += [
        f"**Warnings**: {shown or 'none'}",
        "**To look at it**: the target ``sky``, added to the command of this run, makes one picture of it.",
    ]
    write_text(path, "".join(f"* {line}\n" for line in lines))


def _plain(text: str) -> str:
    """Text in which no character means anything to reStructuredText."""
    return "".join(f"\\{letter}" if letter in "*`_|\\" else letter for letter in text)


def _measured(found: Mapping[str, Table]) -> Iterable[str]:
    """A line for each measure, of those tables that are there."""
    if "quality" in found:
        yield "**Error** against the truth, in units of the input's noise: " + _by_band(
            _rows(found["quality"], method="denoised"), _pair("error", 3)
        )
    elif "risk" in found:
        yield "**Error** without a truth (Stein), in units of the input's noise: " + _by_band(
            _rows(found["risk"], zone="all"), lambda row: f"{row['error']:.2f}"
        )
    if "detection" in found:
        denoised = _rows(found["detection"], method="denoised")
        alone = [row for row in denoised if row["search"] == row["band"]]
        yield "**Depth** gained over a matched filter, both at 90 % purity, one band alone, mag: " + _by_band(
            alone, _pair("gain_single", 2)
        )
        every = [row for row in denoised if row["search"] != row["band"]]
        yield "**Depth** gained over it in all bands together, mag: " + _by_band(
            every, _pair("gain_combined", 2)
        )
    if "coverage" in found:
        yield "**Coverage**: 1-sigma intervals (68 % wanted) hold the truth in " + _by_band(
            _rows(found["coverage"], zone="all"), lambda row: f"{100 * row['within_1']:.0f} %"
        )
    if "photometry" in found:
        rows = _rows(found["photometry"], method="denoised", binned_by="snr_above", low=SNR_ABOVE)
        bias = _by_band(rows, _pair("bias_percent", 1))
        yield f"**Flux bias** of sources with S/N above {SNR_ABOVE:g}, per cent: {bias}"
    if "residual" in found:
        yield "**Residual**: rms of what was taken away from the sky, over the noise (1 wanted): " + _by_band(
            _rows(found["residual"], zone="sky"), _pair("rms", 3)
        )


def _rows(table: Table, **values: str | float) -> list[Row]:
    """Rows with these values."""
    return [row for row in table if all(row[name] == value for name, value in values.items())]


def _by_band(rows: Iterable[Row], text: Callable[[Row], str]) -> str:
    parts = (f"{row['band']} {text(row)}".replace(" ", "\N{NO-BREAK SPACE}") for row in rows)
    return "; ".join(parts) or "not measured"


def _pair(name: str, digits: int) -> Callable[[Row], str]:
    """A value with its error."""

    def text(row: Row) -> str:
        value, error = row[name], row[f"{name}_err"]
        return "-" if np.isnan(value) else f"{value:.{digits}f} ± {error:.{digits}f}"

    return text
