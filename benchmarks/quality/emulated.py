"""What the fused kernels of a GPU compute, step by step in torch on a CPU."""

from __future__ import annotations

from unittest.mock import patch

import torch
from torch import Tensor, nn
from torch.nn import functional

from skydenoise.network import Network
from skydenoise.network.fused import FACTOR, Convolution, Features, FusedNetwork
from skydenoise.network.residual_unet import SLOPE, SMALLEST_POWER


class EmulatedNetwork(nn.Module):
    """A `FusedNetwork` on the CPU: sums are in another order than a GPU's, all else is rounded as there."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.fused = FusedNetwork(network)

    def forward(self, u: Tensor) -> tuple[Tensor]:
        """As the FusedNetwork's."""
        with patch.object(Convolution, "__call__", in_torch):
            result: tuple[Tensor] = self.fused(u)
        return result


def in_torch(
    convolution: Convolution, x: Tensor, more: Tensor | None = None, coarse: Tensor | None = None
) -> Features:
    """As `Convolution.__call__`."""
    given, to, size = convolution.given, convolution.to, convolution.size
    weight = convolution.weight[:, :given, :to].float().unflatten(0, (size, size)).permute(3, 2, 0, 1)
    bias, *norm = (each[:to] for each in convolution.vectors)
    planes = x if convolution.planes else x.permute(0, 3, 1, 2)
    border = 1 if size == 3 else 0
    found = functional.conv2d(planes.to(FACTOR).float(), weight, bias, convolution.stride, border)
    if convolution.skip:
        assert more is not None
        return Features(more * more.tanh().square() + found / more.cosh())
    found = found.permute(0, 2, 3, 1)
    if more is not None:
        found = more.add_(found)
    if coarse is not None:
        found = found + coarse.repeat_interleave(2, 1).repeat_interleave(2, 2)
    if convolution.activated:
        return Features(functional.leaky_relu(found, SLOPE).to(FACTOR))
    if not norm:
        return Features(found)
    gain, offset = norm
    inner = found * torch.rsqrt(found.square().mean(3, keepdim=True) + SMALLEST_POWER) * gain + offset
    return Features(found, functional.leaky_relu(inner, SLOPE).to(FACTOR))
