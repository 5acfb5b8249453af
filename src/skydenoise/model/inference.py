"""The same network with the same weights, made faster where no gradient is needed."""

from __future__ import annotations

import copy

from torch import Tensor, nn, rsqrt
from torch.nn import functional

from skydenoise.model.lean import SMALLEST_POWER, ResidualBlock
from skydenoise.model.model import Network


class InPlaceBlock(nn.Module):
    """What a `ResidualBlock` computes, with half the passes over memory.

    On a CPU a pass costs more than its arithmetic, and so does every new array, whose pages the kernel has to
    clear. So all is done in place that the weights allow.
    """

    def __init__(self, block: ResidualBlock) -> None:
        super().__init__()
        self.norm, self.first, self.second = block.norm, block.first, block.second
        self.slope = block.activation.negative_slope

    def forward(self, x: Tensor) -> Tensor:
        """(n, width, y, x) -> (n, width, y, x); x is left as it is."""
        power = x.square().mean(1, keepdim=True)  # (n, 1, y, x)
        inner = (x * rsqrt(power + SMALLEST_POWER)).mul_(self.norm.gain).add_(self.norm.bias)
        inner = self.first(functional.leaky_relu_(inner, self.slope))
        return self.second(functional.leaky_relu_(inner, self.slope)).add_(x)


def for_inference(network: Network) -> Network:
    """A network that shares the weights of `network` and gives its finest output alone, without gradients.

    Results agree to the rounding of float32. The layout's blocks are exchanged, not its way through them, so
    a layout without such blocks comes back as it is but for its coarse outputs.
    """
    shared = {id(weight): nn.Parameter(weight.detach(), False) for weight in network.parameters()}
    fast = copy.deepcopy(network, shared)  # a copy of the modules, not of the weights
    for module in list(fast.modules()):
        for name, child in module.named_children():
            if isinstance(child, ResidualBlock):
                setattr(module, name, InPlaceBlock(child))
    fast.heads = fast.heads[:1]
    return fast.eval()
