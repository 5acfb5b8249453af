"""What became of the glyphs: the table and figures of Figs 4 and 5."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

from experiments.wang2021 import glyphs_figures
from experiments.wang2021.experiment import Outcome
from experiments.wang2021.glyphs import PANEL, SCALE, in_strokes
from experiments.wang2021.measures import (
    best_scaled,
    contrast,
    mean_of,
    median_where,
    nearest,
    overlap,
    psnr,
    ssim,
)
from experiments.wang2021.settings import GlyphSettings
from skydenoise.evaluate.tables import Field, make_table, write_table
from skydenoise.io.atomic import write_text

Array = NDArray[Any]

LEGIBLE = 0.5
"""Overlap from which a glyph counts as legible: that of strokes of 4 pixels that are 1.3 off."""
SCATTER = "scatter over the glyphs"
FIELDS = (
    Field("method", "variant or peer; noisy is the input", dtype=str),
    Field("seconds", "time of training", "s"),
    Field("glyphs", "that are measured, the synthetic one apart", dtype=int),
    *Field("psnr", "peak signal-to-noise ratio, peak 1", "dB").with_error(SCATTER),
    *Field("ssim", "structural similarity, range 1").with_error(SCATTER),
    *Field("contrast", "inside strokes minus outside, over that of the truth").with_error(SCATTER),
    *Field("black", "median value outside strokes, 0 in the truth").with_error(SCATTER),
    *Field("white", "median value inside strokes, 1 in the truth").with_error(SCATTER),
    *Field("psnr_scaled", "psnr after the best offset and contrast for all glyphs", "dB").with_error(SCATTER),
    *Field("right", "share whose nearest glyph of all, by correlation, is the true one").with_error(SCATTER),
    *Field("overlap", "intersection over union of the strokes").with_error(SCATTER),
    *Field("legible", "share of glyphs with an overlap of at least 0.5").with_error(SCATTER),
    Field("synthetic_psnr_scaled", "psnr_scaled of the glyph of five strokes", "dB"),
    Field("synthetic_overlap", "overlap of the glyph of five strokes"),
    Field("synthetic_right", "whether the nearest glyph of all is the synthetic one", dtype=bool),
)
DEFINITIONS = {
    "unit": "black 0, strokes 1: the noisy images, which are rescaled to [0, 1], times 3",
    "contrast": "strokes are pixels with truth above 0.999, outside are those below 0.001",
    "overlap": "strokes are what is above 0.5 after the best offset and contrast, and above 0.5 in the truth",
    "nearest": "among the clean images of all glyphs of the run and the synthetic one",
}


def report(outcome: Outcome, settings: GlyphSettings, folder: Path) -> None:
    """Write measures.ecsv, summary.txt and three figures to `folder`.

    figure-panel.png : eight glyphs, noisy, as each method restores them, and clean
    figure-convergence.png : loss and error against the truth by epoch
    figure-contrast.png : what black and white pixels become
    """
    measured = outcome.data.measured
    images = {"noisy": np.asarray(outcome.data.noisy[-measured:]) * np.float32(SCALE)}
    images |= {name: np.asarray(denoised.image) * np.float32(SCALE) for name, denoised in outcome.all.items()}
    glyphs = np.asarray(outcome.data.clean) * np.float32(SCALE)
    table = measure(images, glyphs, {name: each.seconds for name, each in outcome.all.items()})
    write_table(folder / "measures.ecsv", table)
    truth = glyphs[-measured:]
    glyphs_figures.panel({name: each[-PANEL:, 0] for name, each in images.items()}, truth[-PANEL:, 0], folder)
    glyphs_figures.convergence(outcome, truth[-outcome.data.followed :], folder)
    glyphs_figures.contrast(images, in_strokes(truth), folder)
    write_text(folder / "summary.txt", summary(table, outcome.notes))


def measure(images: Mapping[str, Array], glyphs: Array, seconds: Mapping[str, float]) -> Table:
    """One row per method.

    images : (m, 1, y, x) of each method, black 0 and strokes 1, of the last m glyphs; the very last is the
        synthetic one
    glyphs : (n, 1, y, x) clean images of all glyphs
    seconds : of training; a method without any has 0
    """
    rows = []
    for method, every in images.items():
        values = per_glyph(every, glyphs)
        row: dict[str, Any] = {
            "method": method,
            "seconds": seconds.get(method, 0.0),
            "glyphs": len(every) - 1,
        }
        for name, each in values.items():
            mean = mean_of(each[:-1][~np.isnan(each[:-1])])  # a glyph may have no pixel all inside a stroke
            row |= {name: mean.value, f"{name}_err": mean.error}
        for name in ("psnr_scaled", "overlap", "right"):
            row[f"synthetic_{name}"] = values[name][-1]
        rows.append(row)
    return make_table(FIELDS, rows, DEFINITIONS)


def per_glyph(images: Array, glyphs: Array) -> dict[str, Array]:
    """The measures of FIELDS that are one number per glyph, (m,) each; for the arrays see `measure`."""
    truth = glyphs[-len(images) :]
    inside, outside = in_strokes(truth)
    scaled = best_scaled(images, truth)
    overlaps = overlap(scaled, truth)
    return {
        "psnr": psnr(images, truth, 1),
        "ssim": ssim(images, truth, 1),
        "contrast": contrast(images, inside, outside) / contrast(truth, inside, outside),
        "black": median_where(images, outside),
        "white": median_where(images, inside),
        "psnr_scaled": psnr(scaled, truth, 1),
        "right": nearest(images, glyphs) == np.arange(len(glyphs))[-len(images) :],
        "overlap": overlaps,
        "legible": overlaps >= LEGIBLE,
    }


def summary(table: Table, notes: tuple[str, ...]) -> str:
    """The table for a person at a terminal, and the notes below."""
    shown = ("psnr", "ssim", "contrast", "black", "white", "psnr_scaled", "right", "legible")
    lines = [f"{'method':<12}" + "".join(f"{name:>17}" for name in shown) + "  five strokes"]
    for row in table:
        numbers = "".join(f"{row[name]:>9.3f} +-{row[f'{name}_err']:6.3f}" for name in shown)
        verdict = "right" if row["synthetic_right"] else "wrong"
        lines.append(f"{row['method']:<12}{numbers}  overlap {row['synthetic_overlap']:.2f}, {verdict}")
    return "\n".join([*lines, *notes]) + "\n"
