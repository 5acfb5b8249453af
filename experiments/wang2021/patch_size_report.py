"""What patch sizes make of a large lattice: the table and figures of Figs 7 and 8."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from experiments.wang2021.figures import Series, epoch_curves, image_grid, loss_curve
from experiments.wang2021.lattice import (
    BASELINE,
    Lattice,
    fitted_rows,
    lattices_of,
    sharpness,
    straightness,
)
from experiments.wang2021.outcome import Outcome
from experiments.wang2021.report import Measures, columns, mean_of
from experiments.wang2021.settings import LatticeSettings
from skydenoise.evaluate.figures.panels import save_figure, style
from skydenoise.evaluate.tables import Field

Array = NDArray[Any]
Values = Mapping[str, Array]

FRAMES = "scatter over the frames"
PAIRS = "scatter of the difference, frame by frame"
RESIDUAL = f"rms mean residual of columns within {BASELINE:g} pixels"
MEASURES = Measures(
    fields=(
        Field("method", "variant; noisy is the input", dtype=str),
        Field("seconds", "time of training", "s"),
        Field("patch", "edge of the training patches, 0 for the input", "pixel", dtype=int),
        Field("frames", "that are measured", dtype=int),
        *Field("long_range", RESIDUAL, "pixel").with_error(FRAMES),
        *Field("single", "rms residual of a heavy column from its straight row", "pixel").with_error(FRAMES),
        *Field("lost", "share of the heavy columns without a centre").with_error(FRAMES),
        *Field("sharpness", "contrast of close pairs relative to the truth").with_error(FRAMES),
        *Field("error", "rms error against the truth", "electron").with_error(FRAMES),
        *Field("long_range_less", "long_range less that of the first variant", "pixel").with_error(PAIRS),
        *Field("sharpness_less", "sharpness less that of the first variant").with_error(PAIRS),
    ),
    definitions={
        "residual": "of a windowed centroid from the straight, evenly spaced row that fits best; 0 for the "
        "truth",
        "sharpness": "mean of two columns less the point between them, over all pairs; 1 for the truth",
    },
    shown=("long_range", "single", "sharpness", "error", "long_range_less", "sharpness_less"),
)
CHANGES = ("long_range", "sharpness")
"""Measures that are compared frame by frame with the first variant's."""
FOLLOWED = {
    "long-range residual (pixels)": "long_range",
    "sharpness of close pairs": "sharpness",
    "rms error (electrons)": "error",
}
"""What is followed in the last frame, by the label of its axis."""
ZOOM = 96
"""Edge of what is shown of a frame, pixels."""


def report(outcome: Outcome, folder: Path) -> None:
    """Write measures.ecsv, summary.txt and three figures to `folder`.

    figure-panel.png : a part of the last frame, noisy, clean and of each variant
    figure-rows.png : residuals along three rows of the last frame
    figure-convergence.png : loss, and the measures in the last frame, by epoch
    """
    settings, lattices, clean = outcome.configuration.frames, lattices_of(outcome.data), outcome.clean
    values = {name: measure(each, clean, lattices, settings) for name, each in outcome.images.items()}
    first = values[next(iter(outcome.variants))]
    sizes = {name: each.patches.size for name, each in outcome.configuration.variants.items()}
    rows = [
        row_of(each, first) | {"method": name, "seconds": outcome.seconds(name), "patch": sizes.get(name, 0)}
        for name, each in values.items()
    ]
    MEASURES.write(folder, rows, outcome.notes)
    last = {name: each[-1] for name, each in outcome.images.items()}
    row_plot(last, lattices[-1], settings, folder / "figure-rows.png")
    parts = {name: each[:ZOOM, :ZOOM] for name, each in (last | {"clean": clean[-1]}).items()}
    white = 1.2 * settings.heavy
    caption = f"electrons, black 0, white {white:g}"
    image_grid({"": parts}, folder / "figure-panel.png", caption, (0, white))
    convergence(outcome, lattices[-1], settings, folder / "figure-convergence.png")


def measure(
    images: Array, clean: Array, lattices: Sequence[Lattice], settings: LatticeSettings
) -> dict[str, Array]:
    """Value of each frame, (n,), of the measures with an error; images and clean (n, y, x)."""
    rows = []
    for image, truth, lattice in zip(images, clean, lattices, strict=True):
        row = straightness(image, lattice, settings)
        row["sharpness"] = sharpness(image, truth, lattice, settings)
        row["error"] = float(np.sqrt(np.mean(np.square(image - truth, dtype=float))))
        rows.append(row)
    return {key: np.array([row[key] for row in rows]) for key in rows[0]}


def row_of(values: Values, first: Values) -> dict[str, Any]:
    """A method's row of the table, without name, time and patch size.

    first : the values of the first variant
    """
    means = {key: mean_of(each) for key, each in values.items()}
    means |= {f"{key}_less": mean_of(values[key] - first[key]) for key in CHANGES}
    return columns(means) | {"frames": len(values["error"])}


def row_plot(images: Values, lattice: Lattice, settings: LatticeSettings, path: Path) -> None:
    """Write a PNG of how far the columns of three rows are off across the row, a panel per method."""
    figure = Figure(figsize=(9, 1.5 * len(images) + 0.6), dpi=110, layout="constrained")
    grid = figure.subplots(len(images), 1, squeeze=False, sharex=True, sharey=True)[:, 0]
    for axes, (name, image) in zip(grid, images.items(), strict=True):
        rows, _ = fitted_rows(image, lattice, settings)
        axes.axhline(0, color="0.6", linewidth=1)
        for number, row in enumerate(rows[len(rows) // 4 :: max(1, len(rows) // 4)][:3]):
            axes.plot(row.along, row.residuals[:, 0], linewidth=1, markersize=3, **style(number))
        axes.set_title(name, fontsize=9)
    figure.supylabel("off the straight row, along y (pixels)", fontsize=9)
    grid[-1].set_xlabel("along the row (pixels)")
    save_figure(figure, path)


def convergence(outcome: Outcome, lattice: Lattice, settings: LatticeSettings, path: Path) -> None:
    """Loss, and straightness, sharpness and error in the last frame, by epoch."""
    losses = {name: loss_curve(each.losses) for name, each in outcome.variants.items()}
    panels: dict[str, dict[str, Series]] = {"loss of the training patches": losses}
    panels |= {label: {} for label in FOLLOWED}
    for name, variant in outcome.variants.items():
        kept = np.array(sorted(variant.snapshots), dtype=int)
        values = [
            measure(variant.snapshots[epoch][-1:], outcome.clean[-1:], [lattice], settings) for epoch in kept
        ]
        for label, key in FOLLOWED.items():
            panels[label][name] = kept, np.array([each[key][0] for each in values])
    epoch_curves(panels, path)
