"""The same network with the same weights, made faster where no gradient is needed.

On a CPU passes over memory cost more than arithmetic, so as much as can be is done in place.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional

from skydenoise.network.network import Network
from skydenoise.network.residual_unet import (
    SMALLEST_POWER,
    GatedBlock,
    Merge,
    PixelNorm,
    ResidualBlock,
    ResidualUNet,
)


class InPlaceNorm(nn.Module):
    """What a `PixelNorm` computes, with channels last as they lie in memory."""

    def __init__(self, norm: PixelNorm) -> None:
        super().__init__()
        self.gain, self.bias = norm.gain.flatten(), norm.bias.flatten()
        width = len(self.gain)
        self.mean = self.gain.new_full((width, 1), 1 / width)

    def forward(self, x: Tensor) -> Tensor:
        """(n, width, y, x) -> (n, width, y, x)."""
        pixels = x.permute(0, 2, 3, 1)  # (n, y, x, width)
        power = (pixels.square() @ self.mean).add_(SMALLEST_POWER)  # (n, y, x, 1); faster than a mean
        return (pixels * power.rsqrt_()).mul_(self.gain).add_(self.bias).permute(0, 3, 1, 2)


class InPlaceBlock(nn.Module):
    """What a `ResidualBlock` computes, with half the passes over memory.

    All is done in place, the input included: the layout does not use it again.

    dtype : of the factors in the convolutions. The norm, and x to which the block adds, stay float32: with
        bfloat16 what one block adds is rounded to 8 bits, but not what all before it have gathered
    """

    def __init__(self, block: ResidualBlock, dtype: torch.dtype) -> None:
        super().__init__()
        self.first, self.second = rounded(block.first, dtype), rounded(block.second, dtype)
        self.dtype, self.slope = dtype, block.activation.negative_slope
        self.norm = InPlaceNorm(block.norm)

    def forward(self, x: Tensor) -> Tensor:
        """(n, width, y, x) -> the same array, overwritten."""
        normed = functional.leaky_relu_(self.norm(x), self.slope)
        inner = self.first(normed.to(self.dtype))
        return x.add_(self.second(functional.leaky_relu_(inner, self.slope)))


class InPlaceGatedBlock(nn.Module):
    """What a `GatedBlock` computes; see `InPlaceBlock`. The depthwise convolution stays float32."""

    def __init__(self, block: GatedBlock, dtype: torch.dtype) -> None:
        super().__init__()
        self.depthwise = block.depthwise
        self.expand, self.shrink = rounded(block.expand, dtype), rounded(block.shrink, dtype)
        self.dtype, self.norm = dtype, InPlaceNorm(block.norm)

    def forward(self, x: Tensor) -> Tensor:
        """(n, width, y, x) -> the same array, overwritten."""
        one, other = self.expand(self.norm(self.depthwise(x)).to(self.dtype)).chunk(2, dim=1)
        return x.add_(self.shrink(one.mul_(other)))


class FoldedMerge(nn.Module):
    """What a `Merge` computes, and the 1x1 convolution before it: two that follow each other are one."""

    def __init__(self, shrink: nn.Conv2d, merge: Merge) -> None:
        super().__init__()
        assert shrink.bias is not None
        of_coarse, of_fine = merge.weight.flatten(1).chunk(2, dim=1)  # (width, width), to <- from
        self.of_coarse = (of_coarse @ shrink.weight.flatten(1))[..., None, None]  # (width, widest, 1, 1)
        self.bias = of_coarse @ shrink.bias + merge.bias
        self.of_fine = of_fine[..., None, None]

    def forward(self, coarse: Tensor, fine: Tensor) -> Tensor:
        """(n, widest, y/2, x/2), (n, width, y, x) -> (n, width, y, x)."""
        risen = functional.interpolate(functional.conv2d(coarse, self.of_coarse, self.bias), scale_factor=2.0)
        return functional.conv2d(fine, self.of_fine).add_(risen)


def rounded(convolution: nn.Conv2d, dtype: torch.dtype) -> nn.Conv2d:
    """The convolution with numbers of a shorter type, such that each filter's sum stays; itself in its own.

    Each weight of a filter hands its rounding error on to the next smaller one, so that where features are
    smooth a filter's answer is as exact as its smallest weight. Rounded to nearest, the errors of a filter
    add up there, and in bfloat16 shift fluxes by up to 0.0013 mag instead of 0.0003 (docs/performance.md).
    """
    if dtype == convolution.weight.dtype:
        return convolution
    weights = convolution.weight.detach().flatten(2)  # (to, from, y*x)
    short = torch.empty_like(weights, dtype=dtype)
    error = torch.zeros_like(weights[..., :1])
    for place in weights.abs().argsort(dim=2, descending=True).split(1, dim=2):  # (to, from, 1)
        wanted = weights.gather(2, place) + error
        short.scatter_(2, place, wanted.to(dtype))
        error = wanted - wanted.to(dtype)
    result = copy.deepcopy(convolution).to(dtype)
    result.weight.data.copy_(short.view_as(convolution.weight))
    return result


def for_inference(network: Network, dtype: torch.dtype = torch.float32) -> nn.Module:
    """A network with the weights of `network` that gives its finest output alone, without gradients.

    It shares the weights that it does not change, and in float32 its results agree to rounding.

    dtype : of the factors in the 3x3 convolutions of blocks, float32 or bfloat16; all else is float32
    """
    shared = {id(weight): nn.Parameter(weight.detach(), False) for weight in network.parameters()}
    fast = copy.deepcopy(network, shared)  # a copy of the modules, not of the weights
    for module in list(fast.modules()):
        for name, child in module.named_children():
            if isinstance(child, ResidualBlock):
                setattr(module, name, InPlaceBlock(child, dtype))
            elif isinstance(child, GatedBlock):
                setattr(module, name, InPlaceGatedBlock(child, dtype))
    _fold_merges(fast.layout)
    fast.heads = fast.heads[:1]
    return fast.eval()


def _fold_merges(layout: nn.Module) -> None:
    """Put a `FoldedMerge` in place of each merge of a layout, if it has any, and of what comes before it."""
    if isinstance(layout, ResidualUNet):
        for k, (up, merge) in enumerate(zip(layout.up, layout.merge, strict=False)):
            shrink = up.get_submodule("0")
            assert isinstance(shrink, nn.Conv2d)
            assert isinstance(merge, Merge)
            layout.merge[k], layout.up[k] = FoldedMerge(shrink, merge), nn.Identity()
