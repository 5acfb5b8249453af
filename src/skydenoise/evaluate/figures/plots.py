"""Plots of the tables as PNG: flux bias, injected sources, residual, detections; curve of the training."""

from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Table
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator
from numpy.typing import NDArray

from skydenoise.evaluate.figures.panels import make_panels, save_figure, style

BIAS = 50.0
"""Per cent at either end of an axis of bias, linear within 2 per cent and logarithmic beyond. Points with a
standard error above half of it are left out."""
FAINTEST = 6.0
"""Magnitudes of completeness that are shown, up to the faintest source found."""
LEAST_LISTED = 1.0
"""True detections per square arcmin from which purity is shown: of fewer it is not known."""


def _in_order(values: Table.Column) -> list[str]:
    """Different values, in the order of their first appearance."""
    return list(dict.fromkeys(str(value) for value in values))


def _rows(table: Table, **wanted: Any) -> NDArray[Any]:
    """Rows that hold wanted values in some columns, as a structured array."""
    chosen = np.ones(len(table), bool)
    for name, value in wanted.items():
        chosen &= np.asarray(table[name] == value)
    return np.asarray(table.as_array()[chosen])


def _points(panel: Axes, x: NDArray, value: NDArray, error: NDArray, number: int, label: str) -> None:
    """Points of series `number` with their errors, as far as they are known, and no line."""
    look = style(number) | {"linestyle": "none", "markersize": 5, "capsize": 2, "label": label}
    panel.errorbar(x, value, np.nan_to_num(error), **look)


def _bias_points(panel: Axes, x: NDArray, rows: NDArray, number: int, label: str) -> None:
    error = rows["bias_percent_err"]
    _points(panel, x, np.where(error <= BIAS / 2, rows["bias_percent"], np.nan), error, number, label)


def _bias_panels(panels: NDArray, bands: list[str], label: str) -> None:
    """Panels of flux bias, one per band."""
    for panel, band in zip(panels, bands, strict=False):
        panel.axhline(0, color="0.6", linewidth=1)
        panel.axhspan(-2, 2, color="0.93", zorder=0)
        panel.set_title(f"band {band}")
    ticks = (1, 2, 5, 10, 20, 50)
    panels[0].set_yscale("symlog", linthresh=2, linscale=1.5)
    panels[0].set_ylim(-BIAS, BIAS)
    panels[0].set_yticks([*(-tick for tick in ticks), 0, *ticks], minor=False)
    panels[0].yaxis.set_major_formatter("{x:g}")
    panels[0].yaxis.set_minor_locator(NullLocator())
    panels[0].set_ylabel(f"{label} (per cent)\ngrey: within 2 per cent")


def _finish(figure: Figure, panel: Axes, path: Path) -> None:
    """Write the figure, with a legend of what a panel shows."""
    if panel.get_legend_handles_labels()[0]:
        panel.legend(fontsize=8)
    save_figure(figure, path)


def bias_plot(table: Table, path: Path) -> None:
    """Flux bias by true magnitude, one panel per band, one series per method, of photometry.ecsv."""
    bands, methods = _in_order(table["band"]), _in_order(table["method"])
    figure, (panels,) = make_panels(1, len(bands), (4 * max(1, len(bands)) + 0.5, 4), sharey=True)
    _bias_panels(panels, bands, "flux bias in the aperture")
    for panel, band in zip(panels, bands, strict=False):
        for number, method in enumerate(methods):
            rows = _rows(table, band=band, method=method, binned_by="magnitude")
            centre = (rows["low"] + rows["high"]) / 2 + 0.06 * (number - (len(methods) - 1) / 2)
            _bias_points(panel, centre, rows, number, method)
        panel.set_xlabel("true magnitude (AB)")
    _finish(figure, panels[-1], path)


def injection_plot(table: Table, path: Path) -> None:
    """Flux bias and share of sources found by signal-to-noise ratio, a column per band, of injection.ecsv."""
    bands = _in_order(table["band"])
    size = 4 * max(1, len(bands)) + 0.5, 6.5
    figure, panels = make_panels(2, len(bands), size, sharex=True, sharey="row")
    _bias_panels(panels[0], bands, "measured over injected flux - 1")
    for upper, lower, band in zip(*panels, bands, strict=False):
        for number, shape in enumerate(("point", "disc")):
            rows = _rows(table, band=band, shape=shape, binned_by="snr")
            centre = np.sqrt(rows["low"] * rows["high"]) * 1.03 ** (2 * number - 1)
            _bias_points(upper, centre, rows, number, shape)
            _points(lower, centre, rows["detected"], rows["detected_err"], number, shape)
        lower.set_xlabel("signal-to-noise ratio of the aperture in the input")
    panels[0][0].set_xscale("log")
    panels[1][0].set(ylabel="share of sources found", ylim=(-0.05, 1.05))
    if not bands:
        panels[0][0].set_title("no source was put in")
    _finish(figure, panels[1][-1], path)


def residual_plot(table: Table, path: Path) -> None:
    """Rms of each starlet plane of the residual over the noise's, by band, of residual.ecsv."""
    scales = [int(name.split("_")[1]) for name in table.colnames if name.removeprefix("starlet_").isdigit()]
    figure, (panels,) = make_panels(1, 2, (8.5, 4), sharey=True)
    for panel, (zone, title) in zip(panels, (("sky", "sky alone"), ("all", "whole brick")), strict=True):
        panel.axhline(1, color="0.6", linewidth=1)
        for number, row in enumerate(_rows(table, zone=zone)):
            value, error = ([row[f"starlet_{scale}{end}"] for scale in scales] for end in ("", "_err"))
            places = np.array(scales) + 0.05 * number
            _points(panel, places, np.array(value), np.array(error), number, f"band {row['band']}")
        panel.set_xticks(scales, [f"{scale}\n({2**scale} px)" for scale in scales])
        panel.set(xlabel="starlet plane (its size in pixels)", title=title)
    panels[0].set_ylabel(
        "rms of (input - denoised) / rms of the noise\n1: only noise was taken, and all of it"
    )
    _finish(figure, panels[0], path)


def detection_plot(completeness: Table, purity: Table, path: Path) -> None:
    """Completeness by true magnitude, a panel per band, and purity by true detections per area.

    All bands are searched together; in grey the matched filter on the noisy image of the band alone.

    completeness, purity : completeness.ecsv and purity.ecsv
    """
    bands, methods = _in_order(completeness["band"]), _in_order(purity["method"])
    figure, (panels,) = make_panels(1, len(bands) + 1, (4 * (len(bands) + 1) + 0.5, 4))
    together = "+".join(bands)
    for panel, band in zip(panels, bands, strict=False):
        if len(bands) > 1:
            alone = _rows(completeness, band=band, method="noisy", search=band)
            _completeness(panel, alone, {"color": "0.6", "marker": "x", "label": "noisy, this band alone"})
        for number, method in enumerate(methods):
            rows = _rows(completeness, band=band, method=method, search=together)
            _completeness(panel, rows, style(number) | {"label": method})
        faintest = _rows(completeness, band=band)["high"].max()
        panel.set(title=f"band {band}", xlabel="true magnitude (AB)")
        panel.set(xlim=(faintest - FAINTEST, faintest), ylim=(-0.03, 1.03))
    panels[0].set_ylabel("completeness at 90 % purity")
    for number, method in enumerate(methods):
        rows = _rows(purity, method=method, search=together)
        rows = rows[rows["true"] >= LEAST_LISTED]
        panels[-1].plot(rows["true"], rows["purity"], linewidth=1, markersize=3, **style(number))
        ends, colour = (rows["purity_low"], rows["purity_high"]), style(number)["color"]
        panels[-1].fill_between(rows["true"], *ends, color=colour, alpha=0.15, linewidth=0)
    for panel in panels:
        panel.axhline(0.9, color="0.8", linewidth=1, zorder=0)
    panels[-1].set(xlabel="true detections per square arcmin", ylabel="purity of the list", ylim=(0.5, 1.03))
    panels[-1].set_title(f"bands {together}" if bands else "nothing was searched")
    _finish(figure, panels[0], path)


def _completeness(panel: Axes, rows: NDArray[Any], look: dict[str, Any]) -> None:
    value, centre = rows["completeness"], (rows["low"] + rows["high"]) / 2
    ends = np.maximum([value - rows["completeness_low"], rows["completeness_high"] - value], 0)
    panel.errorbar(centre, value, ends, markersize=4, linewidth=1, capsize=2, **look)


def training_curve(csv: Path, path: Path) -> None:
    """Loss on the training and on the held-out patches, and the learning rate.

    csv : log of the training with the columns epoch, step, loss, validation, rate, seconds; validation may be
        empty in any row
    """
    log = np.atleast_1d(np.genfromtxt(csv, delimiter=",", names=True))
    known = log[np.isfinite(log["validation"])]
    figure, ((panel,),) = make_panels(1, 1, (7, 4))
    panel.plot(log["epoch"], log["loss"], label="training patches", linewidth=1.5, markersize=4, **style(0))
    look = style(1) | {"label": "held-out patches", "linestyle": "--", "markersize": 4}
    panel.plot(known["epoch"], known["validation"], **look)
    if np.nanmin(np.concatenate([log["loss"], known["validation"]]), initial=np.inf) > 0:
        panel.set_yscale("log")
    panel.xaxis.set_major_locator(MaxNLocator(integer=True))
    panel.set(xlabel="epoch", ylabel="loss")
    other = panel.twinx()
    other.plot(log["epoch"], log["rate"], color="0.6", linewidth=1, linestyle=":")
    other.set_ylabel("learning rate (dotted)", color="0.4")
    other.set_ylim(bottom=0)
    _finish(figure, panel, path)
