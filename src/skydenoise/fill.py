"""Fill unusable pixels smoothly from their usable neighbours, before a network sees them."""

import numpy as np

_RELAXATIONS = 4
"""Per level of the pyramid."""


def fill(image: np.ndarray, usable: np.ndarray) -> np.ndarray:
    """Replace unusable pixels by a smooth interpolation of the usable ones around them.

    Pull-push (Gortler et al. 1996, SIGGRAPH '96, section 3.4): averages of usable pixels over 2x2, 4x4, ...
    ("pull") until none is missing, then, coarse to fine, what is missing is interpolated bilinearly from the
    next coarser level ("push"). A hole is thus filled at the scale of its own size.

    image : (band, y, x) float32, nanomaggies; values of unusable pixels never matter, NaN included
    usable : (band, y, x) bool

    Returns (band, y, x) float32: usable pixels bit for bit, the others filled; 0 in a band that has no usable
    pixel. Raises ValueError if the shapes differ.
    """
    if image.shape != usable.shape or image.ndim != 3:
        raise ValueError(f"image {image.shape} and usable {usable.shape} are not of one shape (band, y, x)")
    filled = np.zeros(image.shape, np.float32)
    np.copyto(filled, image, where=usable)
    for band, good in zip(filled, usable, strict=True):
        if good.any():
            _fill_gaps(band, good)
    return filled


def fill_nearby(image: np.ndarray, usable: np.ndarray, reach: int) -> np.ndarray:
    """`fill`, but 0 farther than `reach` pixels from the box that holds a band's usable ones.

    image, usable : (band, y, x)
    """
    filled = np.zeros(image.shape, np.float32)
    for band in np.flatnonzero(usable.any(axis=(1, 2))):
        box = []
        for axis in (1, 0):
            seen = np.flatnonzero(usable[band].any(axis=axis))
            box.append(slice(max(0, seen[0] - reach), seen[-1] + 1 + reach))
        part = np.s_[band : band + 1, *box]
        filled[part] = fill(image[part], usable[part])
    return filled


def _fill_gaps(level: np.ndarray, usable: np.ndarray) -> None:
    """Fill one band (y, x), which is 0 where it is not usable, in place."""
    levels, gaps = [level], [~usable]
    total, weight = level, usable.view(np.uint8)
    while gaps[-1].any():
        level, weight = _pull(total, weight)
        levels.append(level)
        gaps.append(weight == 0)
        total = level * weight
    filled = levels.pop()
    for finer, gap in zip(reversed(levels), reversed(gaps[:-1]), strict=True):
        _push(filled, finer, gap)
        filled = finer


def _pull(total: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weighted means over 2x2 pixels (fewer at odd borders; 0 where all weights are 0) and their weights.

    A weight is the share of usable pixels below, so that a mean counts every usable pixel alike.

    total : weight x value
    """
    height, width = (size + size % 2 for size in total.shape)
    padding = ((0, height - total.shape[0]), (0, width - total.shape[1]))

    def mean(values: np.ndarray) -> np.ndarray:
        padded = np.pad(values, padding) if (height, width) != values.shape else values
        rows = padded[0::2] + padded[1::2]
        return np.float32(0.25) * (rows[:, 0::2] + rows[:, 1::2])

    value, share = mean(total), mean(weight)
    return np.divide(value, share, out=np.zeros_like(value), where=share > 0), share


def _push(coarse: np.ndarray, fine: np.ndarray, gap: np.ndarray) -> None:
    """Set `fine` where `gap` to the bilinear interpolation of `coarse`, whose pixels are 2x2 of its own.

    Then relax these pixels towards the mean of their four neighbours: coarse pixels that are only partly
    usable stand for the centre of their usable part, and would bend a gradient across the hole.
    """
    y, x = np.nonzero(gap)
    near_y, near_x = y // 2, x // 2
    far_y = np.clip(near_y + np.where(y % 2, 1, -1), 0, coarse.shape[0] - 1)
    far_x = np.clip(near_x + np.where(x % 2, 1, -1), 0, coarse.shape[1] - 1)
    fine[y, x] = (
        9 * coarse[near_y, near_x]
        + 3 * (coarse[near_y, far_x] + coarse[far_y, near_x])
        + coarse[far_y, far_x]
    ) / 16
    width, here, flat = fine.shape[1], y * fine.shape[1] + x, fine.reshape(-1)
    below, above = np.where(y > 0, here - width, here), np.where(y < fine.shape[0] - 1, here + width, here)
    left, right = np.where(x > 0, here - 1, here), np.where(x < width - 1, here + 1, here)
    for _ in range(_RELAXATIONS):
        flat[here] = (flat[below] + flat[above] + flat[left] + flat[right]) / 4
