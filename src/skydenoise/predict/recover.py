"""Put back what the network missed but the pixels prove.

Where: the residual (image - network) is searched at every starlet scale for coefficients that its measured,
correlated noise does not explain (the multiresolution support of Starck, Murtagh & Bijaoui 1995,
"Multiresolution support applied to image filtering and restoration"). A region starts from a seed above a
high threshold, in one band or in the sum of all bands, and grows to its neighbours above a lower one.
Negative rings that the filter makes around a positive source are told from true holes by the sign of the
smoothed residual, and left out of the footprint. Holes count only where the network's image is brighter than
the noise: the sky has no dark pits, but a network can give too much light.

What: adding up detail coefficients would leave a moat around each source, because each detail plane sums to
zero. Instead each pixel of the footprint spreads its residual with the smoothing kernel of the finest scale
that is significant there: sharp where the pixels prove sharpness, smooth elsewhere. The kernels sum to one,
so the flux of the footprint is kept; a second pass on what is left after the first returns the part that was
spread out of the footprint. All of this is linear in flux once it is known which scale each pixel has.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from skydenoise import starlet
from skydenoise.config import RecoverSettings
from skydenoise.network.device import to_numpy

_PASSES = 2
"""Passes of restoration; a third adds more noise than it mends."""

_SHARP = 4.0
"""Sigma of a pixel above which what a pass leaves is put back as it is; 3 adds noise, 5 leaves flat cores."""

_NO_NOISE = 1e-30
"""Nanomaggies; in place of 0, where there is no data and the residual is 0, too."""

_ROUNDING = 1 - 1e-5
"""Of a squared threshold, so that comparing squares in float32 misses no pixel above it.

Below a noise of 1e-19, in whatever unit images have, squares of coefficients lose digits.
"""


@torch.inference_mode()
def recover(
    image: np.ndarray,
    network: np.ndarray,
    sigma: np.ndarray,
    usable: np.ndarray,
    levels: np.ndarray,
    settings: RecoverSettings,
    device: str = "cpu",
) -> tuple[np.ndarray, np.ndarray]:
    """Add the significant part of (image - network) to the network's image.

    image, network : (band, y, x) float32, nanomaggies
    sigma : (band, y, x) float32, noise of a pixel of `image`, nanomaggies; 0 where there is no data
    usable : (band, y, x) bool; other pixels count as residual 0, never matter and keep the network's value
    levels : (band, scales) rms of the starlet coefficients of unit-variance noise (`noise.levels`)
    settings : scales and thresholds
    device : where to do it; regions are reached from their seeds on the CPU

    Returns (restored (band, y, x) float32 nanomaggies, recovered (band, y, x) bool: True exactly where
    restored differs from network). Raises ValueError if shapes disagree or a level is not positive.
    """
    shapes = {image.shape, network.shape, sigma.shape, usable.shape}
    if len(shapes) != 1 or image.ndim != 3:
        raise ValueError(
            f"image, network, sigma and usable have shapes {sorted(shapes)}, not one (band, y, x)"
        )
    if levels.shape[0] != image.shape[0] or levels.shape[1] < settings.scales or not np.all(levels > 0):
        raise ValueError(
            f"noise levels {levels.tolist()} for {image.shape[0]} bands, {settings.scales} scales"
        )
    if not settings.enabled:
        return network.astype(np.float32), np.zeros(image.shape, bool)
    unusable = torch.from_numpy(~usable).to(device)
    measured = torch.as_tensor(image, dtype=torch.float32, device=device)
    base = torch.as_tensor(network, dtype=torch.float32, device=device)
    noise = torch.as_tensor(sigma, dtype=torch.float32, device=device)
    residual = (measured - base).masked_fill_(unusable, 0)
    bright = base > noise
    finest = find_support(residual, noise.square().masked_fill_(unusable, 0), bright, levels, settings)
    del residual, bright
    finest.masked_fill_(unusable, settings.scales)
    restored, scratch = base.clone(), base.new_empty((2, *base.shape[1:]))
    for band, support in enumerate(finest):
        places = _true(support < settings.scales)
        if len(places):
            scale = support.view(-1)[places]
            value, denoised, rms = (each[band].reshape(-1)[places] for each in (measured, base, noise))
            put_back = _restore(value - denoised, _SHARP * rms, places, scale, scratch)
            restored[band].view(-1)[places] += put_back
    return to_numpy(restored), to_numpy(restored != base)


def find_support(
    residual: Tensor, variance: Tensor, bright: Tensor, levels: np.ndarray, settings: RecoverSettings
) -> Tensor:
    """Find where the residual is significant, and how finely.

    residual, variance : (band, y, x) float32, nanomaggies and their square; both 0 where unusable; both are
        overwritten, which saves memory and, more than that, the time in which the system clears new pages
    bright : (band, y, x) bool: where a negative residual counts
    levels : (band, scales)

    Returns (band, y, x) uint8: the finest significant scale of a pixel of the footprint, settings.scales
    elsewhere.
    """
    finest = torch.full_like(residual, settings.scales, dtype=torch.uint8)
    footprint = torch.zeros_like(residual, dtype=torch.bool)
    fine, coarse = list(residual), list(torch.empty_like(residual))
    variances, spare = list(variance), torch.empty_like(variance[0])
    for scale, threshold in enumerate(settings.threshold):
        planes, candidates = [], []
        for band, level in enumerate(levels[:, scale]):
            plane = Plane(fine[band], coarse[band], spare, float(level))
            candidates.append(find_candidates(plane, variances[band], 2**scale, settings.growth))
            planes.append(plane)
            spare, variances[band] = variances[band], spare
        for band, found in enumerate(candidates):
            places, value = _regions(band, found, planes, threshold, settings.growth)
            possible = (value > 0) | bright[band].view(-1)[places]
            places, value = places[possible], value[possible]
            unset = places[finest[band].view(-1)[places] == settings.scales]
            finest[band].view(-1)[unset] = scale
            smooth = fine[band].view(-1)[places]
            least = settings.growth * planes[band].noise(places)
            source = (smooth.abs() > least) & ((smooth > 0) == (value > 0))  # not a ring of the filter
            footprint[band].view(-1)[places[source]] = True
        fine, coarse = coarse, fine  # the next scale overwrites what this one has used
    return finest.masked_fill_(~footprint, settings.scales)


@dataclass(frozen=True, eq=False)
class Plane:
    """Coefficients of a band at one scale, fine - coarse, and their noise; arrays are (y, x) float32.

    variance : the pixels' own, smoothed as `coarse` is
    level : rms of the coefficients of unit-variance noise

    `places` are pixels, counted along the rows; what is found there has their shape.
    """

    fine: Tensor
    coarse: Tensor
    variance: Tensor
    level: float

    def noise(self, places: Tensor) -> Tensor:
        """Rms noise of the coefficients, nanomaggies."""
        return self.variance.view(-1)[places].sqrt_().mul_(self.level).clamp_min_(_NO_NOISE)

    def significance(self, places: Tensor) -> Tensor:
        """Coefficients in units of their noise."""
        return (self.fine.view(-1)[places] - self.coarse.view(-1)[places]).div_(self.noise(places))


def find_candidates(plane: Plane, variance: Tensor, step: int, growth: float) -> Tensor:
    """Places, int64 (n,) along the rows, of all pixels whose significance exceeds `growth`, and of a few that
    just do not.

    variance : (y, x) of the pixels' values, as it was smoothed for the scale before

    Fills plane.coarse and plane.variance by smoothing, and compares strip by strip, while the numbers are in
    a CPU's caches, and squares, which needs no root: a few pixels in a thousand are candidates.
    """
    smoothing = starlet.smoothing(plane.fine, step, plane.coarse)
    alongside = starlet.smoothing(variance, step, plane.variance)
    places = []
    for rows, _ in zip(smoothing, alongside, strict=True):
        square = (plane.fine[rows] - plane.coarse[rows]).square_()
        found = square > plane.variance[rows] * ((growth * plane.level) ** 2 * _ROUNDING)
        places.append(_true(found) + rows.start * found.shape[1])
    return torch.cat(places)


def _regions(
    band: int, places: Tensor, planes: Sequence[Plane], threshold: float, growth: float
) -> tuple[Tensor, Tensor]:
    """Those of a band's candidates that lie in a region with a seed: places, and significance in this band.

    planes : of all bands, whose sum may be what makes a seed
    """
    values = torch.stack([plane.significance(places) for plane in planes])
    chosen = values[band].abs() > growth
    places, values = places[chosen], values[:, chosen]
    seeds = values.sum(0).abs_() > threshold * len(values) ** 0.5
    seeds |= values[band].abs() > threshold
    region = reached(to_numpy(places), to_numpy(seeds), planes[band].fine.shape)
    held = torch.from_numpy(region).to(places.device)
    return places[held], values[band, held]


def _true(mask: Tensor) -> Tensor:
    """Places of its pixels that are True, counted along the rows."""
    if mask.is_cuda:
        return mask.view(-1).nonzero()[:, 0]
    return torch.from_numpy(np.flatnonzero(mask.numpy()))  # where few are, six times as fast as torch


def reached(places: np.ndarray, seeds: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """Which places lie in a region (8-connected) that holds a seed: (n,) bool.

    places : (n,) pixels of an image of this shape (y, x), counted along the rows
    seeds : (n,) bool

    From the seeds step by step to their neighbours: what holds no seed, and that is most, takes no time.
    """
    height, width = shape[0] + 2, shape[1] + 2  # with a border that is never reached
    bordered = places + (places // shape[1] * 2 + width + 1)
    free = np.zeros(height * width, bool)
    free[bordered] = True
    front = bordered[seeds]
    free[front] = False
    while front.size:
        fronts = []
        for step in (-width - 1, -width, 1 - width, -1, 1, width - 1, width, width + 1):
            near = front + step
            near = near[free[near]]
            free[near] = False
            fronts.append(near)
        front = np.concatenate(fronts)
    return ~free[bordered]


def _restore(wanted: Tensor, sharp: Tensor, places: Tensor, scale: Tensor, scratch: Tensor) -> Tensor:
    """Spread the residual of each pixel of the footprint by the kernel of its scale.

    wanted, scale : residual, and finest significant scale, of the pixels at `places` (counted along the rows)
    sharp : what a pass leaves above this is put back as it is
    scratch : (2, y, x) float32 to work in

    Returns what the pixels at `places` get. `scale` is refined: on a steep flank the fine coefficients cross
    zero and miss that detail was spread too widely.
    """
    restored = torch.zeros_like(wanted)
    for _ in range(_PASSES):
        left = wanted - restored
        spread, spare = scratch
        spread.zero_()
        for each in range(int(scale.max()), -1, -1):
            chosen = scale == each
            spread.view(-1)[places[chosen]] += left[chosen]
            if each > 0:
                spread, spare = starlet.smooth(spread, 2 ** (each - 1), out=spare), spread
        restored += spread.view(-1)[places]
        scale.masked_fill_((wanted - restored).abs_() > sharp, 0)
    return restored
