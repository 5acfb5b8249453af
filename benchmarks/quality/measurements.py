"""One measured number with its error, and a list of them that can be asked."""

import math
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Measurement:
    """A measured number.

    method : row of the table
    measure : what was measured, such as "flux_bias"
    band : filter, pair of filters, or "" for all together
    bin : part of the sources or pixels, or ""
    value, error : in the measure's unit; NaN where nothing could be measured
    """

    method: str
    measure: str
    band: str
    bin: str
    value: float
    error: float


class Measurements(list[Measurement]):
    """Measurements in the order in which they were taken."""

    @property
    def methods(self) -> list[str]:
        """In the order in which they came."""
        return list(dict.fromkeys(each.method for each in self))

    def pick(
        self, method: str, measure: str, band: str | None = None, bin: str | None = None
    ) -> list[Measurement]:
        """The finite ones of a method and measure, of one band or bin if it is named."""
        return [
            each
            for each in self
            if (each.method, each.measure) == (method, measure)
            and band in (None, each.band)
            and bin in (None, each.bin)
            and math.isfinite(each.value)
        ]

    def text(self) -> str:
        """A line for each measure and method, those of one measure together."""
        rows: dict[tuple[str, str], list[str]] = {}
        for each in self:
            place = " ".join(part for part in (each.band, each.bin) if part)
            cell = f"{place} {each.value:.4g} ± {each.error:.2g}".strip()
            rows.setdefault((each.measure, each.method), []).append(cell)
        order = list(dict.fromkeys(measure for measure, _ in rows))
        lines = sorted(rows.items(), key=lambda row: order.index(row[0][0]))
        return "\n".join(f"{measure:20} {method:14} {'; '.join(cells)}" for (measure, method), cells in lines)

    def to_json(self) -> list[dict[str, Any]]:
        """One dictionary for each method and measure; its values are [value, error] by band and bin.

        Numbers have four digits; null stands for what is not finite.
        """
        rows: dict[tuple[str, str], dict[str, Any]] = {}
        for each in self:
            row = rows.setdefault(
                (each.method, each.measure), {"method": each.method, "measure": each.measure, "values": {}}
            )
            pair = [_number(each.value), _number(each.error)]
            row["values"].setdefault(each.band, {})[each.bin] = pair
        return list(rows.values())


def _number(value: float) -> float | None:
    return float(f"{value:.4g}") if math.isfinite(value) else None
