"""The tables, as markdown."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from benchmarks.quality.acceptance import Verdict
from benchmarks.quality.measurements import Measurement, Measurements


@dataclass(frozen=True)
class Block:
    """A part of the table that is narrow enough to read.

    title : what it shows
    measures : whose bins and bands run across
    factor, digits : how numbers are shown; `factor` times the value
    """

    title: str
    measures: tuple[str, ...]
    digits: int
    factor: float = 1.0


BLOCKS = (
    Block("Pixels: rms error in stretched units, in empty sky; units of the noise", ("error", "sky_rms"), 3),
    Block("Error at steps of depth over that of the whole region", ("step_ratio",), 2),
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
    Block("Injected sources: recovered over injected flux; step at borders of tiles in sigma",
          ("linearity", "seam"), 4),
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
    "linearity": "flux",
    "seam": "seam",
    "coverage_1": "1 sigma",
    "coverage_2": "2 sigma",
}
"""Heads of columns in blocks of several measures."""

Rows = list[list[str]]


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
        header.append(" ".join(word for word in words if word) or measure)
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


def text(found: Measurements, verdicts: dict[str, list[Verdict]]) -> str:
    """Every table as markdown, the verdicts last."""
    parts = [(block.title, block_rows(found, block)) for block in BLOCKS]
    parts += [(f"Accepted: {method}", verdict_rows(lines)) for method, lines in verdicts.items()]
    return "\n".join(f"**{title}**\n\n{as_markdown(rows)}" for title, rows in parts if rows)
