"""What became of the glyphs: the table and figures of Figs 4 and 5."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from experiments.wang2021.figures import epoch_curves, image_grid, loss_curve
from experiments.wang2021.glyphs import PANEL, SCALE, in_strokes
from experiments.wang2021.measures import best_scaled, contrast, median_where, nearest, overlap, psnr, ssim
from experiments.wang2021.outcome import Outcome
from experiments.wang2021.report import Measures, columns, mean_of
from skydenoise.evaluate.figures.panels import save_figure, style
from skydenoise.evaluate.tables import Field

Array = NDArray[Any]

LEGIBLE = 0.5
"""Overlap from which a glyph counts as legible: that of strokes of 4 pixels that are 1.3 off."""
BINS = np.linspace(-0.5, 1.75, 91)
SCATTER = "scatter over the glyphs"
MEASURES = Measures(
    fields=(
        Field("method", "variant or baseline; noisy is the input", dtype=str),
        Field("seconds", "time of training", "s"),
        Field("glyphs", "that are measured, the synthetic one apart", dtype=int),
        *Field("psnr", "peak signal-to-noise ratio, peak 1", "dB").with_error(SCATTER),
        *Field("ssim", "structural similarity, range 1").with_error(SCATTER),
        *Field("contrast", "inside strokes minus outside, over that of the truth").with_error(SCATTER),
        *Field("black", "median value outside strokes, 0 in the truth").with_error(SCATTER),
        *Field("white", "median value inside strokes, 1 in the truth").with_error(SCATTER),
        *Field("psnr_scaled", "psnr after the best offset and contrast", "dB").with_error(SCATTER),
        *Field("right", "share whose nearest glyph of all, by correlation, is the true one").with_error(
            SCATTER
        ),
        *Field("overlap", "intersection over union of the strokes").with_error(SCATTER),
        *Field("legible", "share of glyphs with an overlap of at least 0.5").with_error(SCATTER),
        Field("synthetic_psnr_scaled", "psnr_scaled of the glyph of five strokes", "dB"),
        Field("synthetic_overlap", "overlap of the glyph of five strokes"),
        Field("synthetic_right", "whether the nearest glyph of all is the synthetic one", dtype=bool),
    ),
    definitions={
        "unit": "black 0, strokes 1: the noisy images, which are rescaled to [0, 1], times 3",
        "contrast": "strokes are pixels with truth above 0.999, outside are those below 0.001",
        "overlap": "strokes are what is above 0.5 after the best offset and contrast for all glyphs, and "
        "above 0.5 in the truth",
        "nearest": "among the clean images of all glyphs of the run and the synthetic one",
    },
    shown=("psnr", "ssim", "contrast", "black", "white", "psnr_scaled", "right", "legible"),
)


def report(outcome: Outcome, folder: Path) -> None:
    """Write measures.ecsv, summary.txt and three figures to `folder`.

    figure-panel.png : eight glyphs, noisy, as each method denoises them, and clean
    figure-convergence.png : loss and error against the truth by epoch
    figure-contrast.png : what black and white pixels become
    """
    images = {name: image * np.float32(SCALE) for name, image in outcome.images.items()}
    glyphs = np.asarray(outcome.data.clean) * np.float32(SCALE)
    rows = [measure(each, glyphs) | {"method": name} for name, each in images.items()]
    notes = [
        f"{row['method']}, five strokes: overlap {row['synthetic_overlap']:.2f}, "
        f"{'right' if row['synthetic_right'] else 'wrong'}"
        for row in rows
    ]
    rows = [row | {"seconds": outcome.seconds(row["method"])} for row in rows]
    MEASURES.write(folder, rows, [*notes, *outcome.notes])
    truth = outcome.clean * np.float32(SCALE)
    panel(images | {"noisy": images["noisy"] / SCALE, "clean": truth}, folder / "figure-panel.png")
    convergence(outcome, glyphs[-outcome.data.followed :], folder / "figure-convergence.png")
    contrast_figure(images, in_strokes(truth), folder / "figure-contrast.png")


def measure(images: Array, glyphs: Array) -> dict[str, Any]:
    """A method's row of the table, without name and time.

    images : (m, y, x), black 0 and strokes 1, of the last m glyphs; the very last is the synthetic one
    glyphs : (n, y, x) clean images of all glyphs
    """
    truth = glyphs[-len(images) :]
    inside, outside = in_strokes(truth)
    scaled = best_scaled(images, truth)
    overlaps = overlap(scaled, truth)
    values = {
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
    font = {name: each[:-1] for name, each in values.items()}
    # a glyph may have no pixel all inside a stroke
    row = columns({name: mean_of(each[~np.isnan(each)]) for name, each in font.items()})
    synthetic = {f"synthetic_{name}": values[name][-1] for name in ("psnr_scaled", "overlap", "right")}
    return row | synthetic | {"glyphs": len(images) - 1}


def panel(images: Mapping[str, Array], path: Path) -> None:
    """The last glyphs, a row for each method."""
    titles = [*map(str, range(PANEL - 1, 0, -1)), "in no font"]
    rows = {name: dict(zip(titles, each[-PANEL:], strict=True)) for name, each in images.items()}
    image_grid(rows, path, "black 0, white 1; of noisy 3", (0, 1))


def convergence(outcome: Outcome, truth: Array, path: Path) -> None:
    """Loss, and rms error of the kept models with the best offset and contrast, by epoch.

    truth : (followed, y, x), black 0 and strokes 1
    """
    losses, errors = {}, {}
    for name, variant in outcome.variants.items():
        losses[name] = loss_curve(variant.losses)
        kept = [best_scaled(image * SCALE, truth) - truth for image in variant.snapshots.values()]
        errors[name] = (
            np.array(list(variant.snapshots)),
            np.array([np.sqrt(np.square(each).mean()) for each in kept]),
        )
    panels = {
        "loss of the training patches (each its own)": losses,
        "rms error, best offset and contrast": errors,
    }
    epoch_curves(panels, path, logarithmic=True)


def contrast_figure(images: Mapping[str, Array], regions: tuple[Array, Array], path: Path) -> None:
    """Distribution of the values inside strokes and outside, with the noise's medians and means.

    images : (n, y, x) of each method
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
            for place, line in zip(((1, 1.125), (0, 0.5))[number], ("-", "--"), strict=True):
                axes.axvline(place, color=colour, linewidth=1.2, linestyle=line)
        axes.set(yscale="log", ylim=(1e-2, 60), ylabel=f"{name}\ndensity")
    panels[0].legend(fontsize=8)
    panels[-1].set_xlabel("value; lines: median (solid) and mean (dashed) of the noisy pixels")
    save_figure(figure, path)
