"""What widths of the bottleneck make of the STEM frames: the table and figures of Fig. 3."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray
from scipy import ndimage

from experiments.wang2021.atoms import candidates, equal_false_threshold, recovery, roughness
from experiments.wang2021.experiment import Denoised, Outcome
from experiments.wang2021.figures import Curve, Scaling, epoch_curves, image_grid
from experiments.wang2021.measures import mean_of
from experiments.wang2021.settings import StemSettings
from experiments.wang2021.stem import StemFrame, frames_of
from skydenoise.evaluate.tables import Field, make_table, write_table
from skydenoise.io.atomic import write_text

Array = NDArray[Any]

FRAMES = "scatter over the frames"
BINOMIAL, POISSON = "binomial, of the number of true atoms", "Poisson, of the number of false ones"
FIELDS = (
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
)
DEFINITIONS = {
    "roughness": "empty support is four sigmas of the probe from any atom; structure wider than 4 pixels is "
    "taken away",
    "found": "a peak within two sigmas of the probe of an atom, above the mean around it",
    "epochs": "the way is that of the error in the followed frames, from the worst variant's at the first "
    "snapshot to the best one's at the last; between snapshots by a straight line",
}
SHOWN = (0.2, 0.45)
"""Snapshots shown beside the end, as parts of the training: the paper's epoch 30 of 136, and one halfway."""
ZOOM = 128
"""Edge of what is shown of a frame, pixels."""


def report(outcome: Outcome, settings: StemSettings, folder: Path) -> None:
    """Write measures.ecsv, summary.txt and two figures to `folder`.

    figure-panel.png : a part of the last frame, noisy, clean, and of each variant early, later and at the end
    figure-convergence.png : loss, error against the truth and roughness of the support by epoch
    """
    frames = frames_of(outcome.data)
    noisy = np.asarray(outcome.data.noisy[-len(frames) :, 0])
    images: dict[str, Array] = {
        "noisy": noisy,
        "gaussian": ndimage.gaussian_filter(noisy, (0, settings.probe, settings.probe)),
    }
    images |= {name: each.image[:, 0] for name, each in outcome.all.items()}
    followed = frames[len(frames) - outcome.data.followed :]
    errors = {name: by_epoch(each, followed, settings)[0] for name, each in outcome.variants.items()}
    rows = [measure(name, each, frames, settings) for name, each in images.items()]
    needed = epochs_to_half(errors)
    for row in rows:
        name = row["method"]
        row["seconds"] = outcome.all[name].seconds if name in outcome.all else 0.0
        row["epochs"], row["epochs_err"] = needed.get(name, (np.nan, np.nan))
    table = make_table(FIELDS, rows, DEFINITIONS)
    write_table(folder / "measures.ecsv", table)
    write_text(folder / "summary.txt", summary(table, outcome.notes))
    convergence(outcome, followed, settings, folder / "figure-convergence.png")
    panel(outcome, settings, folder / "figure-panel.png")


def measure(
    method: str, images: Array, frames: Sequence[StemFrame], settings: StemSettings
) -> dict[str, Any]:
    """One row of the table without times; images (n, y, x) of the frames."""
    pairs = list(zip(images, frames, strict=True))
    values = {
        "error": [rms(image - frame.clean) for image, frame in pairs],
        "particles": [rms((image - frame.clean)[frame.particles]) for image, frame in pairs],
        "roughness": [roughness(image, frame.empty(settings.probe)) for image, frame in pairs],
    }
    row: dict[str, Any] = {"method": method, "frames": len(frames)}
    for name, each in values.items():
        mean = mean_of(np.array(each)[np.isfinite(each)])
        row |= {name: mean.value, f"{name}_err": mean.error}
    peaks = [candidates(image, frame, settings) for image, frame in pairs]
    half = recovery(peaks, settings.atom / 2)
    fair = recovery(peaks, equal_false_threshold(peaks))
    row |= {"found": half.fraction, "found_err": half.fraction_error}
    row |= {"false": half.false, "false_err": half.false_error}
    row |= {"found_fair": fair.fraction, "found_fair_err": fair.fraction_error, "threshold": fair.threshold}
    return row


def rms(values: Array) -> float:
    """Root mean square; NaN of nothing."""
    return float(np.sqrt(np.mean(np.square(values, dtype=float)))) if values.size else float("nan")


def by_epoch(variant: Denoised, frames: Sequence[StemFrame], settings: StemSettings) -> tuple[Curve, Curve]:
    """Error against the truth and roughness of the support at each snapshot, (epoch, frame) values."""
    epochs = np.array(sorted(variant.snapshots), dtype=int)
    empty = [frame.empty(settings.probe) for frame in frames]
    errors, rough = np.empty((2, len(epochs), len(frames)))
    for line, epoch in enumerate(epochs):
        for column, (frame, image) in enumerate(zip(frames, variant.snapshots[epoch][:, 0], strict=True)):
            errors[line, column] = rms(image - frame.clean)
            rough[line, column] = roughness(image, empty[column])
    return Curve(epochs, errors), Curve(epochs, rough)


def epochs_to_half(errors: Mapping[str, Curve]) -> dict[str, tuple[float, float]]:
    """Epochs until half of the way is done: mean over frames and standard error; NaN if it never is.

    The way is that of the error from the worst variant's at the first snapshot to the best one's at the last.

    errors : (epoch, frame) values of each variant; what rises again does not count
    """
    if not all(len(curve.epochs) for curve in errors.values()):
        return {}
    start = np.max([curve.values[0] for curve in errors.values()], axis=0)  # (frame,)
    level = (start + np.min([curve.values[-1] for curve in errors.values()], axis=0)) / 2
    needed = {}
    for name, curve in errors.items():
        lowest = np.minimum.accumulate(curve.values, axis=0)
        epochs = [
            np.interp(-half, -column, curve.epochs) if column[-1] <= half else np.nan
            for half, column in zip(level, lowest.T, strict=True)
        ]
        mean = mean_of(np.array(epochs))
        needed[name] = (mean.value, mean.error)
    return needed


def convergence(outcome: Outcome, frames: Sequence[StemFrame], settings: StemSettings, path: Path) -> None:
    """Loss, error and roughness by epoch."""
    panels: dict[str, dict[str, Curve]] = {
        "loss of the training patches": {},
        "rms error against the truth (electrons)": {},
        "roughness of the empty support (electrons)": {},
    }
    for name, variant in outcome.variants.items():
        losses = Curve(
            np.array([row.epoch for row in variant.curve]), np.array([row.loss for row in variant.curve])
        )
        curves = [_mean_curve(curve) for curve in by_epoch(variant, frames, settings)]
        for series, curve in zip(panels.values(), (losses, *curves), strict=True):
            series[name] = curve
    epoch_curves(panels, path, logarithmic=True)


def _mean_curve(curve: Curve) -> Curve:
    means = [mean_of(values) for values in curve.values]
    errors = np.nan_to_num([mean.error for mean in means])
    return Curve(curve.epochs, np.array([mean.value for mean in means]), errors)


def panel(outcome: Outcome, settings: StemSettings, path: Path) -> None:
    """A part of the last frame at the edge of a particle, and how each variant restores it early and late."""
    frame = frames_of(outcome.data)[-1]
    window = interesting(frame, min(ZOOM, settings.size))
    rows: dict[str, dict[str, Array]] = {
        "data": {"noisy": outcome.data.noisy[-1, 0][window], "clean": frame.clean[window]}
    }
    for name, variant in outcome.variants.items():
        epochs = sorted(variant.snapshots)
        early = sorted({epochs[round(share * (len(epochs) - 1))] for share in SHOWN} if epochs else ())
        images = {f"epoch {epoch}": variant.snapshots[epoch][-1, 0][window] for epoch in early}
        rows[name] = images | {"end": variant.image[-1, 0][window]}
    high = 3 * settings.atom
    image_grid(rows, Scaling(0, high), path, f"electrons per pixel: black 0, white {high:g}")


def interesting(frame: StemFrame, edge: int) -> tuple[slice, slice]:
    """Square window with the most lone atoms of those that a particle fills to a quarter or so."""
    best, score = (0, 0), -np.inf
    for y in range(0, frame.clean.shape[0] - edge + 1, max(1, edge // 4)):
        for x in range(0, frame.clean.shape[1] - edge + 1, max(1, edge // 4)):
            inside = np.all((frame.atoms >= (y, x)) & (frame.atoms < (y + edge, x + edge)), axis=1)
            filled = frame.particles[y : y + edge, x : x + edge].mean()
            value = np.count_nonzero(inside) - 40 * abs(filled - 0.3)
            if value > score:
                best, score = (y, x), value
    return slice(best[0], best[0] + edge), slice(best[1], best[1] + edge)


def summary(table: Table, notes: tuple[str, ...]) -> str:
    """The table for a person at a terminal, and the notes below."""
    shown = ("error", "roughness", "found", "false", "found_fair", "epochs")
    lines = [f"{'method':<14}" + "".join(f"{name:>18}" for name in shown)]
    for row in table:
        numbers = (
            "-" if np.isnan(row[name]) else f"{row[name]:.3f} +- {row[f'{name}_err']:.3f}" for name in shown
        )
        lines.append(f"{row['method']:<14}" + "".join(f"{number:>18}" for number in numbers))
    return "\n".join([*lines, *notes]) + "\n"
