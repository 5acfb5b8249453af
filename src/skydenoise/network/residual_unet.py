"""Our own layout, a residual U-Net: fewer, wider steps than the published one, to learn fast on few cores.

Its stem folds cells of pixels into channels, so that nothing but the last layer works on single pixels.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from skydenoise.config import Architecture

WIDEST = 8
"""Channels double with every halving of the resolution, up to this multiple of `width / fold`."""

SMALLEST_POWER = 1e-3
"""Mean square of a pixel's channels below which the norm lets it fade: the noise of a sky is above it."""

SLOPE = 0.2
"""Of the leaky ReLU below 0."""

FAR = 5
"""Edge of the depthwise kernels, pixels."""


class PixelNorm(nn.Module):
    """Each pixel divided by the rms of its channels, then a gain and a bias per channel.

    Nothing is shared between pixels, so a pixel's value does not depend on where its tile was cut, nor on a
    bright star elsewhere in it. In short trainings it did better than mean and rms of the whole tile
    (GroupNorm(1), the paper's), and both did better than no norm. Running statistics made predictions
    unstable.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(width, 1, 1))
        self.bias = nn.Parameter(torch.zeros(width, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """(n, width, y, x) -> (n, width, y, x)."""
        return x * torch.rsqrt(x.square().mean(1, keepdim=True) + SMALLEST_POWER) * self.gain + self.bias


class ResidualBlock(nn.Module):
    """x + conv(act(conv(act(norm(x))))), nearly x itself before training."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = PixelNorm(width)
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        self.activation = nn.LeakyReLU(SLOPE)
        with torch.no_grad():
            for parameter in self.second.parameters():
                parameter.mul_(0.1)

    def forward(self, x: Tensor) -> Tensor:
        """(n, width, y, x) -> (n, width, y, x)."""
        inner = self.first(self.activation(self.norm(x)))
        return x + self.second(self.activation(inner))


class GatedBlock(nn.Module):
    """x + shrink(a * b) with a, b = expand(norm(depthwise(x))), nearly x itself before training.

    As in ConvNeXt (Liu et al. 2022, CVPR) each channel sees far by itself, then the channels of a pixel are
    mixed; as in NAFNet (Chen et al. 2022, ECCV) half of them are multiplied by the other half, in place of an
    activation. Less than half the work of a `ResidualBlock` of the same width (docs/decisions/network.md).
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(width, width, FAR, padding=FAR // 2, groups=width)
        self.norm = PixelNorm(width)
        self.expand = nn.Conv2d(width, 2 * width, 1)
        self.shrink = nn.Conv2d(width, width, 1)
        with torch.no_grad():
            for parameter in self.shrink.parameters():
                parameter.mul_(0.1)

    def forward(self, x: Tensor) -> Tensor:
        """(n, width, y, x) -> (n, width, y, x)."""
        one, other = self.expand(self.norm(self.depthwise(x))).chunk(2, dim=1)
        return x + self.shrink(one * other)


BLOCKS: dict[str, type[ResidualBlock | GatedBlock]] = {"full": ResidualBlock, "gated": GatedBlock}
"""By their name in `model.block`."""


class Merge(nn.Module):
    """1x1 convolution of coarse features, enlarged, and fine ones side by side.

    It is the sum of one of each, and the coarse one can be had before it is enlarged: a quarter of the work,
    and no copy of the two.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Conv2d(2 * width, width, 1).parameters()

    def forward(self, coarse: Tensor, fine: Tensor) -> Tensor:
        """(n, width, y/2, x/2), (n, width, y, x) -> (n, width, y, x)."""
        of_coarse, of_fine = self.weight.chunk(2, dim=1)
        risen = functional.interpolate(functional.conv2d(coarse, of_coarse), scale_factor=2.0)
        return functional.conv2d(fine, of_fine, self.bias).add_(risen)


class ResidualUNet(nn.Module):
    """Encoder, bottleneck and decoder, with skip connections between the two if the architecture has them.

    Attributes
    ----------
    widths : channels of the features, fine to coarse; the finest have one place for a cell of
        `architecture.fold` x `fold` pixels
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        levels, width, narrow = architecture.levels, architecture.width, architecture.bottleneck
        fold = architecture.fold
        *fine, deepest = [min(width * 2**level, WIDEST * width // fold) for level in range(levels + 1)]
        coarse = (*fine[1:], deepest)
        self.widths = tuple(fine)
        self.stem = nn.Conv2d(architecture.bands, width, fold + 2, stride=fold, padding=1)
        block = BLOCKS[architecture.block]
        self.encoder = nn.ModuleList(block(each) for each in fine)
        self.down = nn.ModuleList(nn.Conv2d(a, b, 2, stride=2) for a, b in zip(fine, coarse, strict=True))
        self.bottleneck = nn.Sequential(
            nn.Conv2d(deepest, narrow, 1),  # (n, bottleneck, y/stride, x/stride)
            nn.Conv2d(narrow, deepest, 1),
            *(block(deepest) for _ in range(architecture.residual_blocks)),
        )
        enlarge = () if architecture.skips else (nn.Upsample(scale_factor=2),)  # with skips, merges do it
        self.up = nn.ModuleList(
            nn.Sequential(nn.Conv2d(b, a, 1), *enlarge) for a, b in zip(fine, coarse, strict=True)
        )
        self.merge = nn.ModuleList(Merge(each) for each in fine if architecture.skips)
        self.decoder = nn.ModuleList(block(each) for each in fine)

    def forward(self, u: Tensor) -> list[Tensor]:
        """(n, band, fold y, fold x) -> features, fine to coarse.

        They are (n, widths[0], y, x), (n, widths[1], y/2, x/2), ...
        """
        x = self.stem(u)  # (n, widths[0], y, x)
        encoded = []
        for block, down in zip(self.encoder, self.down, strict=True):
            encoded.append(block(x))
            x = down(encoded[-1])  # (n, widths[k+1], y/2**(k+1), x/2**(k+1))
        x = self.bottleneck(x)  # (n, deepest, y/stride, x/stride)
        features = []
        for k in reversed(range(len(self.decoder))):
            x = self.up[k](x)
            if self.merge:
                x = self.merge[k](x, encoded[k])
            x = self.decoder[k](x)  # (n, widths[k], y/2**k, x/2**k)
            features.append(x)
        return features[::-1]
