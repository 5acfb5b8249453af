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
    restored = torch.tensor(network, dtype=torch.float32, device=device)
    unusable = torch.from_numpy(~usable).to(device)
    residual = torch.tensor(image, dtype=torch.float32, device=device).sub_(restored)
    residual.masked_fill_(unusable, 0)
    noise = torch.tensor(sigma, dtype=torch.float32, device=device).masked_fill_(unusable, 0)
    finest = find_support(residual, noise, levels, settings)
    finest[~usable] = settings.scales
    before = restored.clone()
    for band, support in enumerate(finest):
        if (support < settings.scales).any():
            where = torch.from_numpy(support).to(device)
            restored[band] += _restore(residual[band], noise[band], where, settings)
    return restored.cpu().numpy(), (restored != before).cpu().numpy()


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
    significance, agrees = torch.empty_like(residual), torch.empty_like(residual, dtype=torch.bool)
    smoothed, variance = list(residual), [band.square() for band in sigma]
    for scale, threshold in enumerate(settings.threshold):
        for band, fine in enumerate(smoothed):
            smoothed[band] = starlet.smooth(fine, 2**scale)
            variance[band] = starlet.smooth(variance[band], 2**scale)
            for rows in starlet.strips(fine):
                detail = fine[rows] - smoothed[band][rows]
                noise = variance[band][rows].sqrt().mul_(float(levels[band, scale]))
                agrees[band, rows] = fine[rows].abs() > settings.growth * noise
                agrees[band, rows] &= (fine[rows] > 0) == (detail > 0)
                significance[band, rows] = detail.div_(noise).masked_fill_(noise <= 0, 0)
        joint = significance.sum(0).abs_() > threshold * len(significance) ** 0.5
        for band, value in enumerate(significance.abs_()):
            region = _grow(value > settings.growth, joint | (value > threshold))
            footprint[band] |= region & agrees[band].cpu().numpy()
            np.minimum(finest[band], np.where(region, np.uint8(scale), np.uint8(255)), out=finest[band])
    finest[~footprint] = settings.scales
    return finest


def _grow(candidates: Tensor, seeds: Tensor) -> np.ndarray:
    """Regions of candidates (8-connected) that hold a seed; on the CPU, which has a way to label them."""
    labels, count = ndimage.label(candidates.cpu().numpy(), np.ones((3, 3)))
    kept = np.zeros(count + 1, bool)
    kept[labels[(seeds & candidates).cpu().numpy()]] = True
    kept[0] = False
    return kept[labels]


def _restore(residual: Tensor, sigma: Tensor, finest: Tensor, settings: RecoverSettings) -> Tensor:
    """Spread the residual (y, x) of each pixel of the footprint by the kernel of its scale; 0 outside.

    `finest` is refined: on a steep flank the fine coefficients cross zero and miss that detail was spread too
    widely. What a pass leaves above _SHARP sigma is sharp.
    """
    footprint = finest < settings.scales
    restored = torch.zeros_like(residual)
    for _ in range(_PASSES):
        left = residual - restored
        spread = left * (finest == settings.scales - 1).float()  # a product of two kinds of numbers is slow
        for scale in range(settings.scales - 2, -1, -1):
            spread = starlet.smooth(spread, 2**scale)
            spread.addcmul_(left, (finest == scale).float())
        restored.addcmul_(spread, footprint.float())
        finest.masked_fill_(footprint & ((residual - restored).abs_() > _SHARP * sigma), 0)
    return restored
