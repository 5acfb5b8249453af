"""Before and after: a frame of a stack and the same frame denoised, on one grey scale."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from skydenoise.evaluate.figures.panels import save_figure
from skydenoise.stacks.stack import Stack, open_stack
from skydenoise.stacks.table import StackFile

Array = NDArray[Any]

MOST_CHANNELS = 3
"""Channels that are drawn."""
ZOOM = 4
"""The detail is the middle of the frame, this many times narrower."""
RANGE = (0.5, 99.5)
"""Percentiles of the denoised frame that are black and white, widened by WIDER of their difference."""
WIDER = 0.25
PANEL = 3.4
"""Edge of a panel, inches."""


def draw_stack(file: StackFile, denoised: Path, path: Path) -> None:
    """Draw the middle frame, whole and its centre, raw above denoised; the first channels side by side.

    denoised : stack that `denoise_stack` wrote
    path : PNG file
    """
    with (
        open_stack(file.path, dataset=file.dataset, axes=file.axes) as before,
        open_stack(denoised, dataset=_dataset_of_copy(file), axes=before.axes.text) as after,
    ):
        index = before.frames // 2
        versions = {"input": before.read(index), "denoised": after.read(index)}
        figure = _figure(versions, before)
    figure.suptitle(f"{file.path.name}, frame {index} of {before.frames} (from 0)", fontsize=11)
    save_figure(figure, path)


def _dataset_of_copy(file: StackFile) -> str:
    """Name of the array in the denoised file: a TIFF has one series there, a FITS file one image."""
    return file.dataset if file.suffix in (".h5", ".hdf5") else ""


def _figure(versions: dict[str, Array], stack: Stack) -> Figure:
    channels = min(stack.channels, MOST_CHANNELS)
    size = (2 * channels * PANEL + 0.4, 2 * PANEL + 0.9)
    figure = Figure(figsize=size, dpi=110, layout="constrained")
    panels = figure.subplots(2, 2 * channels, squeeze=False)
    for channel in range(channels):
        low, high = grey_range(versions["denoised"][channel])
        for row, (name, image) in zip(panels, versions.items(), strict=True):
            whole, detail = row[2 * channel : 2 * channel + 2]
            _show(whole, image[channel], (low, high))
            _show(detail, _middle(image[channel]), (low, high))
            if channel == 0:
                whole.set_ylabel(name, fontsize=11)
        label = f"channel {channel}, " if stack.channels > 1 else ""
        panels[0][2 * channel].set_title(f"{label}whole frame", fontsize=9)
        panels[0][2 * channel + 1].set_title(f"{label}centre, {ZOOM} times larger", fontsize=9)
    figure.supxlabel("the same grey scale above and below", fontsize=8)
    return figure


def grey_range(image: Array) -> tuple[float, float]:
    """Values shown black and white, so that the denoised image uses most of the scale."""
    finite = image[np.isfinite(image)]
    if finite.size == 0:
        return 0.0, 1.0
    low, high = (float(value) for value in np.percentile(finite, RANGE))
    room = WIDER * (high - low) or 1.0
    return low - room, high + room


def _middle(image: Array) -> Array:
    edges = [max(1, size // ZOOM) for size in image.shape]
    first = [(size - edge) // 2 for size, edge in zip(image.shape, edges, strict=True)]
    return image[first[0] : first[0] + edges[0], first[1] : first[1] + edges[1]]


def _show(panel: Axes, pixels: Array, limits: tuple[float, float]) -> None:
    panel.imshow(pixels, cmap="gray", vmin=limits[0], vmax=limits[1], interpolation="nearest")
    panel.set_xticks([])
    panel.set_yticks([])
