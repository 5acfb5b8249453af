"""Gaussian spots: atoms as a scanning probe sees them; drawn, found and located."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, spatial

Array = NDArray[np.float64]

REACH = 4.0
"""Sigmas to which a spot is drawn; it has 3e-4 of its height there."""


def add_spots(image: Array, positions: Array, heights: Array, sigma: float) -> None:
    """Add round Gaussian spots to an image, in place; what falls beyond its edge is lost.

    image : (y, x) float64
    positions : (n, 2) centres (y, x), pixels, the centre of the first pixel at 0
    heights : (n,) values at the centre, in the unit of the image
    sigma : of the Gaussian, pixels
    """
    if len(positions) == 0:
        return
    reach = int(np.ceil(REACH * sigma))
    offsets = np.arange(-reach, reach + 1)
    nearest = np.rint(positions).astype(int)  # (n, 2)
    away = nearest[:, :, None] + offsets - positions[:, :, None]  # (n, 2, box)
    profile = np.exp(-0.5 * (away / sigma) ** 2)
    stamps = heights[:, None, None] * profile[:, 0, :, None] * profile[:, 1, None, :]  # (n, box, box)
    y, x = np.broadcast_arrays(
        nearest[:, 0, None, None] + offsets[:, None], nearest[:, 1, None, None] + offsets
    )
    inside = (y >= 0) & (y < image.shape[0]) & (x >= 0) & (x < image.shape[1])
    np.add.at(image, (y[inside], x[inside]), stamps[inside])


def peaks(image: Array, where: NDArray[np.bool_], radius: int) -> tuple[Array, Array]:
    """Pixels that are the highest within `radius` pixels (a square), those in `where` alone.

    image : (y, x)
    where : (y, x) bool

    Returns positions (n, 2) as (y, x) and heights (n,), the highest first.
    """
    highest = ndimage.maximum_filter(image, 2 * radius + 1, mode="nearest")
    found = np.argwhere((image == highest) & where)
    heights = image[tuple(found.T)].astype(float)
    order = np.argsort(-heights, kind="stable")
    return found[order].astype(float), heights[order]


def located(image: Array, starts: Array, sigma: float, steps: int = 12) -> Array:
    """Centres of spots near `starts`: a centroid weighted by a Gaussian, moved until it rests.

    With a window as wide as the spot, the pull of an error is halved by the product of the two; so each step
    doubles the shift found (as SExtractor's windowed positions do: Bertin & Arnouts 1996). Values below the
    lowest of the window count as nothing, so a constant background does not pull.

    image : (y, x)
    starts : (n, 2) first guess (y, x), pixels
    sigma : of the window, pixels

    Returns (n, 2); NaN for spots nearer than 2.5 sigma to an edge, or that move further than 2 sigma.
    """
    reach = int(np.ceil(2.5 * sigma))
    offsets = np.arange(-reach, reach + 1)
    centres = np.array(starts, dtype=float)
    limits = np.array(image.shape) - 1 - reach
    kept = np.asarray(np.all((centres >= reach) & (centres <= limits), axis=1))
    for _ in range(steps):
        near = np.clip(np.rint(np.where(kept[:, None], centres, reach)).astype(int), reach, limits)
        y = near[:, 0, None, None] + offsets[:, None]
        x = near[:, 1, None, None] + offsets
        values = image[y, x].astype(float)  # (n, box, box)
        values = values - values.min(axis=(1, 2), keepdims=True)
        dy, dx = y - centres[:, 0, None, None], x - centres[:, 1, None, None]
        weights = values * np.exp(-0.5 * (dy**2 + dx**2) / sigma**2)
        total = np.maximum(weights.sum(axis=(1, 2)), np.finfo(float).tiny)
        shift = np.stack([(weights * dy).sum(axis=(1, 2)), (weights * dx).sum(axis=(1, 2))], axis=1)
        centres = centres + np.where(kept[:, None], 2 * shift / total[:, None], 0)
        kept &= np.hypot(*(centres - starts).T) <= 2 * sigma
        kept &= np.all((centres >= reach) & (centres <= limits), axis=1)
    return np.where(kept[:, None], centres, np.nan)


def matched(found: Array, true: Array, radius: float) -> tuple[int, NDArray[np.bool_]]:
    """How many true positions have a found one of their own within `radius`, nearest pairs first.

    found, true : (n, 2), (m, 2)

    Returns the number, and (n,) bool: found ones within `radius` of any true position.
    """
    if len(found) == 0 or len(true) == 0:
        return 0, np.zeros(len(found), dtype=bool)
    distance = spatial.distance.cdist(found, true)
    rows, columns = np.nonzero(distance <= radius)
    order = np.argsort(distance[rows, columns], kind="stable")
    taken: tuple[set[int], set[int]] = (set(), set())
    for i, j in zip(rows[order].tolist(), columns[order].tolist(), strict=True):
        if i not in taken[0] and j not in taken[1]:
            taken[0].add(i)
            taken[1].add(j)
    return len(taken[0]), (distance <= radius).any(axis=1)
