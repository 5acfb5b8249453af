"""Curves of the table, from its JSON file: flux bias by S/N, and dual-image photometry by magnitude."""

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.quality.measurements import Measurement, Measurements
from benchmarks.quality.methods import BARE, IDENTITY_BARE, PRODUCT
from skydenoise.evaluate.figures.panels import PALETTE, save_figure, style

SMEAR = 0.03
"""Methods lie side by side, by this share of the distance of two bins."""
LIMITS = {"flux_bias": (-0.2, 0.75), "dual_bias": (-1.0, 0.25)}
"""Of the ordinate, mag; what is beyond is not drawn."""
LEFT_OUT = (BARE, IDENTITY_BARE)
"""They lie under the curves of the same networks with `recover`."""
OURS = {"linewidth": 2.0, "zorder": 3, **style(len(PALETTE) - 1)}


def draw_curves(source: Path, path: Path) -> None:
    """Draw the curves of a file that `python -m benchmarks.quality` wrote.

    source : JSON file of a run
    path : PNG to write
    """
    content = json.loads(source.read_text(encoding="utf-8"))
    found = [each for each in Measurements.from_json(content["measurements"]) if math.isfinite(each.value)]
    bands = in_order_of(found, "flux_bias", lambda each: each.band)
    canvas = Figure(figsize=(4 * len(bands), 7), layout="constrained")
    axes = canvas.subplots(2, len(bands), squeeze=False, sharey="row")
    for column, band in enumerate(bands):
        draw(axes[0, column], found, "flux_bias", band)
        draw(axes[1, column], found, "dual_bias", band)
        axes[0, column].set_title(band)
        axes[0, column].set_xlabel("true signal-to-noise ratio of the aperture, from")
        axes[1, column].set_xlabel("magnitude, from")
    axes[0, 0].set_ylabel("flux bias, mag")
    axes[1, 0].set_ylabel("found on the image, measured\non the input: bias, mag")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    canvas.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    save_figure(canvas, path)


def lower_border(measurement: Measurement) -> float:
    """Of the bin, such as "10-20", "> 20" or "21-21.5 mag"."""
    return float(measurement.bin.removeprefix("> ").split("-")[0])


def draw(axes: Axes, found: Sequence[Measurement], measure: str, band: str) -> None:
    """One panel: a series per method, bins at equal distances in the order of their lower borders."""
    here = [each for each in found if (each.measure, each.band) == (measure, band)]
    places = sorted({lower_border(each) for each in here})
    methods = [each for each in in_order_of(here, measure, lambda each: each.method) if each not in LEFT_OUT]
    peers = [method for method in methods if method != PRODUCT]
    low, high = LIMITS[measure]
    for number, method in enumerate(methods):
        points = sorted(
            (lower_border(each), each.value, each.error) for each in here if each.method == method
        )
        points = [point for point in points if low < point[1] < high]
        x = [places.index(at) + SMEAR * (number - len(methods) / 2) for at, _, _ in points]
        values, errors = [value for _, value, _ in points], [error for _, _, error in points]
        look = OURS if method == PRODUCT else peer_style(peers.index(method))
        axes.errorbar(x, values, errors, label=method, markersize=4, **look)
    axes.axhline(0, color="0.6", linewidth=0.8, zorder=0)
    axes.set_ylim(low, high)
    axes.set_xticks(range(len(places)), [f"{at:g}" for at in places], fontsize=8)


def peer_style(number: int) -> dict[str, Any]:
    """Line and marker of a peer; black is ours, and from the second round of colours on lines are dashed."""
    colours = len(PALETTE) - 1
    dashed = {"linestyle": "--", "markerfacecolor": "none"} if number >= colours else {}
    return {"linewidth": 0.8, **style(number % colours), **dashed}


def in_order_of(found: Sequence[Measurement], measure: str, key: Callable[[Measurement], str]) -> list[str]:
    """Different values of a property of this measure's numbers, in the order of their first appearance."""
    return list(dict.fromkeys(key(each) for each in found if each.measure == measure))
