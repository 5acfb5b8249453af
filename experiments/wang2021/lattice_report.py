"""What patch sizes make of a large lattice: the table and figures of Figs 7 and 8."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Table
from matplotlib.figure import Figure
from numpy.typing import NDArray

from experiments.wang2021.experiment import Outcome
from experiments.wang2021.figures import Curve, Scaling, epoch_curves, image_grid
from experiments.wang2021.lattice import (
    BASELINE,
    Lattice,
    fitted_rows,
    lattices_of,
    sharpness,
    straightness,
)
from experiments.wang2021.measures import mean_of
from experiments.wang2021.settings import LatticeSettings
from skydenoise.evaluate.pictures.draw import save_figure
from skydenoise.evaluate.plots import style
from skydenoise.evaluate.tables import Field, make_table, write_table
from skydenoise.io.atomic import write_text

Array = NDArray[Any]

FRAMES = "scatter over the frames"
PAIRS = "scatter of the difference, frame by frame"
FIELDS = (
    Field("method", "variant; noisy is the input", dtype=str),
    Field("seconds", "time of training", "s"),
    Field("patch", "edge of the training patches, 0 for the input", "pixel", dtype=int),
    Field("frames", "that are measured", dtype=int),
    *Field("long_range", f"rms mean residual of columns within {BASELINE:g} pixels", "pixel").with_error(
        FRAMES
    ),
    *Field("single", "rms residual of a heavy column from its straight row", "pixel").with_error(FRAMES),
    *Field("lost", "share of the heavy columns without a centre").with_error(FRAMES),
    *Field("sharpness", "contrast of close pairs relative to the truth").with_error(FRAMES),
    *Field("error", "rms error against the truth", "electron").with_error(FRAMES),
    *Field("long_range_less", "long_range less that of the first variant", "pixel").with_error(PAIRS),
    *Field("sharpness_less", "sharpness less that of the first variant").with_error(PAIRS),
)
DEFINITIONS = {
    "residual": "of a windowed centroid from the straight, evenly spaced row that fits best; 0 for the truth",
    "sharpness": "mean of two columns less the point between them, summed over all pairs; 1 for the truth",
}
MEASURES = ("long_range", "single", "lost", "sharpness", "error")
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


def report(outcome: Outcome, settings: LatticeSettings, folder: Path) -> None:
    """Write measures.ecsv, summary.txt and three figures to `folder`.

    figure-panel.png : a part of the last frame, noisy, clean and of each variant
    figure-rows.png : residuals along three rows of the last frame
    figure-convergence.png : loss, and the measures in the last frame, by epoch
    """
    lattices = lattices_of(outcome.data)
    clean = outcome.data.clean[:, 0]
    images = {"noisy": outcome.data.noisy[:, 0]}
    images |= {name: each.image[:, 0] for name, each in outcome.all.items()}
    values = {name: measure(each, clean, lattices, settings) for name, each in images.items()}
    rows = [row_of(name, values, outcome) for name in images]
    table = make_table(FIELDS, rows, DEFINITIONS)
    write_table(folder / "measures.ecsv", table)
    write_text(folder / "summary.txt", summary(table, outcome.notes))
    parts = {name: each[-1, :ZOOM, :ZOOM] for name, each in {**images, "clean": clean}.items()}
    high = 1.2 * settings.heavy
    image_grid(
        {"": parts}, Scaling(0, high), folder / "figure-panel.png", f"electrons, black 0, white {high:g}", 3
    )
    row_plot(
        {name: each[-1] for name, each in images.items()}, lattices[-1], settings, folder / "figure-rows.png"
    )
    convergence(outcome, lattices[-1], settings, folder / "figure-convergence.png")


def measure(
    images: Array, clean: Array, lattices: Sequence[Lattice], settings: LatticeSettings
) -> dict[str, Array]:
    """Value of each frame, (n,), of every one of MEASURES; images and clean (n, y, x)."""
    rows = []
    for image, truth, lattice in zip(images, clean, lattices, strict=True):
        straight = straightness(image, lattice, settings)
        error = float(np.sqrt(np.mean(np.square(image - truth, dtype=float))))
        sharp = sharpness(image, truth, lattice, settings)
        rows.append((straight.long_range, straight.single, straight.lost, sharp, error))
    return dict(zip(MEASURES, np.reshape(rows, (-1, len(MEASURES))).T, strict=True))


def row_of(name: str, values: Mapping[str, Mapping[str, Array]], outcome: Outcome) -> dict[str, Any]:
    """A method's row of the table, from the values of all methods."""
    variant = outcome.variants[name].variant if name in outcome.variants else None
    row: dict[str, Any] = {
        "method": name,
        "seconds": outcome.all[name].seconds if name in outcome.all else 0.0,
        "patch": variant.patches.size if variant else 0,
        "frames": len(values[name]["error"]),
    }
    means = {measure: mean_of(each) for measure, each in values[name].items()}
    first = values[next(iter(outcome.variants))]
    means |= {f"{key}_less": mean_of(values[name][key] - first[key]) for key in CHANGES}
    for key, mean in means.items():
        row |= {key: mean.value, f"{key}_err": mean.error}
    return row


def row_plot(images: dict[str, Array], lattice: Lattice, settings: LatticeSettings, path: Path) -> None:
    """Write a PNG of how far the columns of three rows are off across the row, a panel per method."""
    figure = Figure(figsize=(9, 1.5 * len(images) + 0.6), dpi=110, layout="constrained")
    grid = figure.subplots(len(images), 1, squeeze=False, sharex=True, sharey=True)[:, 0]
    for axes, (name, image) in zip(grid, images.items(), strict=True):
        rows, _ = fitted_rows(image, lattice, settings)
        axes.axhline(0, color="0.6", linewidth=1)
        for number, place in enumerate((len(rows) // 4, len(rows) // 2, 3 * len(rows) // 4)):
            if place < len(rows):
                row = rows[place]
                axes.plot(row.along, row.residuals[:, 0], linewidth=1, markersize=3, **style(number))
        axes.set_title(name, fontsize=9)
    grid[len(grid) // 2].set_ylabel("off the straight row, along y (pixels)")
    grid[-1].set_xlabel("along the row (pixels)")
    save_figure(figure, path)


def convergence(outcome: Outcome, lattice: Lattice, settings: LatticeSettings, path: Path) -> None:
    """Loss, and straightness, sharpness and error in the last frame, by epoch."""
    panels: dict[str, dict[str, Curve]] = {label: {} for label in ("loss of the training patches", *FOLLOWED)}
    truth = outcome.data.clean[-1:, 0]
    for name, variant in outcome.variants.items():
        losses = np.array([row.loss for row in variant.curve])
        panels["loss of the training patches"][name] = Curve(np.arange(1, len(losses) + 1), losses)
        kept = np.array(sorted(variant.snapshots), dtype=int)
        values = [measure(variant.snapshots[epoch][-1:, 0], truth, [lattice], settings) for epoch in kept]
        for label, key in FOLLOWED.items():
            panels[label][name] = Curve(kept, np.array([each[key][0] for each in values]))
    epoch_curves(panels, path)


def summary(table: Table, notes: tuple[str, ...]) -> str:
    """The table for a person at a terminal, differences from the first variant, and the notes."""
    lines = [f"{'method':<14}" + "".join(f"{name:>20}" for name in MEASURES)]
    for row in table:
        numbers = (f"{row[name]:.4f} +- {row[f'{name}_err']:.4f}" for name in MEASURES)
        lines.append(f"{row['method']:<14}" + "".join(f"{number:>20}" for number in numbers))
    trained = table[table["patch"] > 0]
    for row in trained[1:]:
        changes = (f"{key} {row[f'{key}_less']:+.4f} +- {row[f'{key}_less_err']:.4f}" for key in CHANGES)
        lines.append(f"{row['method']} less {trained['method'][0]}, frame by frame: {', '.join(changes)}")
    return "\n".join([*lines, *notes]) + "\n"
