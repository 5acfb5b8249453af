"""The published layout: Wang et al. 2021, arXiv:2112.01511, and the authors' own code (mssd).

With levels 5, width 8, bottleneck 64 and 16 residual blocks it has the published 7.3-7.5 million parameters.
What was not taken over: sigmoid heads (see `Network`), and one gain and bias for all channels of a
normalisation (here one per channel).
"""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, cat, nn

from skydenoise.config import Architecture


class Block(nn.Sequential):
    """Transposed convolution, then convolution, both without padding: the size is preserved."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, *, norm: bool = True) -> None:
        super().__init__(
            nn.ConvTranspose2d(inputs, outputs, kernel),  # (n, outputs, y + kernel - 1, x + kernel - 1)
            nn.GroupNorm(1, outputs) if norm else nn.Identity(),
            nn.LeakyReLU(0.2),
            nn.Conv2d(outputs, outputs, kernel),  # (n, outputs, y, x)
            nn.GroupNorm(1, outputs) if norm else nn.Identity(),
            nn.LeakyReLU(0.2),
        )


class ParallelBlocks(nn.Module):
    """Blocks with different kernels side by side, concatenated to `width` channels."""

    def __init__(self, width: int, kernels: tuple[int, ...]) -> None:
        super().__init__()
        shares = [width // len(kernels) + (i < width % len(kernels)) for i in range(len(kernels))]
        self.blocks = nn.ModuleList(
            Block(width, share, kernel) for share, kernel in zip(shares, kernels, strict=True) if share
        )

    def forward(self, x: Tensor) -> Tensor:
        """(n, width, y, x) -> (n, width, y, x)."""
        return cat([block(x) for block in self.blocks], dim=1)


class ResidualBlock(nn.Module):
    """x + Block(x)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.block = Block(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """(n, width, y, x) -> (n, width, y, x)."""
        return x + self.block(x)


class PaperLayout(nn.Module):
    """Encoder, bottleneck and decoder; `widths` are the channels of the features, fine to coarse."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        levels, width = architecture.levels, architecture.width
        encoder = [min(width * 2**level, 8 * width) for level in range(levels + 1)]  # 8-16-32-64-64-64
        inner = 16 * width
        self.widths = tuple(min(width * 2**level, inner) for level in range(levels))  # 8-16-32-64-128
        stages: list[nn.Module] = [
            Block(architecture.bands, width, norm=False),
            ParallelBlocks(width, (1, 3, 5, 7)),
        ]
        for fine, coarse in pairwise(encoder):
            stages += [
                nn.Conv2d(fine, coarse, 3, stride=2, padding=1),  # (n, coarse, y/2, x/2)
                Block(coarse, coarse),
                ParallelBlocks(coarse, (3, 5)),
            ]
        self.encoder = nn.Sequential(*stages)
        self.bottleneck = nn.Sequential(
            Block(encoder[-1], architecture.bottleneck),  # (n, bottleneck, y/2**levels, x/2**levels)
            Block(architecture.bottleneck, inner),
            *(ResidualBlock(inner) for _ in range(architecture.residual_blocks)),
        )
        coarser = (*self.widths[1:], inner)
        self.decoder = nn.ModuleList(
            nn.Sequential(
                nn.ConvTranspose2d(coarse, fine, 4, stride=2, padding=1),  # (n, fine, 2y, 2x)
                nn.Conv2d(fine, fine, 3, padding=1),
                Block(fine, fine),
                ParallelBlocks(fine, (3, 5)),
            )
            for fine, coarse in zip(self.widths, coarser, strict=True)
        )

    def forward(self, u: Tensor) -> list[Tensor]:
        """(n, band, y, x) -> features (n, widths[0], y, x), (n, widths[1], y/2, x/2), ..., fine to coarse."""
        x = self.bottleneck(self.encoder(u))  # (n, inner, y/2**levels, x/2**levels)
        features = []
        for stage in reversed(self.decoder):
            x = stage(x)
            features.append(x)
        return features[::-1]
