"""Peers that need no training: smoothing, starlet thresholding, BM3D, non-local means.

Free parameters are chosen by the truth of the test sky, which no user has: it is to the peers' advantage.
BM3D and non-local means expect noise of one strength, so they work on u = 3 asinh(x / 3 sigma), sigma being
the noise of each pixel; faint noise has unit variance there. Unusable pixels are filled from neighbours for
all of them, as for our network.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from importlib.util import find_spec

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from benchmarks.quality.measure import pixels
from benchmarks.quality.sky import Sky
from skydenoise import starlet
from skydenoise.evaluate.images import Image, Mask, Method
from skydenoise.evaluate.truth.pixels import SOFTENING
from skydenoise.fill import fill
from skydenoise.io import Brick
from skydenoise.noise import NoiseModel
from skydenoise.noise.correlation import power_spectrum

WIDTHS = (0.5, 0.75, 1.0, 1.5, 2.0, 3.0)
"""Standard deviations that are tried for the Gaussian, pixels."""
STARLET_THRESHOLDS = (4.0, 3.5, 3.0, 3.0, 3.0)
"""Sigma per scale, fine to coarse."""
NLM_STRENGTHS = (0.2, 0.3, 0.4, 0.5, 0.6)
"""h of non-local means that are tried, in units of the noise."""
NLM_PATCH, NLM_REACH = 5, 9
"""Edge of a patch, and distance to which similar ones are looked for, pixels."""


def installed(package: str) -> bool:
    """Whether a package of the extra `peers` is there."""
    return find_spec(package) is not None


def noisy(brick: Brick) -> Image:
    """The brick as it is."""
    return brick.image


def smooth(image: Image, usable: Mask, width: float) -> Image:
    """Smooth one band (y, x) by a Gaussian of standard deviation `width` pixels over its usable pixels.

    Normalised convolution (Knutsson & Westin 1993): unusable pixels neither give nor dilute flux. Borders
    are mirrored. Where no usable pixel is in reach (4 widths) the result is 0.
    """
    weight = gaussian_filter(usable.astype(np.float32), width)
    flux = gaussian_filter(np.where(usable, image, np.float32(0)), width)
    return np.divide(flux, weight, out=np.zeros_like(flux), where=weight > 1e-3)


def smooth_bands(brick: Brick, widths: Sequence[float]) -> Image:
    """The noisy brick with each band smoothed by its own width: (band, y, x), nanomaggies."""
    planes = zip(brick.image, brick.usable, widths, strict=True)
    return np.stack([smooth(*plane) for plane in planes])


def starlet_threshold(
    brick: Brick, noise: NoiseModel, thresholds: Sequence[float] = STARLET_THRESHOLDS
) -> Image:
    """Starlet coefficients below so many sigma of their measured noise set to zero, the smooth plane kept.

    Noise that changes over the image is followed through the scales, as `recover` does.
    """
    image, sigma = filled(brick, noise)
    result = np.empty_like(image)
    for band, levels in enumerate(noise.levels):
        variance = torch.from_numpy(sigma[band]).square()
        *details, smooth_plane = starlet.planes(torch.from_numpy(image[band]), len(thresholds))
        for scale, (detail, threshold) in enumerate(zip(details, thresholds, strict=True)):
            variance = starlet.smooth(variance, 2**scale)
            smooth_plane += detail * (detail.abs() > threshold * levels[scale] * variance.sqrt())
        result[band] = smooth_plane.numpy()
    return result


def filled(brick: Brick, noise: NoiseModel) -> tuple[Image, Image]:
    """Image and noise of each pixel without gaps, (band, y, x) float32, nanomaggies; a band has some data."""
    sigma = noise.sigma(brick.invvar)
    return fill(brick.image, brick.usable), fill(sigma, brick.usable)


def in_sigmas(
    brick: Brick, noise: NoiseModel, denoise: Callable[[NDArray[np.float32]], NDArray[np.float32]]
) -> Image:
    """Apply `denoise`, (band, y, x) -> (band, y, x), to the stretched image without gaps, and undo it."""
    image, sigma = filled(brick, noise)
    softening = np.float32(SOFTENING) * sigma
    stretched = np.float32(SOFTENING) * np.arcsinh(image / softening)
    return (softening * np.sinh(denoise(stretched) / np.float32(SOFTENING))).astype(np.float32)


def noise_power(noise: NoiseModel, height: int, width: int) -> NDArray[np.float64]:
    """Power spectral density of unit noise as BM3D wants it: (band, height, width), mean height * width."""
    half = np.maximum(power_spectrum(noise.correlation, height, width), 0)
    rest = half[:, -np.arange(height) % height, 1 : (width + 1) // 2][:, :, ::-1]
    power = np.concatenate([half, rest], axis=2)
    return power / power.mean(axis=(1, 2), keepdims=True) * (height * width)


def bm3d(brick: Brick, noise: NoiseModel) -> Image:
    """BM3D (Makinen, Azzari & Foi 2020) band by band, told how the noise is correlated."""
    from bm3d import bm3d as filter_band

    if not hasattr(np, "trapz"):  # which BM3D's estimate of a spectrum calls and numpy 2.4 no longer has
        np.trapz = np.trapezoid
    power = noise_power(noise, *brick.shape)

    def denoise(stretched: NDArray[np.float32]) -> NDArray[np.float32]:
        planes = [filter_band(*each) for each in zip(stretched.astype(np.float64), power, strict=True)]
        return np.stack(planes).astype(np.float32)

    return in_sigmas(brick, noise, denoise)


def nonlocal_means(brick: Brick, noise: NoiseModel, strength: float) -> Image:
    """Non-local means (Buades, Coll & Morel 2005; scikit-image) of all bands together."""
    from skimage.restoration import denoise_nl_means

    def denoise(stretched: NDArray[np.float32]) -> NDArray[np.float32]:
        bands_last = np.moveaxis(stretched, 0, -1)
        found = denoise_nl_means(
            bands_last, NLM_PATCH, NLM_REACH, h=strength, sigma=1.0, fast_mode=True, channel_axis=-1
        )
        return np.moveaxis(found, -1, 0)

    return in_sigmas(brick, noise, denoise)


def errors_of(candidates: Mapping[str, Method], sky: Sky) -> dict[str, list[float]]:
    """Error of each candidate on the first brick, by band."""
    first = replace(sky, scenes=sky.scenes[:1])
    images = {name: [method(first.scenes[0].brick)] for name, method in candidates.items()}
    errors: dict[str, list[float]] = {name: [] for name in candidates}
    for each in pixels(first, images):
        if each.measure == "error":
            errors[each.method].append(each.value)
    return errors


def best_widths(sky: Sky) -> tuple[float, ...]:
    """Width out of `WIDTHS` with the least error in each band of the first brick; pixels."""
    bands = len(sky.noise.bands)
    errors = errors_of({str(width): partial(smooth_bands, widths=(width,) * bands) for width in WIDTHS}, sky)
    return tuple(WIDTHS[best] for best in np.argmin(list(errors.values()), axis=0))


def best_of(candidates: Mapping[str, Method], sky: Sky) -> tuple[str, Method]:
    """The candidate with the least error, summed over the bands, and its name."""
    if len(candidates) == 1:
        return next(iter(candidates.items()))
    errors = errors_of(candidates, sky)
    best = min(errors, key=lambda name: sum(errors[name]))
    return best, candidates[best]


def candidates(sky: Sky) -> dict[str, dict[str, Method]]:
    """Variants of each classical peer that is installed, by peer and by what sets them apart."""
    noise = sky.noise
    widths = best_widths(sky)
    thresholds = ", ".join(map(str, STARLET_THRESHOLDS))
    peers: dict[str, dict[str, Method]] = {
        "noisy": {"": noisy},
        "Gaussian": {f"sigma {', '.join(map(str, widths))} px": partial(smooth_bands, widths=widths)},
        "starlet": {f"{thresholds} sigma": partial(starlet_threshold, noise=noise)},
    }
    if installed("bm3d"):
        peers["BM3D"] = {"measured spectrum": partial(bm3d, noise=noise)}
    if installed("skimage"):
        peers["NLM"] = {
            f"h {strength}": partial(nonlocal_means, noise=noise, strength=strength)
            for strength in NLM_STRENGTHS
        }
    return peers
