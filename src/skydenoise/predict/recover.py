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

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from skydenoise import starlet
from skydenoise.config import RecoverSettings
from skydenoise.network.device import to_numpy
from skydenoise.predict.support import find_support, in_rows, true_places

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
) -> np.ndarray:
    """Add the significant part of (image - network) to the network's image, in place.

    image, network : (band, y, x) float32, nanomaggies
    sigma : (band, y, x) float32, noise of a pixel of `image`, nanomaggies; 0 where there is no data
    usable : (band, y, x) bool; other pixels count as residual 0, never matter and keep the network's value
    levels : (band, scales) rms of the starlet coefficients of unit-variance noise (`noise.levels`)
    settings : scales and thresholds
    device : where to do it; regions are reached from their seeds on the CPU

    Returns (band, y, x) bool: True exactly where `network` was changed. Raises ValueError if shapes disagree
    or a level is not positive.
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
        return np.zeros(image.shape, bool)
    recovered = np.zeros(image.shape, bool)
    planes = [torch.from_numpy(each).to(device) for each in (image, network, sigma, usable)]
    changes = list(_changes(*planes, levels=levels, settings=settings))  # now all of `network` is read
    for band, places, before, after in changes:
        network[band].put(places, after)
        recovered[band].put(places, after != before)
    return recovered


def _changes(
    *planes: Tensor, levels: np.ndarray, settings: RecoverSettings
) -> Iterator[tuple[int, np.ndarray, np.ndarray, np.ndarray]]:
    """Yield a band, places in it (n,), counted along the rows, and what is there before and after.

    planes : (band, y, x) on the device: image, network, sigma, usable
    """
    measured, base, noise, good = planes
    finest = find_support(measured, base, noise, good, levels, settings)
    width = good.shape[2]
    for rows, own in starlet.slabs(good.shape[1], _PASSES * starlet.reach(settings.scales - 1)):
        for band, support in enumerate(finest[:, rows]):
            places = true_places(support < settings.scales)
            if not len(places):
                continue
            scale = support.reshape(-1)[places]
            value, before, rms = (each[band, rows].reshape(-1)[places] for each in (measured, base, noise))
            after = before + _restore(value - before, _SHARP * rms, places, scale, support.shape)
            inside = in_rows(places, own, width)
            where = places[inside] + rows.start * width
            yield band, to_numpy(where), to_numpy(before[inside]), to_numpy(after[inside])


def _restore(wanted: Tensor, sharp: Tensor, places: Tensor, scale: Tensor, shape: Sequence[int]) -> Tensor:
    """Spread the residual of each pixel of the footprint by the kernel of its scale.

    wanted, scale : residual, and finest significant scale, of the pixels at `places` (counted along the rows)
    sharp : what a pass leaves above this is put back as it is
    shape : (y, x)

    Returns what the pixels at `places` get. `scale` is refined: on a steep flank the fine coefficients cross
    zero and miss that detail was spread too widely.
    """
    restored, scratch = torch.zeros_like(wanted), wanted.new_empty((2, *shape))
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
