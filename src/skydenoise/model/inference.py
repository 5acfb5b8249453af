"""The same network with the same weights, made faster where no gradient is needed."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional

from skydenoise.model.lean import SMALLEST_POWER, ResidualBlock
from skydenoise.model.model import Network


class InPlaceBlock(nn.Module):
    """What a `ResidualBlock` computes, with half the passes over memory.

    On a CPU a pass costs more than its arithmetic, and so does every new array, whose pages the kernel has to
    clear. So all is done in place, the input included: the layout does not use it again.

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
        power = x.square().mean(1, keepdim=True)  # (n, 1, y, x)
        inner = (x * torch.rsqrt(power + SMALLEST_POWER)).mul_(self.norm.gain).add_(self.norm.bias)
        inner = self.first(functional.leaky_relu_(inner, self.slope).to(self.dtype))
        return x.add_(self.second(functional.leaky_relu_(inner, self.slope)))


def rounded(convolution: nn.Conv2d, dtype: torch.dtype) -> nn.Conv2d:
    """The convolution with numbers of a shorter type, such that each filter's sum stays; itself in its own.

    Each weight of a filter hands its rounding error on to the next smaller one, so that where features are
    smooth a filter's answer is as exact as its smallest weight. Rounded to nearest, the errors of a filter
    add up there, and shift all fluxes by up to 0.0013 mag instead of 0.0004 (docs/performance.md).
    """
    if dtype == convolution.weight.dtype:
        return convolution
    result = copy.deepcopy(convolution).to(dtype)
    weights, into = convolution.weight.flatten(2), result.weight.data.flatten(2)  # (out, in, y*x)
    error = torch.zeros_like(weights[..., :1])
    for place in weights.abs().argsort(dim=2, descending=True).split(1, dim=2):  # (out, in, 1)
        wanted = weights.gather(2, place) + error
        into.scatter_(2, place, wanted.to(dtype))
        error = wanted - wanted.to(dtype)
    result.weight.data = into.view_as(convolution.weight)
    return result


def for_inference(network: Network, dtype: torch.dtype = torch.float32) -> Network:
    """A network with the weights of `network` that gives its finest output alone, without gradients.

    In float32 it shares the weights, and results agree to rounding. The layout's blocks are exchanged, not
    its way through them, so a layout without such blocks comes back as it is but for its coarse outputs.

    dtype : of the factors in the 3x3 convolutions of blocks, float32 or bfloat16; all else is float32
    """
    shared = {id(weight): nn.Parameter(weight.detach(), False) for weight in network.parameters()}
    fast = copy.deepcopy(network, shared)  # a copy of the modules, not of the weights
    for module in list(fast.modules()):
        for name, child in module.named_children():
            if isinstance(child, ResidualBlock):
                setattr(module, name, InPlaceBlock(child, dtype))
    fast.heads = fast.heads[:1]
    return fast.eval()
