"""Our own layout: fewer, wider steps than the published one, made to learn fast on few cores."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from skydenoise.settings import Architecture

WIDEST = 8
"""Channels double with every halving of the resolution, up to this multiple of `width`."""


class ResidualBlock(nn.Module):
    """x + conv(act(conv(act(norm(x))))), its second convolution small at first: a stack starts as identity.

    The norm takes mean and rms over channels and pixels of each sample, the paper's. Running statistics
    (batch normalisation) made predictions unstable, no norm at all cost fluxes at equal training.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(1, width)
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        self.activation = nn.LeakyReLU(0.2)
        with torch.no_grad():
            for parameter in self.second.parameters():
                parameter.mul_(0.1)

    def forward(self, x: Tensor) -> Tensor:
        """(n, width, y, x) -> (n, width, y, x)."""
        inner = self.first(self.activation(self.norm(x)))
        return x + self.second(self.activation(inner))


class LeanLayout(nn.Module):
    """Encoder, bottleneck and decoder; `widths` are the channels of the features, fine to coarse."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        levels, width, narrow = architecture.levels, architecture.width, architecture.bottleneck
        *fine, deepest = [min(width * 2**level, WIDEST * width) for level in range(levels + 1)]
        coarse = (*fine[1:], deepest)
        self.widths = tuple(fine)
        self.stem = nn.Conv2d(architecture.bands, width, 3, padding=1)
        self.encoder = nn.ModuleList(ResidualBlock(each) for each in fine)
        self.down = nn.ModuleList(nn.Conv2d(a, b, 2, stride=2) for a, b in zip(fine, coarse, strict=True))
        self.bottleneck = nn.Sequential(
            nn.Conv2d(deepest, narrow, 1),  # (n, bottleneck, y/stride, x/stride)
            nn.Conv2d(narrow, deepest, 1),
            *(ResidualBlock(deepest) for _ in range(architecture.residual_blocks)),
        )
        self.up = nn.ModuleList(
            nn.Sequential(nn.Conv2d(b, a, 1), nn.Upsample(scale_factor=2))
            for a, b in zip(fine, coarse, strict=True)
        )
        self.merge = nn.ModuleList(nn.Conv2d(2 * each, each, 1) for each in fine if architecture.skips)
        self.decoder = nn.ModuleList(ResidualBlock(each) for each in fine)

    def forward(self, u: Tensor) -> list[Tensor]:
        """(n, band, y, x) -> features (n, widths[0], y, x), (n, widths[1], y/2, x/2), ..., fine to coarse."""
        x = self.stem(u)  # (n, widths[0], y, x)
        encoded = []
        for block, down in zip(self.encoder, self.down, strict=True):
            encoded.append(block(x))
            x = down(encoded[-1])  # (n, widths[k+1], y/2**(k+1), x/2**(k+1))
        x = self.bottleneck(x)  # (n, deepest, y/stride, x/stride)
        features = []
        for k in reversed(range(len(self.decoder))):
            x = self.up[k](x)  # (n, widths[k], y/2**k, x/2**k)
            if self.merge:
                x = self.merge[k](torch.cat([x, encoded[k]], dim=1))
            x = self.decoder[k](x)
            features.append(x)
        return features[::-1]
