"""Before and after: a frame of a stack and the same frame denoised, on one grey scale."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from skydenoise.evaluate.figures.panels import make_panels, save_figure
from skydenoise.stacks.pixels import StackFile
from skydenoise.stacks.stack import open_stack, suffix_of

Array = NDArray[Any]

MOST_CHANNELS = 3
"""Channels that are drawn."""
ZOOM = 4
"""The detail is the middle of the frame, this many times narrower."""
RANGE, WIDER = (0.5, 99.5), 0.25
"""Percentiles of the denoised frame that are black and white, widened by a part of their difference."""
PANEL = 3.4
"""Edge of a panel, inches."""


def draw_stack(file: StackFile, denoised: Path, path: Path) -> None:
    """Draw the middle frame, whole and its centre, raw above denoised; the first channels side by side.

    denoised : stack that `denoise_stack` wrote
    path : PNG file
    """
    with open_stack(file) as before:
        # TIFF and FITS come back with nothing but the stack
        dataset = before.file.dataset if suffix_of(denoised) in (".h5", ".hdf5") else ""
        with open_stack(StackFile(denoised, dataset, before.axes.text)) as after:
            index = len(before) // 2
            figure = _figure({"input": before.read(index), "denoised": after.read(index)})
        figure.suptitle(f"{file.path.name}, frame {index} of {len(before)} (from 0)", fontsize=11)
    save_figure(figure, path)


def _figure(versions: dict[str, Array]) -> Figure:
    channels = min(len(versions["input"]), MOST_CHANNELS)
    size = (2 * channels * PANEL + 0.4, 2 * PANEL + 0.9)
    figure, panels = make_panels(2, 2 * channels, size)
    for row, (name, image) in zip(panels, versions.items(), strict=True):
        row[0].set_ylabel(name, fontsize=11)
        for channel in range(channels):
            low, high = grey_range(versions["denoised"][channel])
            pictures = image[channel], _middle(image[channel])
            for panel, pixels in zip(row[2 * channel :], pictures, strict=False):
                panel.imshow(pixels, cmap="gray", vmin=low, vmax=high, interpolation="nearest")
                panel.set(xticks=[], yticks=[])
    for channel in range(channels):
        panels[0, 2 * channel].set_title(f"channel {channel}, whole frame", fontsize=9)
        panels[0, 2 * channel + 1].set_title(f"centre, {ZOOM} times larger", fontsize=9)
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
    y, x = (slice(m := (size - edge) // 2, m + edge) for size, edge in zip(image.shape, edges, strict=True))
    return image[y, x]
