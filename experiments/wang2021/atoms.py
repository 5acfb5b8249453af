"""What a denoiser does to a STEM frame: error against the truth, smoothness of the support, lone atoms."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from experiments.wang2021.report import Mean
from experiments.wang2021.settings import StemSettings
from experiments.wang2021.spots import matched, peaks
from experiments.wang2021.stem import CLEARANCE, StemFrame, far_from

Image = NDArray[Any]

WAVE = 4.0
"""Sigma (pixels) of the Gaussian that separates roughness from the slow changes of the support."""
LOCAL = 8.0
"""Sigma (pixels) of the Gaussian that gives the local background of an atom."""
FALSE_DENSITY = 1e-4
"""False atoms per pixel of empty support at which recoveries are compared: one in 100 x 100 pixels."""


def smoothed(image: Image, where: NDArray[np.bool_], sigma: float) -> NDArray[np.float64]:
    """Gaussian mean of the pixels in `where` alone, (y, x); 0 where none is near."""
    weight = ndimage.gaussian_filter(where.astype(float), sigma, mode="reflect")
    values = ndimage.gaussian_filter(np.where(where, image, 0).astype(float), sigma, mode="reflect")
    return np.asarray(np.where(weight > 1e-6, values / np.maximum(weight, 1e-6), 0))


def roughness(image: Image, empty: NDArray[np.bool_]) -> float:
    """Rms of the fine structure of the empty support, in the image's unit; NaN if no pixel is empty.

    Structure wider than `WAVE` is taken away first, so the true, slow ripple of a support does not count.

    image : (y, x)
    empty : (y, x) bool
    """
    if not empty.any():
        return float("nan")
    return float(np.std((image - smoothed(image, empty, WAVE))[empty]))


@dataclass(frozen=True, eq=False)
class Candidates:
    """Peaks of one frame that may be lone atoms, the highest first.

    heights : (n,) above the local background, electrons
    positions : (n, 2) as (y, x)
    true : (m, 2) positions of the lone atoms there are
    area : pixels that were searched and have no atom
    radius : pixels within which a peak counts as the atom
    """

    heights: NDArray[np.float64]
    positions: NDArray[np.float64]
    true: NDArray[np.float64]
    area: int
    radius: float

    def counts(self, threshold: float) -> tuple[int, int]:
        """Atoms found and false ones among the peaks of at least this height."""
        chosen = self.positions[self.heights >= threshold]
        found, close = matched(chosen, self.true, self.radius)
        return found, int(np.count_nonzero(~close))

    @property
    def false_heights(self) -> NDArray[np.float64]:
        """Heights of the peaks that are at no atom."""
        return self.heights[~matched(self.positions, self.true, self.radius)[1]]


def candidates(image: Image, frame: StemFrame, settings: StemSettings) -> Candidates:
    """Peaks outside the particles of one denoised frame (y, x), electrons."""
    probe = settings.probe
    free = far_from(frame.particles, CLEARANCE * probe)
    contrast = image - smoothed(image, ~frame.particles, LOCAL)
    positions, heights = peaks(contrast, free, int(np.ceil(1.5 * probe)))
    area = int(np.count_nonzero(frame.empty(probe) & free))
    return Candidates(heights, positions, frame.atoms, area, 2 * probe)


def recovery(frames: Sequence[Candidates], threshold: float) -> tuple[Mean, Mean]:
    """Lone atoms found in many frames, at one threshold (electrons above the local background).

    Returns the fraction of the true ones found, with its binomial standard error, and the false ones per
    10^4 pixels of empty support, with that of a Poisson number. Needs at least one true atom and one empty
    pixel in all frames together.
    """
    found, false = np.sum([frame.counts(threshold) for frame in frames], axis=0)
    true, area = sum(len(frame.true) for frame in frames), sum(frame.area for frame in frames)
    # (found + 1) / (true + 2): an error of 0 would be too bold when all or none are found
    smooth = (found + 1) / (true + 2)
    error = np.sqrt(smooth * (1 - smooth) / true)
    per = 1e4 / area
    return Mean(found / true, error), Mean(false * per, max(false, 1) ** 0.5 * per)


def equal_false_threshold(frames: Sequence[Candidates]) -> float:
    """Threshold at which all frames together have `FALSE_DENSITY` false atoms per empty pixel."""
    heights = np.sort(np.concatenate([frame.false_heights for frame in frames]))[::-1]
    allowed = int(FALSE_DENSITY * sum(frame.area for frame in frames))
    if len(heights) <= allowed:
        return 0.0
    return float(np.nextafter(heights[allowed], np.inf))
