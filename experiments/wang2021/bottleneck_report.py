"""What widths of the bottleneck make of the STEM frames: the table and figures of Fig. 3."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from experiments.wang2021.atoms import candidates, equal_false_threshold, recovery, roughness
from experiments.wang2021.figures import Series, epoch_curves, image_grid, loss_curve
from experiments.wang2021.outcome import Denoised, Outcome
from experiments.wang2021.report import Mean, Measures, columns, mean_of
from experiments.wang2021.settings import StemSettings
from experiments.wang2021.stem import StemFrame, frames_of
from skydenoise.evaluate.tables import Field

Array = NDArray[Any]

FRAMES = "scatter over the frames"
BINOMIAL, POISSON = "binomial, of the number of true atoms", "Poisson, of the number of false ones"
MEASURES = Measures(
    fields=(
        Field("method", "variant; noisy is the input, gaussian the input smoothed by the probe", dtype=str),
        Field("seconds", "time of training", "s"),
        Field("frames", "that are measured", dtype=int),
        *Field("error", "rms error against the truth", "electron").with_error(FRAMES),
        *Field("particles", "the same within the particles", "electron").with_error(FRAMES),
        *Field("roughness", "rms of the fine structure of the empty support", "electron").with_error(FRAMES),
        *Field("found", "lone atoms found at half their true height").with_error(BINOMIAL),
        *Field("false", "false ones per 10^4 pixels of empty support then").with_error(POISSON),
        *Field("found_fair", "lone atoms found with one false one per 10^4 pixels").with_error(BINOMIAL),
        Field("threshold", "height for that", "electron"),
        *Field("epochs", "until half of the way is done; NaN: never").with_error(FRAMES),
    ),
    definitions={
        "roughness": "empty support is four sigmas of the probe from any atom; structure wider than 4 pixels "
        "is taken away",
        "found": "a peak within two sigmas of the probe of an atom, above the mean around it",
        "epochs": "the way is that of the error in the followed frames, from the worst variant's at the "
        "first snapshot to the best one's at the last; between snapshots by a straight line",
    },
    shown=("error", "roughness", "found", "false", "found_fair", "epochs"),
)
SHOWN = (0.2, 0.45)
"""Snapshots shown beside the end, as parts of the training: the paper's epoch 30 of 136, and one halfway."""
ZOOM = 128
"""Edge of what is shown of the middle of a frame, pixels."""


def report(outcome: Outcome, folder: Path) -> None:
    """Write measures.ecsv, summary.txt and two figures to `folder`.

    figure-panel.png : a part of the last frame, noisy, clean, and of each variant early, later and at the end
    figure-convergence.png : loss, error against the truth and roughness of the support by epoch
    """
    settings, frames = outcome.configuration.frames, frames_of(outcome.data)
    images = outcome.images
    smooth = ndimage.gaussian_filter(images["noisy"], (0, settings.probe, settings.probe))
    images = {"noisy": images["noisy"], "gaussian": smooth} | images
    followed = {
        name: by_epoch(each, frames[-outcome.data.followed :], settings)
        for name, each in outcome.variants.items()
    }
    needed = epochs_to_half({name: (epochs, errors) for name, (epochs, errors, _) in followed.items()})
    rows = [
        measure(each, frames, settings)
        | columns({"epochs": needed.get(name, Mean(np.nan, np.nan))})
        | {"method": name, "seconds": outcome.seconds(name)}
        for name, each in images.items()
    ]
    MEASURES.write(folder, rows, outcome.notes)
    panels = {
        "loss of the training patches": {
            name: loss_curve(each.losses) for name, each in outcome.variants.items()
        },
        "rms error against the truth (electrons)": {
            name: _mean_curve(epochs, errors) for name, (epochs, errors, _) in followed.items()
        },
        "roughness of the empty support (electrons)": {
            name: _mean_curve(epochs, rough) for name, (epochs, _, rough) in followed.items()
        },
    }
    epoch_curves(panels, folder / "figure-convergence.png", logarithmic=True)
    panel(outcome, 3 * settings.atom, folder / "figure-panel.png")


def measure(images: Array, frames: Sequence[StemFrame], settings: StemSettings) -> dict[str, Any]:
    """One row of the table without name, times and epochs; images (n, y, x) of the frames."""
    pairs = list(zip(images, frames, strict=True))
    values = {
        "error": [rms(image - frame.clean) for image, frame in pairs],
        "particles": [rms((image - frame.clean)[frame.particles]) for image, frame in pairs],
        "roughness": [roughness(image, frame.empty(settings.probe)) for image, frame in pairs],
    }
    means = {name: mean_of(np.array(each)[np.isfinite(each)]) for name, each in values.items()}
    peaks = [candidates(image, frame, settings) for image, frame in pairs]
    threshold = equal_false_threshold(peaks)
    means["found"], means["false"] = recovery(peaks, settings.atom / 2)
    means["found_fair"], _ = recovery(peaks, threshold)
    return columns(means) | {"frames": len(frames), "threshold": threshold}


def rms(values: Array) -> float:
    """Root mean square; NaN of nothing."""
    return float(np.sqrt(np.mean(np.square(values, dtype=float)))) if values.size else float("nan")


def by_epoch(
    variant: Denoised, frames: Sequence[StemFrame], settings: StemSettings
) -> tuple[Array, Array, Array]:
    """Epochs of the snapshots; error and roughness of the support, (epoch, frame) each."""
    epochs = np.array(sorted(variant.snapshots), dtype=int)
    empty = [frame.empty(settings.probe) for frame in frames]
    errors, rough = np.empty((2, len(epochs), len(frames)))
    for line, epoch in enumerate(epochs):
        for column, (frame, image) in enumerate(zip(frames, variant.snapshots[epoch], strict=True)):
            errors[line, column] = rms(image - frame.clean)
            rough[line, column] = roughness(image, empty[column])
    return epochs, errors, rough


def epochs_to_half(curves: Mapping[str, tuple[Array, Array]]) -> dict[str, Mean]:
    """Epochs until half of the way is done: mean over frames; NaN if it never is.

    The way is that of the error from the worst variant's at the first snapshot to the best one's at the last.

    curves : epochs, and errors as (epoch, frame), of each variant; what rises again does not count
    """
    if not all(len(epochs) for epochs, _ in curves.values()):
        return {}
    start = np.max([errors[0] for _, errors in curves.values()], axis=0)  # (frame,)
    level = (start + np.min([errors[-1] for _, errors in curves.values()], axis=0)) / 2
    needed = {}
    for name, (epochs, errors) in curves.items():
        lowest = np.minimum.accumulate(errors, axis=0)
        reached = [
            np.interp(-half, -column, epochs) if column[-1] <= half else np.nan
            for half, column in zip(level, lowest.T, strict=True)
        ]
        needed[name] = mean_of(np.array(reached))
    return needed


def _mean_curve(epochs: Array, values: Array) -> Series:
    means = [mean_of(each) for each in values]
    errors = np.nan_to_num([mean.error for mean in means])
    return epochs, np.array([mean.value for mean in means]), errors


def panel(outcome: Outcome, white: float, path: Path) -> None:
    """The middle of the last frame, and how each variant denoises it early and late."""
    images = {"noisy": outcome.images["noisy"][-1], "clean": outcome.clean[-1]}
    rows: dict[str, dict[str, Array]] = {"data": images}
    for name, variant in outcome.variants.items():
        epochs = sorted(variant.snapshots)
        early = sorted({epochs[round(share * (len(epochs) - 1))] for share in SHOWN} if epochs else ())
        rows[name] = {f"epoch {epoch}": variant.snapshots[epoch][-1] for epoch in early}
        rows[name] |= {"end": variant.image[-1]}
    first = max(0, (len(images["clean"]) - ZOOM) // 2)
    middle = slice(first, first + ZOOM)
    cut = {name: {title: each[middle, middle] for title, each in row.items()} for name, row in rows.items()}
    image_grid(cut, path, f"electrons per pixel: black 0, white {white:g}", (0, white))
