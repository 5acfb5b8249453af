"""Plot of completeness by magnitude, and of purity by how much is listed."""

from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Table
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from skydenoise.evaluate.pictures.draw import save_figure
from skydenoise.evaluate.plots import in_order, style

FAINTEST = 6.0
"""Magnitudes that are shown, up to the faintest source found."""
LEAST_LISTED = 1.0
"""True detections per square arcmin from which purity is shown: of fewer it is not known."""
SINGLE = "noisy, this band alone"
"""The matched filter of one band, in the legend."""


def detection_plot(completeness: Table, purity: Table, path: Path) -> None:
    """Completeness by true magnitude, a panel per band, and purity by true detections per area.

    All bands are searched together; in grey the matched filter on the noisy image of the band alone.

    completeness, purity : completeness.ecsv and purity.ecsv
    path : PNG to write
    """
    bands = in_order(completeness["band"])
    methods = in_order(purity["method"])
    figure = Figure(figsize=(4 * (len(bands) + 1) + 0.5, 4), dpi=110, layout="constrained")
    panels = figure.subplots(1, len(bands) + 1, squeeze=False)[0]
    together = "+".join(bands)
    for panel, band in zip(panels, bands, strict=False):
        panel.axhline(0.9, color="0.8", linewidth=1)
        here = completeness[completeness["band"] == band]
        alone = here[(here["method"] == "noisy") & (here["search"] == band)]
        if len(bands) > 1:
            _completeness(panel, alone, {"color": "0.6", "marker": "x", "label": SINGLE})
        for number, method in enumerate(methods):
            rows = here[(here["method"] == method) & (here["search"] == together)]
            _completeness(panel, rows, style(number) | {"label": method})
        panel.set_title(f"band {band}")
        panel.set_xlabel("true magnitude (AB)")
        panel.set_ylim(-0.03, 1.03)
        panel.set_xlim(np.max(here["high"]) - FAINTEST, np.max(here["high"]))
    panels[0].set_ylabel("completeness at 90 % purity")
    if bands:
        panels[0].legend(fontsize=8)
    for number, method in enumerate(methods):
        _purity(panels[-1], purity[(purity["method"] == method) & (purity["search"] == together)], number)
    panels[-1].axhline(0.9, color="0.8", linewidth=1)
    panels[-1].set_ylim(0.5, 1.03)
    panels[-1].set_title(f"bands {together}" if bands else "nothing was searched")
    panels[-1].set_xlabel("true detections per square arcmin")
    panels[-1].set_ylabel("purity of the list")
    save_figure(figure, path)


def _completeness(panel: Axes, rows: Table, look: dict[str, Any]) -> None:
    centre = (np.asarray(rows["low"]) + np.asarray(rows["high"])) / 2
    value = np.asarray(rows["completeness"])
    ends = np.stack(
        [value - np.asarray(rows["completeness_low"]), np.asarray(rows["completeness_high"]) - value]
    )
    panel.errorbar(centre, value, np.maximum(ends, 0), markersize=4, linewidth=1, capsize=2, **look)


def _purity(panel: Axes, rows: Table, number: int) -> None:
    rows = rows[np.asarray(rows["true"]) >= LEAST_LISTED]
    listed = np.asarray(rows["true"])
    panel.plot(listed, np.asarray(rows["purity"]), linewidth=1, markersize=3, **style(number))
    low, high = np.asarray(rows["purity_low"]), np.asarray(rows["purity_high"])
    panel.fill_between(listed, low, high, color=style(number)["color"], alpha=0.15, linewidth=0)
