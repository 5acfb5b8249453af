"""Give each source that a denoised image shows the flux that its pixels have.

A denoiser shrinks faint sources, and it gives them the colours that it expects. At a place where a source is
known to be, no test of significance is needed: the residual, in units of the noise, is fitted by the source's
own profile w by least squares in a window K around each pixel, and the fit is added, with either sign:

    w K*(w residual) / K*(w^2)

This costs the noise of about one number per source and band, and is unbiased where the profile is right. A
source counts in all bands if one of them shows it: so flux that leaked into a band is taken back.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from skydenoise import starlet
from skydenoise.network.device import to_numpy
from skydenoise.predict.support import in_rows, true_places

THRESHOLD = 4.0
"""Significance, against the noise of the input, of a source in the denoised image. At 3 faint fluxes are less
biased still (0.03 instead of 0.04 mag at S/N 5 to 10), but pure noise shows some."""
SCALE = 2
"""Starlet scale of the search, that of a point source."""
PROFILE = 1
"""Smoothings of a profile: without any, its noise biases bright fluxes; with more it gets too wide."""
WINDOW = 3
"""Smoothings that make the window: 11 pixels FWHM."""
BACKGROUND = 5
"""Smoothings of what lies under a source and is none of its profile; more than those of the search."""
GROWTH = 3
"""Pixels that a source reaches beyond those that show it."""
REACH = starlet.reach(WINDOW) + max(starlet.reach(BACKGROUND), GROWTH + starlet.reach(SCALE + 1))
"""Pixels between one that is changed and the farthest that decides on it."""


@torch.inference_mode()
def fit_fluxes(
    image: np.ndarray,
    denoised: np.ndarray,
    sigma: np.ndarray,
    usable: np.ndarray,
    levels: np.ndarray,
    device: str = "cpu",
) -> None:
    """Fit the fluxes of the sources in the denoised image to `image`, in place.

    image, denoised : (band, y, x) float32, nanomaggies
    sigma : (band, y, x) float32, noise of a pixel of `image`, nanomaggies; above 0 where usable
    usable : (band, y, x) bool; other pixels do not count, and stay as they are
    levels : (band, scales) rms of the starlet coefficients of unit-variance noise; with few scales the
        coarsest takes the place of SCALE
    """
    planes = [torch.from_numpy(each).to(device) for each in (image, denoised, sigma, usable)]
    scale = min(SCALE, levels.shape[1] - 1)
    least = [THRESHOLD * float(level) for level in levels[:, scale]]
    fits = []
    for rows, own in starlet.slabs(image.shape[1], REACH):
        for band, places, value in _fits([each[:, rows] for each in planes], own, scale, least):
            fits.append((band, to_numpy(places + rows.start * image.shape[2]), to_numpy(value)))
    for band, where, fitted in fits:  # now that all is read
        denoised[band].put(where, fitted)


def _fits(
    planes: Sequence[Tensor], own: slice, scale: int, least: Sequence[float]
) -> Iterator[tuple[int, Tensor, Tensor]]:
    """Yield a band, places in the rows `own`, counted along all rows, and the fitted value there.

    planes : (band, y, x) on the device: image, denoised, sigma, usable
    scale, least : starlet scale of the search, and what its coefficients must exceed in each band
    """
    measured, base, noise, good = planes
    source, profile = _sources(torch.where(good, base / noise, 0), scale, least)
    if not source.any():
        return
    near = true_places(_grown(source, GROWTH))
    here = in_rows(near, own, source.shape[1])
    weight, plane = profile.view(-1)[near], torch.empty_like(profile)
    for band, usable in enumerate(good):
        value, known, unit = (each[band].reshape(-1)[near] for each in (measured, base, noise))
        counts = usable.reshape(-1)[near]
        own_weight = weight * counts
        residual = torch.where(counts, (value - known) / unit, 0)
        sums = []
        for each in (own_weight * residual, own_weight.square()):
            plane.zero_().view(-1)[near] = each
            sums.append(_smooth(plane, WINDOW).view(-1)[near])
        fit = torch.where(counts, own_weight * sums[0] / sums[1].clamp_min_(1e-20) * unit, 0)
        yield band, near[here], (known + fit)[here]


def _sources(signal: Tensor, scale: int, least: Sequence[float]) -> tuple[Tensor, Tensor]:
    """Where sources are, (y, x) bool, and their profile, mean of the bands, without what lies under them.

    signal : (band, y, x), in units of the noise
    scale, least : starlet scale of the search, and what its coefficients must exceed in each band
    """
    source = torch.zeros_like(signal[0], dtype=torch.bool)
    fine, coarse = torch.zeros_like(signal[0]), torch.zeros_like(signal[0])
    for band, threshold in zip(signal, least, strict=True):
        planes = [band]
        for each in range(SCALE + 1):
            planes.append(starlet.smooth(planes[-1], 2**each))
        source |= planes[scale] - planes[scale + 1] > threshold
        fine += planes[PROFILE]
        coarse += planes[SCALE + 1]
    fine -= _smooth(coarse, BACKGROUND, first=SCALE + 1)
    return source, fine.div_(len(signal)).clamp_min_(0)


def _grown(mask: Tensor, pixels: int) -> Tensor:
    """The mask (y, x), bool, wider by so many pixels on each side, corners included."""
    for axis in (0, 1):
        grown = mask.clone()
        for step in range(1, min(pixels + 1, mask.shape[axis])):
            rest = mask.shape[axis] - step
            grown.narrow(axis, step, rest).logical_or_(mask.narrow(axis, 0, rest))
            grown.narrow(axis, 0, rest).logical_or_(mask.narrow(axis, step, rest))
        mask = grown
    return mask


def _smooth(image: Tensor, scales: int, first: int = 0) -> Tensor:
    """The smooth plane of `scales` scales of `image` (y, x), of which `first` were taken off before."""
    for scale in range(first, scales):
        image = starlet.smooth(image, 2**scale)
    return image
