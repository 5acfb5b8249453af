"""One measured number with its error, and a list of them that can be asked."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, Self


@dataclass(frozen=True)
class Figure:
    """A measured number.

    method : row of the table
    measure : key in `MEASURES`
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


MEASURES = {
    "error": ("rms error, stretched", "sigma"),
    "sky_rms": ("rms error in empty sky", "sigma"),
    "background": ("background", "nMgy"),
    "flux_bias": ("flux bias by true S/N", "mag"),
    "measured_bias": ("flux bias by measured S/N", "mag"),
    "dual_bias": ("measured on the input where detected on the image: bias", "mag"),
    "dual_shift": ("the same against the input's flux at the true places", "%"),
    "dual_scatter": ("the same: scatter over that at the true places", ""),
    "colour_bias": ("colour bias", "mag"),
    "fwhm_change": ("FWHM of stars, change", "%"),
    "ellipticity_change": ("ellipticity of stars, change", ""),
    "depth_gain_single": ("depth gained over the matched filter in that band", "mag"),
    "depth_gain_combined": ("depth gained over the matched filter in all bands", "mag"),
    "false_detections": ("false detections in pure noise", "per arcmin2"),
    "linearity": ("recovered over injected flux", ""),
    "leak": ("flux that leaks into the other bands", "%"),
    "seam": ("step at borders of tiles", "sigma"),
    "coverage_1": ("truth within 1 sigma", "%"),
    "coverage_2": ("truth within 2 sigma", "%"),
    "seconds": ("time", "s per Mpixel of three bands"),
}
"""Title and unit of each measure."""


class Figures:
    """Figures in the order in which they were measured."""

    def __init__(self, figures: Iterable[Figure] = ()) -> None:
        self._figures = list(figures)

    def __iter__(self) -> Iterator[Figure]:
        return iter(self._figures)

    def __len__(self) -> int:
        return len(self._figures)

    def add(self, figures: Iterable[Figure]) -> None:
        """Add what was measured."""
        self._figures += figures

    @property
    def methods(self) -> list[str]:
        """In the order in which they came."""
        return list(dict.fromkeys(figure.method for figure in self))

    def pick(
        self, method: str, measure: str, band: str | None = None, bin: str | None = None
    ) -> list[Figure]:
        """The finite figures of a method and measure, of one band or bin if it is named."""
        return [
            figure
            for figure in self
            if (figure.method, figure.measure) == (method, measure)
            and band in (None, figure.band)
            and bin in (None, figure.bin)
            and math.isfinite(figure.value)
        ]

    def bands(self, measure: str) -> list[str]:
        """In the order in which they came."""
        return list(dict.fromkeys(figure.band for figure in self if figure.measure == measure))

    def bins(self, measure: str) -> list[str]:
        """In the order in which they came."""
        return list(dict.fromkeys(figure.bin for figure in self if figure.measure == measure))

    def to_json(self) -> list[dict[str, Any]]:
        """Plain dictionaries, null where a number is not finite."""
        return [{key: _number(value) for key, value in asdict(figure).items()} for figure in self._figures]

    @classmethod
    def from_json(cls, content: Iterable[dict[str, Any]]) -> Self:
        """Inverse of `to_json`."""
        return cls(
            Figure(**{key: math.nan if value is None else value for key, value in each.items()})
            for each in content
        )


def _number(value: Any) -> Any:
    """Six digits of a float; None if it is not finite."""
    if not isinstance(value, float):
        return value
    return float(f"{value:.6g}") if math.isfinite(value) else None
