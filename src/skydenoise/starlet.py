"""The starlet: isotropic undecimated wavelet transform with a B3 spline, "a trous".

Starck, Fadili & Murtagh 2007 (IEEE Trans. Image Processing 16, 297); Starck & Murtagh 2006, "Astronomical
Image and Data Analysis", appendix A. Smoothing by (1, 4, 6, 4, 1)/16 along y and x with holes of 2**j pixels
gives ever smoother images c_0 (the image), c_1, ...; the detail plane of scale j is w_j = c_j - c_(j+1).
The image is the sum of its planes. Borders are mirrored with the edge pixel repeated (d c b a | a b c d),
as often as needed, so that an image may be smaller than the reach of the filter, and so that smoothing keeps
the total flux: every detail plane sums to zero.

In torch, so that it runs where the network does, and with as many threads on a CPU.
"""

import itertools
from collections.abc import Iterator

import torch
from torch import Tensor

STRIP_PIXELS = 1 << 17
"""Pixels that a thread of a CPU works on at a time: a strip and its result stay in its core's caches."""

MOST_THREADS = 16
"""That strips grow with, so that they stay small beside the image."""

SLAB_ROWS = 1024
"""Rows that are worked on at a time where a whole image would need too much memory."""


def reach(scales: int) -> int:
    """Pixels between a pixel and the farthest one that its planes of `scales` scales depend on."""
    return 2 * (2**scales - 1)


def strips(image: Tensor) -> Iterator[slice]:
    """Yield slices of rows that together are the whole image (y, x): small ones on a CPU, one on a GPU."""
    height, width = image.shape
    pixels = STRIP_PIXELS * min(MOST_THREADS, torch.get_num_threads())
    rows = max(1, pixels // width) if image.device.type == "cpu" else height
    for start in range(0, height, rows):
        yield slice(start, min(start + rows, height))


def slabs(height: int, margin: int) -> Iterator[tuple[slice, slice]]:
    """Yield slices of rows, and which of the rows in each it is for; these together are the image.

    On either side are `margin` rows more, or as many as an image of this height has: what depends on no pixel
    farther away is the same in the slab as in the image.
    """
    count = -(-height // SLAB_ROWS)
    for start, stop in itertools.pairwise(number * height // count for number in range(count + 1)):
        first = max(0, start - margin)
        yield slice(first, min(height, stop + margin)), slice(start - first, stop - first)


def planes(image: Tensor, scales: int) -> Iterator[Tensor]:
    """Yield the detail planes of `image` fine to coarse, then the smooth plane.

    The caller may change what it gets. At most three arrays of the image's size are alive.

    image : (y, x), floating, finite; not changed
    scales : number of detail planes; at least 1

    Raises ValueError: the image is not 2-D or is empty, or scales is below 1
    """
    if image.ndim != 2 or image.numel() == 0 or scales < 1:
        raise ValueError(f"{scales} scales of an image of shape {tuple(image.shape)}")
    fine = image
    for scale in range(scales):
        coarse = smooth(fine, 2**scale)
        yield fine - coarse
        fine = coarse
    yield fine


def smooth(image: Tensor, step: int, out: Tensor | None = None) -> Tensor:
    """Smooth `image` (y, x) by the B3 spline with taps `step` pixels apart.

    Returns `out`, an array like `image` that shares no memory with it; without one a new array, which takes
    twice as long, because the operating system clears its pages first.
    """
    result = torch.empty_like(image, memory_format=torch.contiguous_format) if out is None else out
    for _ in smoothing(image, step, result):
        pass
    return result


def smoothing(image: Tensor, step: int, out: Tensor) -> Iterator[slice]:
    """The same, strip by strip: yield the rows of `out` that have just been written; see `strips`."""
    height, width = image.shape
    margin = 2 * step
    rows, columns = _mirrored(height, margin, image.device), _mirrored(width, margin, image.device)
    left, right = columns[:margin], columns[margin + width :]
    for strip in strips(image):
        start, stop = strip.start, strip.stop
        if start >= margin and stop + margin <= height:
            tall = image[start - margin : stop + margin]
        else:
            tall = image[rows[start : stop + 2 * margin]]
        wide = image.new_empty((stop - start, width + 2 * margin))
        middle = _spline(tall, 0, step, out=wide[:, margin : margin + width])
        wide[:, :margin] = middle[:, left]
        wide[:, margin + width :] = middle[:, right]
        _spline(wide, 1, step, out=out[strip]).mul_(1 / 256)
        del tall, wide, middle  # on a GPU they are as large as the image
        yield strip


def _spline(image: Tensor, dim: int, step: int, out: Tensor) -> Tensor:
    """Write 16 times the smoothed image to `out`, which is 4 `step` pixels shorter along `dim`."""
    taps = [image.narrow(dim, tap * step, out.shape[dim]) for tap in range(5)]
    torch.add(taps[0], taps[4], out=out)
    return out.add_(taps[1], alpha=4).add_(taps[3], alpha=4).add_(taps[2], alpha=6)


def _mirrored(length: int, margin: int, device: torch.device) -> Tensor:
    """Indices -margin ... length + margin - 1 folded into 0 ... length - 1 by mirrors at both edges."""
    folded = torch.arange(-margin, length + margin, device=device) % (2 * length)
    return torch.minimum(folded, 2 * length - 1 - folded)
