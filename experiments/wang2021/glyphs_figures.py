"""Figures of the glyphs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from experiments.wang2021.experiment import Outcome
from experiments.wang2021.glyphs import SCALE
from experiments.wang2021.measures import best_scaled
from skydenoise.evaluate.pictures.draw import save_figure
from skydenoise.evaluate.plots import style

Array = NDArray[Any]

BINS = np.linspace(-0.5, 1.75, 91)


def panel(images: Mapping[str, Array], truth: Array, folder: Path) -> None:
    """One row per method and one for the truth; black 0, white 1 in all but the noisy row, where white is 3.

    images : (glyph, y, x) of each method
    """
    rows = {**images, "clean": truth}
    figure = Figure(figsize=(1.05 * len(truth) + 1, 1.05 * len(rows) + 0.2), dpi=130, layout="constrained")
    panels = figure.subplots(len(rows), len(truth), squeeze=False)
    for line, (name, each) in zip(panels, rows.items(), strict=True):
        for place, image in zip(line, each, strict=True):
            place.imshow(image, cmap="gray", vmin=0, vmax=SCALE if name == "noisy" else 1)
            place.set_xticks([])
            place.set_yticks([])
        line[0].set_ylabel(name, rotation=0, ha="right", va="center")
    panels[0][-1].set_title("in no font", fontsize=8)
    save_figure(figure, folder / "figure-panel.png")


def convergence(outcome: Outcome, truth: Array, folder: Path) -> None:
    """Left: loss by epoch. Right: rms error of the kept models, offset and contrast taken out, by epoch.

    truth : (followed, 1, y, x), black 0 and strokes 1
    """
    figure = Figure(figsize=(10, 4), dpi=110, layout="constrained")
    losses, errors = figure.subplots(1, 2)
    for number, (name, variant) in enumerate(outcome.variants.items()):
        look = {"label": name, "markersize": 4, **style(number)}
        losses.plot([row.epoch for row in variant.curve], [row.loss for row in variant.curve], **look)
        kept = [best_scaled(image * SCALE, truth) - truth for image in variant.snapshots.values()]
        errors.plot(list(variant.snapshots), [np.sqrt(np.square(each).mean()) for each in kept], **look)
    losses.set_yscale("log")
    _epochs(losses, "loss of the training patches (each its own)")
    _epochs(errors, "rms error against the truth (strokes 1)\nbest offset and contrast taken out")
    save_figure(figure, folder / "figure-convergence.png")


def _epochs(axes: Axes, label: str) -> None:
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("epoch")
    axes.set_ylabel(label)
    axes.legend(fontsize=8)


def contrast(images: Mapping[str, Array], regions: tuple[Array, Array], folder: Path) -> None:
    """Distribution of the values inside strokes and outside, with the noise's medians and means.

    images : (n, 1, y, x) of each method
    regions : pixels inside strokes and outside, bool of the same shape
    """
    shown = {name: image for name, image in images.items() if name != "noisy"}
    figure = Figure(figsize=(7, 1.5 * len(shown) + 0.8), dpi=110, layout="constrained")
    panels = figure.subplots(len(shown), 1, squeeze=False, sharex=True)[:, 0]
    for axes, (name, image) in zip(panels, shown.items(), strict=True):
        for number, (region, what) in enumerate(zip(regions, ("inside strokes", "outside"), strict=True)):
            colour = style(number)["color"]
            values = np.clip(image[region], BINS[0], BINS[-1])
            axes.hist(values, BINS, density=True, histtype="stepfilled", color=colour, alpha=0.6, label=what)
            median, mean = ((1, 1.125), (0, 0.5))[number]
            axes.axvline(median, color=colour, linewidth=1.2)
            axes.axvline(mean, color=colour, linewidth=1.2, linestyle="--")
        axes.set_yscale("log")
        axes.set_ylim(1e-2, 60)
        axes.set_ylabel(f"{name}\ndensity")
    panels[0].legend(fontsize=8)
    panels[-1].set_xlabel("value; lines: median (solid) and mean (dashed) of the noisy pixels")
    save_figure(figure, folder / "figure-contrast.png")
