"""Plots of the tables as PNG: flux bias, injected sources, residual, detections; curve of the training."""

from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Table
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, NullLocator
from numpy.typing import NDArray

from skydenoise.evaluate.figures.panels import plot_panels, plot_points, save_figure, style

BIAS = 50.0
"""Per cent at either end of an axis of bias, linear within 2 per cent and logarithmic beyond. Points with a
standard error above half of it are left out."""
FAINTEST = 6.0
"""Magnitudes of completeness that are shown, up to the faintest source found."""
LEAST_LISTED = 1.0
"""True detections per square arcmin from which purity is shown: of fewer it is not known."""
SINGLE = "noisy, this band alone"
"""The matched filter of one band, in the legend."""


def _in_order(values: Table.Column) -> list[str]:
    """Different values, in the order of their first appearance."""
    return list(dict.fromkeys(str(value) for value in values))


def _rows(table: Table, **wanted: Any) -> NDArray[Any]:
    """Rows that hold wanted values in some columns, as a structured array."""
    chosen = np.ones(len(table), bool)
    for name, value in wanted.items():
        chosen &= np.asarray(table[name] == value)
    return np.asarray(table.as_array()[chosen])


def _bias_axis(panel: Axes) -> None:
    ticks = (1, 2, 5, 10, 20, 50)
    panel.set_yscale("symlog", linthresh=2, linscale=1.5)
    panel.set_ylim(-BIAS, BIAS)
    panel.set_yticks([*(-tick for tick in ticks), 0, *ticks], minor=False)
    panel.yaxis.set_major_formatter("{x:g}")
    panel.yaxis.set_minor_locator(NullLocator())


def _bias_panel(panel: Axes, band: str) -> None:
    panel.axhline(0, color="0.6", linewidth=1)
    panel.axhspan(-2, 2, color="0.93", zorder=0)
    panel.set_title(f"band {band}")


def bias_plot(table: Table, path: Path) -> None:
    """Flux bias by true magnitude, one panel per band, one series per method.

    table : photometry.ecsv
    """
    bands, methods = _in_order(table["band"]), _in_order(table["method"])
    figure, (panels,) = plot_panels(1, len(bands), (4 * max(1, len(bands)) + 0.5, 4), sharey=True)
    for panel, band in zip(panels, bands, strict=False):
        _bias_panel(panel, band)
        for number, method in enumerate(methods):
            rows = _rows(table, band=band, method=method, binned_by="magnitude")
            rows = rows[rows["bias_percent_err"] <= BIAS / 2]
            centre = (rows["low"] + rows["high"]) / 2 + 0.06 * (number - (len(methods) - 1) / 2)
            plot_points(panel, centre, rows["bias_percent"], rows["bias_percent_err"], number, method)
        panel.set_xlabel("true magnitude (AB)")
    _bias_axis(panels[0])
    panels[0].set_ylabel("flux bias in the aperture (per cent)\ngrey: within 2 per cent")
    if bands:
        panels[-1].legend(fontsize=8)
    save_figure(figure, path)


def injection_plot(table: Table, path: Path) -> None:
    """Flux bias and share of sources found by signal-to-noise ratio; one column of panels per band.

    table : injection.ecsv
    """
    bands = _in_order(table["band"])
    size = 4 * max(1, len(bands)) + 0.5, 6.5
    figure, panels = plot_panels(2, len(bands), size, sharex=True, sharey="row")
    for upper, lower, band in zip(*panels, bands, strict=False):
        _bias_panel(upper, band)
        for number, shape in enumerate(("point", "disc")):
            rows = _rows(table, band=band, shape=shape, binned_by="snr")
            centre = np.sqrt(rows["low"] * rows["high"]) * 1.03 ** (2 * number - 1)
            for panel, name, most in ((upper, "bias_percent", BIAS / 2), (lower, "detected", np.inf)):
                shown = rows[f"{name}_err"] <= most
                value, error = rows[name][shown], rows[f"{name}_err"][shown]
                plot_points(panel, centre[shown], value, error, number, shape)
        lower.set_xlabel("signal-to-noise ratio of the aperture in the input")
    first, found = panels[:, 0]
    first.set_xscale("log")
    _bias_axis(first)
    first.set_ylabel("measured over injected flux - 1 (per cent)\ngrey: within 2 per cent")
    found.set_ylabel("share of sources found")
    found.set_ylim(-0.05, 1.05)
    if bands:
        panels[1][-1].legend(fontsize=8)
    else:
        first.set_title("no source was put in")
    save_figure(figure, path)


def residual_plot(table: Table, path: Path) -> None:
    """Rms of each starlet plane of the residual over that of the noise, by band; sky and everything.

    table : residual.ecsv
    """
    scales = [int(name.split("_")[1]) for name in table.colnames if name.removeprefix("starlet_").isdigit()]
    figure, (panels,) = plot_panels(1, 2, (8.5, 4), sharey=True)
    for panel, (zone, title) in zip(panels, (("sky", "sky alone"), ("all", "whole brick")), strict=True):
        panel.axhline(1, color="0.6", linewidth=1)
        for number, row in enumerate(_rows(table, zone=zone)):
            value = np.array([row[f"starlet_{scale}"] for scale in scales])
            error = np.nan_to_num([row[f"starlet_{scale}_err"] for scale in scales])
            places = np.array(scales) + 0.05 * number
            plot_points(panel, places, value, error, number, f"band {row['band']}")
        panel.set_xticks(scales, [f"{scale}\n({2**scale} px)" for scale in scales])
        panel.set_xlabel("starlet plane (its size in pixels)")
        panel.set_title(title)
    panels[0].set_ylabel(
        "rms of (input - denoised) / rms of the noise\n1: only noise was taken, and all of it"
    )
    if len(table):
        panels[0].legend(fontsize=8)
    save_figure(figure, path)


def detection_plot(completeness: Table, purity: Table, path: Path) -> None:
    """Completeness by true magnitude, a panel per band, and purity by true detections per area.

    All bands are searched together; in grey the matched filter on the noisy image of the band alone.

    completeness, purity : completeness.ecsv and purity.ecsv
    """
    bands, methods = _in_order(completeness["band"]), _in_order(purity["method"])
    figure, (panels,) = plot_panels(1, len(bands) + 1, (4 * (len(bands) + 1) + 0.5, 4))
    together = "+".join(bands)
    for panel, band in zip(panels, bands, strict=False):
        if len(bands) > 1:
            alone = _rows(completeness, band=band, method="noisy", search=band)
            _completeness(panel, alone, {"color": "0.6", "marker": "x", "label": SINGLE})
        for number, method in enumerate(methods):
            rows = _rows(completeness, band=band, method=method, search=together)
            _completeness(panel, rows, style(number) | {"label": method})
        faintest = _rows(completeness, band=band)["high"].max()
        panel.set_title(f"band {band}")
        panel.set_xlabel("true magnitude (AB)")
        panel.set_ylim(-0.03, 1.03)
        panel.set_xlim(faintest - FAINTEST, faintest)
    panels[0].set_ylabel("completeness at 90 % purity")
    if bands:
        panels[0].legend(fontsize=8)
    for number, method in enumerate(methods):
        _purity(panels[-1], _rows(purity, method=method, search=together), number)
    for panel in panels:
        panel.axhline(0.9, color="0.8", linewidth=1, zorder=0)
    panels[-1].set_ylim(0.5, 1.03)
    panels[-1].set_title(f"bands {together}" if bands else "nothing was searched")
    panels[-1].set_xlabel("true detections per square arcmin")
    panels[-1].set_ylabel("purity of the list")
    save_figure(figure, path)


def _completeness(panel: Axes, rows: NDArray[Any], look: dict[str, Any]) -> None:
    value = rows["completeness"]
    ends = np.maximum([value - rows["completeness_low"], rows["completeness_high"] - value], 0)
    centre = (rows["low"] + rows["high"]) / 2
    panel.errorbar(centre, value, ends, markersize=4, linewidth=1, capsize=2, **look)


def _purity(panel: Axes, rows: NDArray[Any], number: int) -> None:
    rows = rows[rows["true"] >= LEAST_LISTED]
    panel.plot(rows["true"], rows["purity"], linewidth=1, markersize=3, **style(number))
    ends = rows["purity_low"], rows["purity_high"]
    panel.fill_between(rows["true"], *ends, color=style(number)["color"], alpha=0.15, linewidth=0)


def training_curve(csv: Path, path: Path) -> None:
    """Loss on the training and on the held-out patches, and the learning rate.

    csv : log of the training with the columns epoch, step, loss, validation, rate, seconds; validation may be
        empty in any row
    """
    log = Table.read(csv, format="ascii.csv", fill_values=[("", "nan"), ("nan", "nan")])
    epoch, loss, validation, rate = (
        np.ma.filled(np.ma.asarray(log[name]).astype(float), np.nan)
        for name in ("epoch", "loss", "validation", "rate")
    )
    figure, ((panel,),) = plot_panels(1, 1, (7, 4))
    panel.plot(epoch, loss, label="training patches", linewidth=1.5, markersize=4, **style(0))
    known = np.isfinite(validation)
    held_out = epoch[known], validation[known]
    panel.plot(*held_out, label="held-out patches", linestyle="--", markersize=4, **style(1))
    if np.nanmin(np.concatenate([loss, validation[known]]), initial=np.inf) > 0:
        panel.set_yscale("log")
    panel.xaxis.set_major_locator(MaxNLocator(integer=True))
    panel.set_xlabel("epoch")
    panel.set_ylabel("loss")
    other = panel.twinx()
    other.plot(epoch, rate, color="0.6", linewidth=1, linestyle=":")
    other.set_ylabel("learning rate (dotted)", color="0.4")
    other.set_ylim(bottom=0)
    panel.legend(fontsize=8)
    save_figure(figure, path)
