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

from skydenoise import starlet
from skydenoise.settings import RecoverSettings

_PASSES = 2
"""Passes of restoration; a third adds more noise than it mends."""

_SHARP = 4.0
"""Sigma of a pixel above which what a pass leaves is put back as it is; 3 adds noise, 5 leaves flat cores."""

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
    device : where to do it; regions are labelled on the CPU anyway

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
    base = torch.as_tensor(network, dtype=torch.float32, device=device)
    residual = (torch.as_tensor(image, dtype=torch.float32, device=device) - base).masked_fill_(unusable, 0)
    noise = torch.as_tensor(sigma, dtype=torch.float32, device=device).masked_fill(unusable, 0)
    finest = find_support(residual, noise, levels, settings)
    finest[~usable] = settings.scales
    restored = base.clone()
    for band, support in enumerate(finest):
        where = np.flatnonzero(support < settings.scales)
        if where.size:
            scale = torch.from_numpy(support.reshape(-1)[where]).to(device)
            places = torch.from_numpy(where).to(device)
            put_back = _restore(residual[band], noise[band].reshape(-1)[places], places, scale, settings)
            restored[band].view(-1)[places] += put_back
    return restored.cpu().numpy(), (restored != base).cpu().numpy()


def find_support(
    residual: Tensor, sigma: Tensor, levels: np.ndarray, settings: RecoverSettings
) -> np.ndarray:
    """Find where the residual is significant, and how finely.

    residual, sigma : (band, y, x) float32, nanomaggies; both 0 where unusable
    levels : (band, scales)

    Returns (band, y, x) uint8: the finest significant scale of a pixel of the footprint, settings.scales
    elsewhere.
    """
    finest = np.full(residual.shape, settings.scales, np.uint8)
    footprint = np.zeros(residual.shape, bool)
    significance = torch.empty_like(residual)
    smoothed, variance = list(residual), [band.square() for band in sigma]
    for scale, threshold in enumerate(settings.threshold):
        candidates = []
        for band, level in enumerate(levels[:, scale]):
            fine = smoothed[band]
            smoothed[band] = starlet.smooth(fine, 2**scale)
            variance[band] = starlet.smooth(variance[band], 2**scale)
            found = torch.empty_like(fine, dtype=torch.bool)
            for rows in starlet.strips(fine):
                noise = variance[band][rows].sqrt().mul_(float(level)).clamp_min_(_NO_NOISE)
                value = torch.sub(fine[rows], smoothed[band][rows], out=significance[band, rows]).div_(noise)
                found[rows] = value.abs() > settings.growth
            places = found.view(-1).nonzero()[:, 0]
            noise = variance[band].view(-1)[places].sqrt_().mul_(float(level))
            candidates.append(_Candidates(found, places, fine.reshape(-1)[places], settings.growth * noise))
        for band, each in enumerate(candidates):
            values = significance.view(len(significance), -1)[:, each.places]
            seeds = values.sum(0).abs_() > threshold * len(values) ** 0.5
            seeds |= values[band].abs() > threshold
            agrees = (each.smooth.abs() > each.least) & ((each.smooth > 0) == (values[band] > 0))
            region = _regions(each, seeds)
            places = each.places.cpu().numpy()[region]
            unset = places[finest[band].reshape(-1)[places] == settings.scales]
            finest[band].reshape(-1)[unset] = scale
            footprint[band].reshape(-1)[places[agrees.cpu().numpy()[region]]] = True
    finest[~footprint] = settings.scales
    return finest


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


def _regions(candidates: _Candidates, seeds: Tensor) -> np.ndarray:
    """Which candidates lie in a region (8-connected) that holds a seed: bool, as `seeds`."""
    mask = candidates.found.cpu().numpy()  # there is a way to label them
    labels, count = ndimage.label(mask, np.ones((3, 3)))
    labels = labels[mask]
    kept = np.zeros(count + 1, bool)
    kept[labels[seeds.cpu().numpy()]] = True
    return kept[labels]


def _restore(
    residual: Tensor, sigma: Tensor, places: Tensor, scale: Tensor, settings: RecoverSettings
) -> Tensor:
    """Spread the residual (y, x) of each pixel of the footprint by the kernel of its scale.

    sigma, scale : noise, and finest significant scale, of the pixels at `places` (counted along the rows)

    Returns what the pixels at `places` get. `scale` is refined: on a steep flank the fine coefficients cross
    zero and miss that detail was spread too widely. What a pass leaves above _SHARP sigma is sharp.
    """
    wanted = residual.reshape(-1)[places]
    restored = torch.zeros_like(wanted)
    for _ in range(_PASSES):
        left = wanted - restored
        spread = torch.zeros_like(residual)
        for each in range(settings.scales - 1, -1, -1):
            if each < settings.scales - 1:
                spread = starlet.smooth(spread, 2**each)
            chosen = scale == each
            spread.view(-1)[places[chosen]] += left[chosen]
        restored += spread.view(-1)[places]
        scale.masked_fill_((wanted - restored).abs_() > _SHARP * sigma, 0)
    return restored
