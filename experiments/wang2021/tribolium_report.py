"""How like the long exposure the maximum projections of a stack become: the table and figure of Fig. 6."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.wang2021.figures import image_grid
from experiments.wang2021.measures import best_scaled, psnr, ssim
from experiments.wang2021.outcome import Outcome
from experiments.wang2021.report import Mean, Measures, columns, mean_of
from skydenoise.evaluate.tables import Field

Array = NDArray[Any]

PIECE = 96
"""Edge of the pieces, pixels, whose scatter gives the standard error of a projection's SSIM."""
PIECES = f"scatter over pieces of about {PIECE} x {PIECE} pixels"
SLICES = "scatter over the slices"
MEASURES = Measures(
    fields=(
        Field("method", "variant or baseline; noisy is the input", dtype=str),
        Field("seconds", "time of training", "s"),
        *Field("ssim", "structural similarity of projections, best scaling").with_error(PIECES),
        *Field("ssim_plain", "the same without any scaling").with_error(PIECES),
        *Field("psnr", "peak signal-to-noise ratio of the slices, best scaling", "dB").with_error(SLICES),
    ),
    definitions={
        "scaling": "the best offset and contrast bring the projection (ssim) or the stack (psnr) closest to "
        "the truth, as Weigert et al. (2018) do",
        "range": "of the truth, from its least value to its 99.9th percentile",
    },
    shown=("ssim", "ssim_plain", "psnr"),
)
PAPER_SSIM = "noisy 0.13, Noise2Void 0.19, variant 0.66, CARE 0.75"
"""What the paper finds on CARE's data set (Fig. 6)."""


def report(outcome: Outcome, folder: Path) -> None:
    """Write measures.ecsv, summary.txt and figure-projection.png to `folder`."""
    rows = [
        columns(measure(stack, outcome.clean)) | {"method": name, "seconds": outcome.seconds(name)}
        for name, stack in outcome.images.items()
    ]
    source = f"data: {outcome.data.notes['source']}; the paper's ssim on CARE's stack: {PAPER_SSIM}"
    MEASURES.write(folder, rows, [source, *outcome.notes])
    projection_figure(outcome.images, outcome.clean, folder / "figure-projection.png")


def measure(stack: Array, clean: Array) -> dict[str, Mean]:
    """SSIM of the maximum projection along z, and PSNR of the slices; stack and clean (z, y, x)."""
    projection, truth = stack.max(axis=0), clean.max(axis=0)
    return {
        "ssim": projection_ssim(best_scaled(projection, truth), truth),
        "ssim_plain": projection_ssim(projection, truth),
        "psnr": mean_of(psnr(best_scaled(stack, clean), clean, brightness(clean))),
    }


def brightness(truth: Array) -> float:
    """Range of the truth: from its least value to the 99.9th percentile, so that no single pixel rules."""
    return float(np.percentile(truth, 99.9) - truth.min())


def projection_ssim(image: Array, truth: Array) -> Mean:
    """SSIM over the whole image (y, x), and its standard error, from the scatter of that of pieces."""
    peak = brightness(truth)
    whole = float(ssim(image[None], truth[None], peak)[0])
    pieces = [ssim(a[None], b[None], peak)[0] for a, b in zip(_pieces(image), _pieces(truth), strict=True)]
    return Mean(whole, mean_of(np.array(pieces)).error)


def _pieces(image: Array) -> list[Array]:
    """Pieces of about equal size that cover an image (y, x)."""
    rows, columns = (max(1, round(length / PIECE)) for length in image.shape)
    strips = np.array_split(image, rows, axis=0)
    return [piece for strip in strips for piece in np.array_split(strip, columns, axis=1)]


def projection_figure(images: Mapping[str, Array], clean: Array, path: Path) -> None:
    """Write a PNG of the maximum projections, whole and a middle part, with the best offset and contrast."""
    truth = clean.max(axis=0)
    shown = {name: best_scaled(stack.max(axis=0), truth) for name, stack in images.items()} | {"truth": truth}
    edge = min(truth.shape) // 3
    y, x = ((length - edge) // 2 for length in truth.shape)
    part = {name: image[y : y + edge, x : x + edge] for name, image in shown.items()}
    low, high = float(truth.min()), float(truth.min()) + brightness(truth)
    caption = "maximum projections along z, offset and contrast fitted to the truth"
    image_grid({"whole": shown, f"{edge} pixels": part}, path, caption, (low, high), "magma")
