"""The tables, as markdown."""

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.quality.acceptance import Verdict
from benchmarks.quality.measurements import MEASURES, Measurement, Measurements


@dataclass(frozen=True)
class Block:
    """A part of the table that is narrow enough to read.

    title : what it shows
    measures : keys of MEASURES, whose bins and bands run across
    factor, digits : how numbers are shown; `factor` times the value
    unit : of the numbers as shown
    """

    title: str
    measures: tuple[str, ...]
    digits: int
    factor: float = 1.0
    unit: str = ""


BLOCKS = (
    Block("Pixels: rms error in stretched units, in empty sky; units of the noise", ("error", "sky_rms"), 3),
    Block("Background, 1e-4 nanomaggies", ("background",), 2, 1e4),
    Block("Aperture flux bias by true S/N, mag", ("flux_bias",), 3),
    Block("Aperture flux bias by measured S/N, mag", ("measured_bias",), 3),
    Block("Detected on the image, measured on the input: bias, mag", ("dual_bias",), 3),
    Block("Detected on the image, measured on the input: against the input at the true places, %",
          ("dual_shift",), 2),
    Block("Detected on the image, measured on the input: scatter over that at the true places",
          ("dual_scatter",), 3),
    Block("Colour bias above S/N 10, mag; flux left in other bands, %", ("colour_bias", "leak"), 3),
    Block("Stars: change of FWHM in %", ("fwhm_change",), 2),
    Block("Stars: change of ellipticity", ("ellipticity_change",), 4),
    Block("Detection: depth gained over the matched filter in one band and in all, mag",
          ("depth_gain_single", "depth_gain_combined"), 2),
    Block("False detections in pure noise, per square arcmin", ("false_detections",), 2),
    Block("Injected sources: recovered over injected flux", ("linearity",), 4),
    Block("Diffuse light: what is added to it, sigma", ("diffuse_light",), 4),
    Block("Regions put back in pure noise, per Mpixel", ("noise_regions",), 1),
    Block("Uncertainty: truth within 1 and within 2 sigma, %", ("coverage_1", "coverage_2"), 1),
    Block("Seconds per Mpixel of three bands", ("seconds",), 1),
)  # fmt: skip

SHORT = {
    "error": "error",
    "sky_rms": "sky",
    "colour_bias": "colour",
    "leak": "leak",
    "depth_gain_single": "single",
    "depth_gain_combined": "combined",
    "coverage_1": "1 sigma",
    "coverage_2": "2 sigma",
}
"""Heads of columns in blocks of several measures."""

SUMMARY = (
    ("error", "", 3, "error"),
    ("sky_rms", "", 3, "sky"),
    ("flux_bias", "5-10", 2, "bias at S/N 5-10, mag"),
    ("flux_bias", "10-20", 2, "10-20"),
    ("flux_bias", "> 20", 3, "above 20"),
    ("depth_gain_single", "", 2, "depth, one band, mag"),
    ("depth_gain_combined", "", 2, "all bands"),
    ("seconds", "", 1, "s / Mpixel"),
)
"""Measure, bin, digits and head of the columns of the first table, whose cells hold all bands."""

Rows = list[list[str]]


def summary_rows(found: Measurements) -> Rows:
    """Header, and a row per method: what matters most, without errors."""
    header = ["method", *(head for *_, head in SUMMARY)]
    rows = []
    for method in found.methods:
        row = [method]
        for measure, bin, digits, _ in SUMMARY:
            cells = [found.pick(method, measure, band, bin) for band in found.bands(measure)]
            row.append(" ".join(f"{each[0].value:z.{digits}f}" for each in cells if each) or "-")
        rows.append(row)
    return [header, *rows] if any(set(row[1:]) != {"-"} for row in rows) else []


def cell(found: Sequence[Measurement], block: Block) -> str:
    """`0.093 +- 0.001`, or a dash."""
    if not found:
        return "-"
    value, error = block.factor * found[0].value, block.factor * found[0].error
    return f"{value:.{block.digits}f}" + (f"±{error:.{block.digits}f}" if math.isfinite(error) else "")


def block_rows(found: Measurements, block: Block) -> Rows:
    """Header, then one row per method that has any of the numbers of a block; no rows if none has."""
    columns = [
        (measure, bin, band)
        for measure in block.measures
        for bin in found.bins(measure)
        for band in found.bands(measure)
        if any((f.measure, f.bin, f.band) == (measure, bin, band) for f in found)
    ]
    header = ["method"]
    for measure, bin, band in columns:
        words = [SHORT[measure] if len(block.measures) > 1 else "", bin, band]
        header.append(" ".join(word for word in words if word) or MEASURES[measure][0])
    rows = [
        [method, *(cell(found.pick(method, measure, band, bin), block) for measure, bin, band in columns)]
        for method in found.methods
    ]
    rows = [row for row in rows if any(each != "-" for each in row[1:])]
    return [header, *rows] if columns and rows else []


def verdict_rows(verdicts: Iterable[Verdict]) -> Rows:
    """Header and a row per criterion."""
    rows = [["measure", "wanted", "got (worst case)", "where", "outside", "holds"]]
    for verdict in verdicts:
        got = "-"
        if math.isfinite(verdict.got):
            got = f"{verdict.got:.3g} ± {verdict.error:.1g}"
        outside = f"{verdict.failed} of {verdict.cases}" if verdict.cases else "-"
        rows.append([verdict.measure, verdict.wanted, got, verdict.where or "-", outside, verdict.holds])
    return rows


def as_markdown(rows: Rows) -> str:
    """A table of a page."""
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:], ""])


def tables(found: Measurements, verdicts: dict[str, list[Verdict]]) -> list[tuple[str, Rows]]:
    """Title and rows of every table, the verdicts last."""
    parts = [("In short, g r z", summary_rows(found))]
    parts += [(block.title, block_rows(found, block)) for block in BLOCKS]
    parts += [(f"Accepted: {method}", verdict_rows(lines)) for method, lines in verdicts.items()]
    return [(title, rows) for title, rows in parts if rows]


def text(found: Measurements, verdicts: dict[str, list[Verdict]]) -> str:
    """All tables as markdown."""
    return "\n".join(f"**{title}**\n\n{as_markdown(rows)}" for title, rows in tables(found, verdicts))


def markdown(path: Path) -> str:
    """All tables of a file that `python -m benchmarks.quality` wrote, for a page."""
    content = json.loads(path.read_text(encoding="utf-8"))
    verdicts = {name: [Verdict(**line) for line in lines] for name, lines in content["verdicts"].items()}
    notes = "\n".join(f"* {note}" for note in content["notes"])
    head = f"`{content['command']}`, {content['machine']['date']}, {content['machine']['processor']}, "
    head += f"{content['machine']['cores']} cores\n\n{notes}\n"
    return head + "\n" + text(Measurements.from_json(content["measurements"]), verdicts)
