"""The same network with the same weights, made faster where no gradient is needed.

On a CPU passes over memory cost more than arithmetic, and so does every new array, whose pages the kernel has
to clear: so as much as can be is done in place, and while numbers are in the caches (docs/performance.md).
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from skydenoise.network.folder import Network
from skydenoise.network.residual_unet import SMALLEST_POWER, LeanLayout, Merge, ResidualBlock

STRIP = 128 * 1024
"""Numbers of a block's input that are in work at a time on a CPU: 512 KiB, part of a core's second cache."""

PER_VECTOR = 4
"""Pixels that a head does at once: their bands together fill most of a vector of 16 numbers."""


class InPlaceBlock(nn.Module):
    """What a `ResidualBlock` computes, with half the passes over memory.

    All is done in place, the input included: the layout does not use it again.

    dtype : of the factors in the convolutions. The norm, and x to which the block adds, stay float32: with
        bfloat16 what one block adds is rounded to 8 bits, but not what all before it have gathered
    """

    def __init__(self, block: ResidualBlock, dtype: torch.dtype) -> None:
        super().__init__()
        self.norm, self.dtype = block.norm, dtype
        self.first, self.second = rounded(block.first, dtype), rounded(block.second, dtype)
        self.slope = block.activation.negative_slope

    def forward(self, x: Tensor) -> Tensor:
        """(n, width, y, x) -> the same array, overwritten."""
        inner = self.first(self.normed(x))
        return x.add_(self.second(functional.leaky_relu_(inner, self.slope)))

    def normed(self, x: Tensor) -> Tensor:
        """The norm, and the activation after it: float32 -> dtype, (n, width, y, x)."""
        power = x.square().mean(1, keepdim=True)  # (n, 1, y, x)
        inner = (x * torch.rsqrt(power + SMALLEST_POWER)).mul_(self.norm.gain).add_(self.norm.bias)
        return functional.leaky_relu_(inner, self.slope).to(self.dtype)


class BlockInStrips(InPlaceBlock):
    """The same, by strips that stay in a CPU's caches through all passes between two convolutions."""

    def __init__(self, block: ResidualBlock, dtype: torch.dtype) -> None:
        super().__init__(block, dtype)
        self.gain, self.bias = block.norm.gain.flatten(), block.norm.bias.flatten()
        width = len(self.gain)
        self.rows, self.mean = STRIP // width, self.gain.new_full((width, 1), 1 / width)

    def forward(self, x: Tensor) -> Tensor:
        """As InPlaceBlock; an array whose channels are not last is copied, not overwritten."""
        x = x.contiguous(memory_format=torch.channels_last)
        inner = self.first(self.normed(x))
        found = self.second(functional.leaky_relu_(inner, self.slope))
        for strip, more in zip(self.strips(x), self.strips(found), strict=True):
            strip.add_(more)
        return x

    def normed(self, x: Tensor) -> Tensor:
        """As InPlaceBlock, for channels last."""
        result = torch.empty_like(x, dtype=self.dtype)
        for strip, into in zip(self.strips(x), self.strips(result), strict=True):
            power = (strip.square() @ self.mean).add_(SMALLEST_POWER)  # (rows, 1); faster than a mean
            inner = (strip * power.rsqrt_()).mul_(self.gain).add_(self.bias)
            into.copy_(functional.leaky_relu_(inner, self.slope))
        return result

    def strips(self, x: Tensor) -> tuple[Tensor, ...]:
        """The pixels of (n, width, y, x), views where channels are last: (rows, width) each."""
        return pixels(x).split(self.rows)


class MergeByRows(nn.Module):
    """What a `Merge` computes, and the convolution before it that shrinks the coarse features.

    Without an enlarged copy: the convolution of the coarse features gives each pixel twice, beside itself,
    and each row is added to two of the fine ones.
    """

    def __init__(self, shrink: nn.Conv2d, merge: Merge) -> None:
        super().__init__()
        assert shrink.bias is not None
        of_coarse, of_fine = merge.weight.flatten(1).chunk(2, dim=1)  # (width, width), to <- from
        self.of_coarse = (of_coarse @ shrink.weight.flatten(1)).repeat(2, 1)  # (2 width, widest)
        self.bias = (of_coarse @ shrink.bias + merge.bias).repeat(2)
        self.of_fine = of_fine.contiguous()

    def forward(self, coarse: Tensor, fine: Tensor) -> Tensor:
        """(n, widest, y/2, x/2), (n, width, y, x) -> (n, width, y, x)."""
        n, _, rows, _ = coarse.shape
        risen = pixels(pixelwise(coarse, self.of_coarse, self.bias))  # (n*y/2*x/2, 2 width)
        merged = pixels(pixelwise(fine, self.of_fine))  # (n*y*x, width)
        merged.view(n, rows, 2, -1).add_(risen.view(n, rows, 1, -1))
        return image(merged, fine.shape)


def pixelwise(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """A 1x1 convolution by `weight` (to, from): (n, from, y, x) -> (n, to, y, x).

    Dilation changes nothing of it, but without, torch leaves it on one thread to the matrix product of
    another library, which takes twice as long on a Zen 5 of AMD.
    """
    return functional.conv2d(x, weight[..., None, None], bias, dilation=2)


class WideHead(nn.Module):
    """What a head computes, several pixels of a row at once: three bands leave most of a vector empty.

    The kernel is wider by as many pixels as are done at once, less one, and steps over them.
    """

    def __init__(self, head: nn.Conv2d) -> None:
        super().__init__()
        assert head.bias is not None
        self.bands, features, *size = head.weight.shape
        weight = head.weight.new_zeros(PER_VECTOR, self.bands, features, size[0], size[1] + PER_VECTOR - 1)
        for pixel, of_pixel in enumerate(weight):
            of_pixel[..., pixel : pixel + size[1]] = head.weight
        self.weight = weight.flatten(0, 1).contiguous(memory_format=torch.channels_last)
        self.bias, self.padding = head.bias.repeat(PER_VECTOR), head.padding

    def forward(self, x: Tensor) -> Tensor:
        """(n, width, y, x) -> (n, band, y, x)."""
        stride = (1, PER_VECTOR)
        several = functional.conv2d(x, self.weight, self.bias, stride, self.padding)  # (n, 4 band, y, x/4)
        return image(pixels(several).view(-1, self.bands), (len(x), self.bands, *x.shape[2:]))


def pixels(x: Tensor) -> Tensor:
    """(n, width, y, x) -> the same numbers as (n*y*x, width), a view if channels are last.

    They are not where a convolution of one channel took its only layout for the other one.
    """
    return x.contiguous(memory_format=torch.channels_last).permute(0, 2, 3, 1).view(-1, x.shape[1])


def image(values: Tensor, shape: Sequence[int]) -> Tensor:
    """(n*y*x, width) -> a view of the same numbers as (n, width, y, x) of this `shape`, channels last."""
    n, width, rows, columns = shape
    return values.view(n, rows, columns, width).permute(0, 3, 1, 2)


def rounded(convolution: nn.Conv2d, dtype: torch.dtype) -> nn.Conv2d:
    """The convolution with numbers of a shorter type, see `rounded_weight`; itself in its own."""
    if dtype == convolution.weight.dtype:
        return convolution
    result = copy.deepcopy(convolution).to(dtype)
    weight = rounded_weight(convolution.weight.detach(), dtype)
    result.weight.data = weight.contiguous(memory_format=torch.channels_last)
    return result


def rounded_weight(weight: Tensor, dtype: torch.dtype) -> Tensor:
    """Weights (to, from, y, x) in a shorter type, such that each filter's sum stays.

    Each weight of a filter hands its rounding error on to the next smaller one, so that where features are
    smooth a filter's answer is as exact as its smallest weight. Rounded to nearest, the errors of a filter
    add up there, and in bfloat16 shift fluxes by up to 0.0013 mag instead of 0.0003 (docs/performance.md).
    """
    weights = weight.flatten(2)  # (to, from, y*x)
    result = torch.empty_like(weights, dtype=dtype)
    error = torch.zeros_like(weights[..., :1])
    for place in weights.abs().argsort(dim=2, descending=True).split(1, dim=2):  # (to, from, 1)
        wanted = weights.gather(2, place) + error
        result.scatter_(2, place, wanted.to(dtype))
        error = wanted - wanted.to(dtype)
    return result.view_as(weight)


def for_inference(network: Network, dtype: torch.dtype = torch.float32) -> nn.Module:
    """A network with the weights of `network` that gives its finest output alone, without gradients.

    In float32 it shares the weights of 3x3 convolutions, and results agree to rounding. Blocks are exchanged,
    and on a CPU merges and the head, not the layout's way through them.

    dtype : of the factors in the 3x3 convolutions of blocks, float32 or bfloat16, all else is float32; or
        float16, which is a `FusedNetwork`: for lean networks with skips on a CUDA device, with Triton
    """
    if dtype == torch.float16:
        from skydenoise.network.fused import FusedNetwork  # needs Triton, which not every machine has

        return FusedNetwork(network)
    shared = {id(weight): nn.Parameter(weight.detach(), False) for weight in network.parameters()}
    fast = copy.deepcopy(network, shared)  # a copy of the modules, not of the weights
    on_cpu = all(weight.device.type == "cpu" for weight in network.parameters())
    faster = BlockInStrips if on_cpu else InPlaceBlock
    for module in list(fast.modules()):
        for name, child in module.named_children():
            if isinstance(child, ResidualBlock):
                setattr(module, name, faster(child, dtype))
    fast.heads = fast.heads[:1]
    if on_cpu:
        _exchange_merges(fast.layout)
        (head,) = fast.heads
        if isinstance(head, nn.Conv2d) and network.architecture.stride % PER_VECTOR == 0:
            fast.heads[0] = WideHead(head)
    return fast.eval()


def _exchange_merges(layout: nn.Module) -> None:
    """Put `MergeByRows` in place of a layout's merges, if it has any, and of what shrinks before them."""
    if isinstance(layout, LeanLayout):
        for k, (up, merge) in enumerate(zip(layout.up, layout.merge, strict=False)):
            shrink = up.get_submodule("0")
            if isinstance(merge, Merge) and isinstance(shrink, nn.Conv2d):
                layout.merge[k] = MergeByRows(shrink, merge)
                layout.up[k] = nn.Identity()
