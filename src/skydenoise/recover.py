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
from scipy import ndimage

from skydenoise import starlet
from skydenoise.settings import RecoverSettings

_PASSES = 2
"""Passes of restoration; a third adds more noise than it mends."""

_SHARP = 4.0
"""Sigma of a pixel above which what a pass leaves is put back as it is; 3 adds noise, 5 leaves flat cores."""


def recover(
    image: np.ndarray,
    network: np.ndarray,
    sigma: np.ndarray,
    usable: np.ndarray,
    levels: np.ndarray,
    settings: RecoverSettings,
    threads: int | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Add the significant part of (image - network) to the network's image.

    image, network : (band, y, x) float32, nanomaggies
    sigma : (band, y, x) float32, noise of a pixel of `image`, nanomaggies; 0 where there is no data
    usable : (band, y, x) bool; other pixels count as residual 0, never matter and keep the network's value
    levels : (band, scales) rms of the starlet coefficients of unit-variance noise (`starlet.noise_levels`)
    settings : scales and thresholds
    threads : None for as many as the process may use

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
    restored = network.astype(np.float32)
    if not settings.enabled:
        return restored, np.zeros(image.shape, bool)
    residual = np.subtract(image, network, dtype=np.float32)
    residual[~usable] = 0
    finest = find_support(residual, np.where(usable, sigma, np.float32(0)), levels, settings, threads)
    finest[~usable] = settings.scales
    for band, support in enumerate(finest):
        if (support < settings.scales).any():
            restored[band] += _restore(residual[band], sigma[band], support, settings, threads)
    return restored, restored != network


def find_support(
    residual: np.ndarray,
    sigma: np.ndarray,
    levels: np.ndarray,
    settings: RecoverSettings,
    threads: int | None = None,
) -> np.ndarray:
    """Find where the residual is significant, and how finely.

    residual, sigma : (band, y, x) float32, nanomaggies; both 0 where unusable
    levels : (band, scales)

    Returns (band, y, x) uint8: the finest significant scale of a pixel of the footprint, settings.scales
    elsewhere.
    """
    finest = np.full(residual.shape, settings.scales, np.uint8)
    footprint = np.zeros(residual.shape, bool)
    smoothed, variance = list(residual), [np.square(band) for band in sigma]
    for scale, threshold in enumerate(settings.threshold):
        significance, agrees = [], []
        for band in range(len(residual)):
            fine, coarse = smoothed[band], starlet.smooth(smoothed[band], 2**scale, threads)
            variance[band] = starlet.smooth(variance[band], 2**scale, threads)
            noise = np.sqrt(variance[band]) * np.float32(levels[band, scale])
            detail = fine - coarse
            agrees.append((np.abs(fine) > settings.growth * noise) & ((fine > 0) == (detail > 0)))
            significance.append(np.divide(detail, noise, out=np.zeros_like(detail), where=noise > 0))
            smoothed[band] = coarse
        joint = _joint_seeds(significance, threshold)
        for band, value in enumerate(significance):
            np.abs(value, out=value)
            region = _grow(value > settings.growth, joint | (value > threshold))
            footprint[band] |= region & agrees[band]
            finest[band][region & (finest[band] > scale)] = scale
    finest[~footprint] = settings.scales
    return finest


def _joint_seeds(significance: list[np.ndarray], threshold: float) -> np.ndarray:
    """Where the sum over bands is above the threshold, in units of its noise (independent in each band)."""
    total = significance[0].copy()
    for value in significance[1:]:
        total += value
    return np.abs(total, out=total) > threshold * np.sqrt(len(significance))


def _grow(candidates: np.ndarray, seeds: np.ndarray) -> np.ndarray:
    """Regions of candidates (8-connected) that hold a seed."""
    labels, count = ndimage.label(candidates, np.ones((3, 3)))
    kept = np.zeros(count + 1, bool)
    kept[labels[seeds & candidates]] = True
    kept[0] = False
    return kept[labels]


def _restore(
    residual: np.ndarray,
    sigma: np.ndarray,
    finest: np.ndarray,
    settings: RecoverSettings,
    threads: int | None,
) -> np.ndarray:
    """Spread the residual (y, x) of each pixel of the footprint by the kernel of its scale; 0 outside.

    `finest` is refined: on a steep flank the fine coefficients cross zero and miss that detail was spread too
    widely. What a pass leaves above _SHARP sigma is sharp.
    """
    footprint = finest < settings.scales
    restored = np.zeros_like(residual)
    for _ in range(_PASSES):
        left = residual - restored
        spread = left * (finest == settings.scales - 1)
        for scale in range(settings.scales - 2, -1, -1):
            spread = starlet.smooth(spread, 2**scale, threads)
            spread += left * (finest == scale)
        restored += spread * footprint
        finest[footprint & (np.abs(residual - restored) > _SHARP * sigma)] = 0
    return restored
