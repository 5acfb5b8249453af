"""Plots of the tables: flux bias, recovered injections, spectrum of the residual, curve of the training."""

from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Table
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator

from skydenoise.evaluate.pictures.draw import save_figure

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe & Ito 2008: distinct for colour-blind people; markers differ too."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X")


def style(number: int) -> dict[str, Any]:
    """Colour and marker of series `number`."""
    return {"color": PALETTE[number % len(PALETTE)], "marker": MARKERS[number % len(MARKERS)]}


def in_order(values: Table.Column) -> list[str]:
    """Different values, in the order of their first appearance."""
    return list(dict.fromkeys(str(value) for value in values))


def bias_plot(table: Table, path: Path, limit: float = 50.0) -> None:
    """Flux bias by true magnitude, one panel per band, one series per method.

    Parameters
    ----------
    table
        photometry.ecsv
    path
        PNG to write
    limit
        per cent at either end of the axis of bias, linear within 2 per cent and logarithmic beyond; points
        with a standard error above half the limit are left out
    """
    bands, methods = in_order(table["band"]), in_order(table["method"])
    figure = Figure(figsize=(4 * max(1, len(bands)) + 0.5, 4), dpi=110, layout="constrained")
    panels = figure.subplots(1, max(1, len(bands)), squeeze=False, sharey=True)[0]
    for panel, band in zip(panels, bands, strict=False):
        panel.axhline(0, color="0.6", linewidth=1)
        panel.axhspan(-2, 2, color="0.93", zorder=0)
        for number, method in enumerate(methods):
            rows = table[
                (table["band"] == band) & (table["method"] == method) & (table["binned_by"] == "magnitude")
            ]
            rows = rows[np.asarray(rows["bias_percent_err"]) <= limit / 2]
            centre = (np.asarray(rows["low"]) + np.asarray(rows["high"])) / 2
            panel.errorbar(
                centre + 0.06 * (number - (len(methods) - 1) / 2),
                np.asarray(rows["bias_percent"]),
                np.asarray(rows["bias_percent_err"]),
                linestyle="none",
                markersize=5,
                capsize=2,
                label=method,
                **style(number),
            )
        panel.set_title(f"band {band}")
        panel.set_xlabel("true magnitude (AB)")
    _bias_axis(panels[0], limit)
    panels[0].set_ylabel("flux bias in the aperture (per cent)\ngrey: within 2 per cent")
    if bands:
        panels[-1].legend(fontsize=8)
    save_figure(figure, path)


def _bias_axis(panel: Axes, limit: float) -> None:
    """Per cent, linear within 2 and logarithmic beyond."""
    ticks = [tick for tick in (1, 2, 5, 10, 20, 50) if tick <= limit]
    panel.set_yscale("symlog", linthresh=2, linscale=1.5)
    panel.set_ylim(-limit, limit)
    panel.set_yticks([*(-tick for tick in ticks), 0, *ticks], minor=False)
    panel.yaxis.set_major_formatter("{x:g}")
    panel.yaxis.set_minor_locator(NullLocator())


def residual_plot(table: Table, path: Path) -> None:
    """Rms of each starlet plane of the residual over that of the noise, by band; sky and everything.

    table : residual.ecsv
    path : PNG to write
    """
    scales = [int(name.split("_")[1]) for name in table.colnames if name.removeprefix("starlet_").isdigit()]
    figure = Figure(figsize=(8.5, 4), dpi=110, layout="constrained")
    for panel, zone in zip(figure.subplots(1, 2, sharey=True), ("sky", "all"), strict=True):
        panel.axhline(1, color="0.6", linewidth=1)
        for number, row in enumerate(table[table["zone"] == zone]):
            panel.errorbar(
                np.array(scales) + 0.05 * number,
                [row[f"starlet_{scale}"] for scale in scales],
                np.nan_to_num([row[f"starlet_{scale}_err"] for scale in scales]),
                linestyle="none",
                capsize=2,
                label=f"band {row['band']}",
                **style(number),
            )
        panel.set_xticks(scales, [f"{scale}\n({2**scale} px)" for scale in scales])
        panel.set_xlabel("starlet plane (its size in pixels)")
        panel.set_title({"sky": "sky alone", "all": "whole brick"}[zone])
    first = figure.axes[0]
    first.set_ylabel("rms of (input - denoised) / rms of the noise\n1: only noise was taken, and all of it")
    if len(table):
        first.legend(fontsize=8)
    save_figure(figure, path)


def injection_plot(table: Table, path: Path, limit: float = 50.0) -> None:
    """Flux bias and share of sources found by signal-to-noise ratio; one column of panels per band.

    Parameters
    ----------
    table
        injection.ecsv
    path
        PNG to write
    limit
        per cent at either end of the axis of bias; points with a standard error above half of it are left out
    """
    bands = in_order(table["band"])
    columns = max(1, len(bands))
    figure = Figure(figsize=(4 * columns + 0.5, 6.5), dpi=110, layout="constrained")
    panels = figure.subplots(2, columns, squeeze=False, sharex=True, sharey="row")
    for upper, lower, band in zip(*panels, bands, strict=False):
        upper.axhline(0, color="0.6", linewidth=1)
        upper.axhspan(-2, 2, color="0.93", zorder=0)
        for number, shape in enumerate(("point", "disc")):
            rows = table[(table["band"] == band) & (table["shape"] == shape) & (table["binned_by"] == "snr")]
            centre = np.sqrt(np.asarray(rows["low"]) * np.asarray(rows["high"])) * 1.03 ** (2 * number - 1)
            for panel, name, most in ((upper, "bias_percent", limit / 2), (lower, "detected", np.inf)):
                value, error = np.asarray(rows[name]), np.asarray(rows[f"{name}_err"])
                shown = error <= most
                look = {"linestyle": "none", "markersize": 5, "capsize": 2, "label": shape}
                panel.errorbar(centre[shown], value[shown], error[shown], **look, **style(number))
        upper.set_title(f"band {band}")
        lower.set_xlabel("signal-to-noise ratio of the aperture in the input")
    panels[0][0].set_xscale("log")
    _bias_axis(panels[0][0], limit)
    panels[0][0].set_ylabel("recovered over injected flux - 1 (per cent)\ngrey: within 2 per cent")
    panels[1][0].set_ylabel("share of sources found")
    panels[1][0].set_ylim(-0.05, 1.05)
    if bands:
        panels[1][-1].legend(fontsize=8)
    else:
        panels[0][0].set_title("no source was put in")
    save_figure(figure, path)


def training_curve(csv: Path, path: Path) -> None:
    """Loss on the training and on the held-out patches, and the learning rate.

    Parameters
    ----------
    csv
        log of the training with the columns epoch, step, loss, validation, rate, seconds; validation may be
        empty in any row
    path
        PNG to write
    """
    log = Table.read(csv, format="ascii.csv", fill_values=[("", "nan"), ("nan", "nan")])
    epoch, loss, validation, rate = (
        np.ma.filled(np.ma.asarray(log[name]).astype(float), np.nan)
        for name in ("epoch", "loss", "validation", "rate")
    )
    figure = Figure(figsize=(7, 4), dpi=110, layout="constrained")
    panel = figure.subplots()
    panel.plot(epoch, loss, label="training patches", linewidth=1.5, markersize=4, **style(0))
    known = np.isfinite(validation)
    panel.plot(
        epoch[known], validation[known], label="held-out patches", linestyle="--", markersize=4, **style(1)
    )
    if np.nanmin(np.concatenate([loss, validation[known]]), initial=np.inf) > 0:
        panel.set_yscale("log")
    panel.xaxis.set_major_locator(MaxNLocator(integer=True))
    panel.set_xlabel("epoch")
    panel.set_ylabel("loss")
    _rate_axis(panel, epoch, rate)
    panel.legend(fontsize=8)
    save_figure(figure, path)


def _rate_axis(panel: Axes, epoch: np.ndarray, rate: np.ndarray) -> None:
    other = panel.twinx()
    other.plot(epoch, rate, color="0.6", linewidth=1, linestyle=":")
    other.set_ylabel("learning rate (dotted)", color="0.4")
    other.set_ylim(bottom=0)
