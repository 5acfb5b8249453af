"""How like the long exposure the maximum projections of a stack become: the table and figure of Fig. 6."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

from experiments.wang2021.experiment import Outcome
from experiments.wang2021.figures import Scaling, image_grid
from experiments.wang2021.measures import Mean, best_scaled, mean_of, psnr, ssim
from experiments.wang2021.settings import TriboliumSettings
from skydenoise.evaluate.tables import Field, make_table, write_table
from skydenoise.io.atomic import write_text

Array = NDArray[Any]

PIECE = 96
"""Edge of the pieces, pixels, whose scatter gives the standard error of a projection's SSIM."""
PIECES = f"scatter over pieces of about {PIECE} x {PIECE} pixels"
SLICES = "scatter over the slices"
FIELDS = (
    Field("method", "variant or peer; noisy is the input", dtype=str),
    Field("seconds", "time of training", "s"),
    *Field("ssim", "structural similarity of projections, best scaling").with_error(PIECES),
    *Field("ssim_plain", "the same without any scaling").with_error(PIECES),
    *Field("psnr", "peak signal-to-noise ratio of the slices, best scaling", "dB").with_error(SLICES),
)
DEFINITIONS = {
    "scaling": "the best offset and contrast bring the projection (ssim) or the stack (psnr) closest to the "
    "truth, as Weigert et al. (2018) do",
    "range": "of the truth, from its least value to its 99.9th percentile",
}
PAPER_SSIM = {"noisy": 0.13, "Noise2Void": 0.19, "variant": 0.66, "CARE": 0.75}
"""What the paper finds on CARE's data set (Fig. 6)."""


def report(outcome: Outcome, settings: TriboliumSettings, folder: Path) -> None:
    """Write measures.ecsv, summary.txt and figure-projection.png to `folder`."""
    clean = np.asarray(outcome.data.clean[:, 0])
    images = {"noisy": np.asarray(outcome.data.noisy[:, 0])}
    images |= {name: np.asarray(each.image[:, 0]) for name, each in outcome.all.items()}
    seconds = {name: each.seconds for name, each in outcome.all.items()}
    rows = [
        {"method": name, "seconds": seconds.get(name, 0.0)} | measure(each, clean)
        for name, each in images.items()
    ]
    table = make_table(FIELDS, rows, DEFINITIONS)
    write_table(folder / "measures.ecsv", table)
    write_text(folder / "summary.txt", summary(table, outcome))
    projection_figure(images, clean, folder / "figure-projection.png")


def measure(stack: Array, clean: Array) -> dict[str, float]:
    """SSIM of the maximum projection along z, and PSNR of the slices; stack and clean (z, y, x)."""
    projection, truth = stack.max(axis=0), clean.max(axis=0)
    plain = projection_ssim(projection, truth)
    scaled = projection_ssim(best_scaled(projection, truth), truth)
    bright = psnr(best_scaled(stack, clean)[:, None], clean[:, None], brightness(clean))
    row: dict[str, float] = {}
    for name, mean in {"ssim": scaled, "ssim_plain": plain, "psnr": mean_of(bright)}.items():
        row |= {name: mean.value, f"{name}_err": mean.error}
    return row


def brightness(truth: Array) -> float:
    """Range of the truth: from its least value to the 99.9th percentile, so that no single pixel rules."""
    return float(np.percentile(truth, 99.9) - truth.min())


def projection_ssim(image: Array, truth: Array) -> Mean:
    """SSIM over the whole image (y, x), and its standard error, from the scatter of that of pieces."""
    peak = brightness(truth)
    whole = float(ssim(image[None, None], truth[None, None], peak)[0])
    pieces = [
        ssim(a[None, None], b[None, None], peak)[0]
        for a, b in zip(_pieces(image), _pieces(truth), strict=True)
    ]
    return Mean(whole, mean_of(np.array(pieces)).error)


def _pieces(image: Array) -> list[Array]:
    """Pieces of about equal size that cover an image (y, x)."""
    rows, columns = (max(1, round(length / PIECE)) for length in image.shape)
    return [
        piece
        for strip in np.array_split(image, rows, axis=0)
        for piece in np.array_split(strip, columns, axis=1)
    ]


def projection_figure(images: Mapping[str, Array], clean: Array, path: Path) -> None:
    """Write a PNG of the maximum projections, whole and a part, with the best offset and contrast."""
    truth = clean.max(axis=0)
    shown = {name: best_scaled(stack.max(axis=0), truth) for name, stack in images.items()} | {"truth": truth}
    edge = min(truth.shape) // 3
    y, x = densest(truth, edge)
    rows = {
        "whole": shown,
        f"{edge} pixels": {name: image[y : y + edge, x : x + edge] for name, image in shown.items()},
    }
    low = float(truth.min())
    caption = "maximum projections along z, offset and contrast fitted to the truth"
    image_grid(rows, Scaling(low, low + brightness(truth), "magma"), path, caption)


def densest(truth: Array, edge: int) -> tuple[int, int]:
    """First corner of the square with the most structure, on a coarse grid."""
    step = max(1, edge // 2)
    corners = [
        (y, x)
        for y in range(0, truth.shape[0] - edge + 1, step)
        for x in range(0, truth.shape[1] - edge + 1, step)
    ]
    return max(corners, key=lambda corner: truth[corner[0] :, corner[1] :][:edge, :edge].std())


def summary(table: Table, outcome: Outcome) -> str:
    """The table for a person at a terminal, what the paper found, and the notes."""
    shown = ("ssim", "ssim_plain", "psnr")
    lines = [f"{'method':<14}" + "".join(f"{name:>18}" for name in shown)]
    for row in table:
        numbers = "".join(f"{row[name]:>9.3f} +- {row[f'{name}_err']:<5.3f}" for name in shown)
        lines.append(f"{row['method']:<14}{numbers}")
    paper = ", ".join(f"{name} {value}" for name, value in PAPER_SSIM.items())
    lines.append(f"data: {outcome.data.notes['source']}; the paper's ssim on CARE's stack: {paper}")
    return "\n".join([*lines, *outcome.notes]) + "\n"
