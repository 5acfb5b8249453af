"""The autoencoder: a layout, and a head for each resolution of the output."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from skydenoise.config import Architecture
from skydenoise.errors import SettingsError
from skydenoise.network.published import PaperLayout
from skydenoise.network.residual_unet import ResidualUNet

MOST_WEIGHTS = 10**9
"""Of a network; the published one has 7.4 million. A training holds four numbers for each."""


def check_size(architecture: Architecture) -> None:
    """Raise SettingsError if a network has more than MOST_WEIGHTS weights; takes no memory for one."""
    with torch.device("meta"):
        state = Network(architecture).state_dict()
    if (count := sum(value.numel() for value in state.values())) > MOST_WEIGHTS:
        raise SettingsError(
            f"model: {count:.2g} weights are more than the {MOST_WEIGHTS:.0e} that are allowed; lower "
            "model.width, levels, bottleneck or residual_blocks"
        )


class Network(nn.Module):
    """Autoencoder of stretched images, built as `architecture` says.

    It gives an image at several resolutions (multi-resolution CNN, Wang et al. 2020, Sci. Rep. 10), all as
    stretched values without unit. Heads are linear, because a sky has negative pixels and stars of any
    brightness.

    Without skips the outputs see the input through the bottleneck alone. With skips an output is
    u tanh(u)**2 + d / cosh(u), with d from its head and u the input, 2x2 averaged as often as it takes. The
    first term keeps bright pixels and shrinks noise (|u| << 1) to almost nothing: training starts from there.
    The factor of d is du/dx in units of the softening: what is left to learn is of order 1 at most (to get
    the input back, u / cosh(u)), however bright the pixel is.
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture = architecture
        self.layout = (
            PaperLayout(architecture) if architecture.layout == "paper" else ResidualUNet(architecture)
        )
        kernels = (9, 7, 5, 3) if architecture.layout == "paper" else (3,)
        channels = architecture.bands * architecture.fold**2
        self.heads = nn.ModuleList(
            nn.Conv2d(width, channels, kernel := kernels[min(k, len(kernels) - 1)], padding=kernel // 2)
            for k, width in enumerate(self.layout.widths[: architecture.outputs])
        )
        if architecture.skips:
            for parameter in self.heads.parameters():  # training starts with d = 0
                nn.init.zeros_(parameter)

    def forward(self, u: Tensor) -> tuple[Tensor, ...]:
        """Images at 1/1, 1/2, 1/4, ..., `outputs` of them.

        u : (n, band, y, x) stretched values; y and x multiples of `architecture.stride`

        Returns (n, band, y, x), (n, band, y/2, x/2), ..., in the dtype of u, also under autocast: bfloat16
        would round the flux of a bright pixel by percents.
        """
        features = self.layout(
            u.contiguous(memory_format=torch.channels_last)
        )  # (n, c, y, x), (n, c, y/2, x/2)
        outputs = []
        for k, (head, feature) in enumerate(zip(self.heads, features, strict=False)):
            with torch.autocast(u.device.type, enabled=False):
                folded = head(feature.to(u.dtype))  # (n, band * fold**2, y / fold / 2**k, x / fold / 2**k)
            output = functional.pixel_shuffle(folded, self.architecture.fold)  # (n, band, y/2**k, x/2**k)
            if self.architecture.skips:
                coarse = functional.avg_pool2d(u, 2**k) if k else u
                shrink = coarse.cosh().reciprocal()
                output = coarse + shrink * (output - shrink * coarse)  # 1 - tanh**2 = 1 / cosh**2
            outputs.append(output)
        return tuple(outputs)
