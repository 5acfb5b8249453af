"""Put back what the network missed but the pixels prove.

Where: the residual (image - network) is searched at every starlet scale for coefficients that its measured,
correlated noise does not explain (the multiresolution support of Starck, Murtagh & Bijaoui 1995,
"Multiresolution support applied to image filtering and restoration"). A region starts from a seed above a
high threshold, in one band or in the sum of all bands, and grows to its neighbours above a lower one.
Negative rings that the filter makes around a positive source are told from true holes by the sign of the
smoothed residual, and left out of the footprint.

What: adding up detail coefficients would leave a moat around each source, because each detail plane sums to
zero. Instead each pixel of the footprint spreads its residual with the smoothing kernel of the finest scale
that is significant there: sharp where the pixels prove sharpness, smooth elsewhere. The kernels sum to one,
so the flux of the footprint is kept; a second pass on what is left after the first returns the part that was
spread out of the footprint. All of this is linear in flux once it is known which scale each pixel has.
"""

from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor
from torch.nn import functional

from skydenoise import starlet
from skydenoise.device import to_numpy
from skydenoise.settings import RecoverSettings

_PASSES = 2
"""Passes of restoration; a third adds more noise than it mends."""

_SHARP = 4.0
"""Sigma of a pixel above which what a pass leaves is put back as it is; 3 adds noise, 5 leaves flat cores."""

_GROWTH_STEPS = 8
"""Pixels that regions grow by before it is asked whether they still grow."""

_NO_NOISE = 1e-30
"""Nanomaggies; in place of 0, where there is no data and the residual is 0, too."""


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
    device : where to do it

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
    finest = find_support(residual, noise.square().masked_fill_(unusable, 0), levels, settings)
    del residual
    finest.masked_fill_(unusable, settings.scales)
    restored, scratch = base.clone(), base.new_empty((2, *base.shape[1:]))
    for band, support in enumerate(finest):
        places = (support.view(-1) < settings.scales).nonzero()[:, 0]
        if len(places):
            scale = support.view(-1)[places]
            value, denoised, rms = (each[band].reshape(-1)[places] for each in (measured, base, noise))
            put_back = _restore(value - denoised, _SHARP * rms, places, scale, scratch)
            restored[band].view(-1)[places] += put_back
    return to_numpy(restored), to_numpy(restored != base)


def find_support(residual: Tensor, variance: Tensor, levels: np.ndarray, settings: RecoverSettings) -> Tensor:
    """Find where the residual is significant, and how finely.

    residual, variance : (band, y, x) float32, nanomaggies and their square; both 0 where unusable; both are
        overwritten, which saves memory and, more than that, the time in which the system clears new pages
    levels : (band, scales)

    Returns (band, y, x) uint8: the finest significant scale of a pixel of the footprint, settings.scales
    elsewhere.
    """
    finest = torch.full_like(residual, settings.scales, dtype=torch.uint8)
    footprint = torch.zeros_like(residual, dtype=torch.bool)
    fine, coarse = list(residual), list(torch.empty_like(residual))
    variances, spare = list(variance), torch.empty_like(variance[0])
    for scale, threshold in enumerate(settings.threshold):
        candidates = []
        for band, level in enumerate(levels[:, scale]):
            starlet.smooth(fine[band], 2**scale, out=coarse[band])
            spare, variances[band] = variances[band], starlet.smooth(variances[band], 2**scale, out=spare)
            planes = fine[band], coarse[band], variances[band]
            candidates.append(_split(*planes, float(level), settings.growth))
        significance, fine, coarse = fine, coarse, fine  # the next scale overwrites what this one has used
        for band, each in enumerate(candidates):
            values = torch.stack([plane.view(-1)[each.places] for plane in significance])
            seeds = values.sum(0).abs_() > threshold * len(values) ** 0.5
            seeds |= values[band].abs() > threshold
            agrees = (each.smooth.abs() > each.least) & ((each.smooth > 0) == (values[band] > 0))
            region = _regions(each, seeds)
            places = each.places[region]
            unset = places[finest[band].view(-1)[places] == settings.scales]
            finest[band].view(-1)[unset] = scale
            footprint[band].view(-1)[places[agrees[region]]] = True
    return finest.masked_fill_(~footprint, settings.scales)


@dataclass(frozen=True, eq=False)
class _Candidates:
    """Pixels of a band whose coefficients may belong to a region.

    found : (y, x) bool; places : the same, counted along the rows
    smooth, least : at these places the smoothed residual that was split into coefficients, and what it must
        exceed to count as a source or a hole rather than a filter's ring
    """

    found: Tensor
    places: Tensor
    smooth: Tensor
    least: Tensor


def _split(fine: Tensor, coarse: Tensor, variance: Tensor, level: float, growth: float) -> _Candidates:
    """Candidates among the coefficients fine - coarse, whose significance replaces `fine`; all (y, x)."""
    found = torch.empty_like(fine, dtype=torch.bool)
    parts = []
    for rows in starlet.strips(fine):
        noise = variance[rows].sqrt().mul_(level).clamp_min_(_NO_NOISE)
        value = (fine[rows] - coarse[rows]).div_(noise)
        torch.gt(value.abs(), growth, out=found[rows])
        here = found[rows].view(-1).nonzero()[:, 0]
        least = growth * noise.view(-1)[here]
        parts.append((here + rows.start * fine.shape[1], fine[rows].view(-1)[here], least))
        fine[rows] = value
    return _Candidates(found, *(torch.cat(column) for column in zip(*parts, strict=True)))


def _regions(candidates: _Candidates, seeds: Tensor) -> Tensor:
    """Which candidates lie in a region (8-connected) that holds a seed: bool, as `seeds`."""
    if candidates.found.is_cuda:
        held = torch.zeros_like(candidates.found)
        held.view(-1)[candidates.places] = seeds
        return grown(held, candidates.found).view(-1)[candidates.places]
    mask = candidates.found.numpy()
    labels, count = ndimage.label(mask, np.ones((3, 3)))
    labels = labels[mask]
    kept = np.zeros(count + 1, bool)
    kept[labels[seeds.numpy()]] = True
    return torch.from_numpy(kept[labels])


def grown(seeds: Tensor, mask: Tensor) -> Tensor:
    """Pixels of `mask` in regions (8-connected) that hold a seed, all (y, x) bool; seeds lie in the mask.

    Seeds grow by a pixel at a time, which a GPU does faster, by thousands of pixels even, than a CPU labels
    the regions (docs/performance.md).
    """
    while True:
        wider = seeds
        for _ in range(_GROWTH_STEPS):
            wider = functional.max_pool2d(wider.half()[None], 3, 1, 1)[0].bool() & mask
        if torch.equal(wider, seeds):
            return seeds
        seeds = wider


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
