"""The lean network in a few dozen GPU kernels, one for each convolution and all that lies before the next.

With its few channels a convolution takes a GPU less time than the passes over memory around it: norms,
activations and sums are done here while a pixel's channels are in registers. Factors are float16, whose 11
bits are those of TF32, rounded to nearest; sums, norms and what blocks add up are float32
(docs/performance.md).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import zip_longest

import torch
import triton
import triton.language as tl
from torch import Tensor, nn
from torch.nn import functional

from skydenoise.network import residual_unet as lean
from skydenoise.network.folder import Network
from skydenoise.network.inference import rounded_weight
from skydenoise.network.residual_unet import SLOPE, SMALLEST_POWER, LeanLayout, PixelNorm, ResidualBlock

FACTOR = torch.float16
LEAST_CHANNELS = 16
"""Of a matrix product on a GPU; with fewer the rest is zeros."""

MOST_CHANNELS_AT_ONCE = 64
"""Of the features that go into a product: what a multiprocessor has room for beside the weights."""

RESULTS = 128 * 128
"""Numbers that a program gathers at most, pixels times channels: what its registers hold."""

_SLOPE = tl.constexpr(SLOPE)
_POWER = tl.constexpr(SMALLEST_POWER)


@triton.jit
def convolve(  # type: ignore[no-untyped-def]
    x, weight, bias, out, more, coarse, normed, gain, offset,
    in_height, in_width, height, width,
    IN: tl.constexpr, IN_SPACE: tl.constexpr, IN_STEP: tl.constexpr, OUT: tl.constexpr, SPACE: tl.constexpr,
    SIZE: tl.constexpr, STRIDE: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
    PLANES: tl.constexpr, ADD: tl.constexpr, RISE: tl.constexpr, ACTIVATE: tl.constexpr,
    NORM: tl.constexpr, SKIP: tl.constexpr,
):  # fmt: skip
    """ROWS x COLUMNS pixels of one image: their convolution, and what comes after it.

    x (n, y, x, IN), or (n, IN, y, x) if PLANES; weight (SIZE**2, IN_SPACE, SPACE) and bias (SPACE,), zero
    where there are no such channels; out (n, y, x, OUT), or (n, OUT, y, x) if SKIP

    ADD : `more` (as out) to the result
    RISE : `coarse` (n, y/2, x/2, OUT), enlarged, to the result
    ACTIVATE : then a leaky ReLU
    NORM : `normed` gets the norm of the result, and a leaky ReLU after it
    SKIP : the result is d, and `more` u: u tanh(u)**2 + d / cosh(u)
    """
    pixel = tl.arange(0, ROWS * COLUMNS)
    row = tl.program_id(1) * ROWS + pixel // COLUMNS
    column = tl.program_id(0) * COLUMNS + pixel % COLUMNS
    image = tl.program_id(2).to(tl.int64)
    channel = tl.arange(0, SPACE)
    x += image * in_height * in_width * IN
    found = tl.zeros((ROWS * COLUMNS, SPACE), tl.float32)
    for tap in range(SIZE * SIZE):
        from_row = row * STRIDE + (tap // SIZE - SIZE % 2 * (SIZE // 2))
        from_column = column * STRIDE + (tap % SIZE - SIZE % 2 * (SIZE // 2))
        inside = (from_row >= 0) & (from_row < in_height) & (from_column >= 0) & (from_column < in_width)
        place = from_row * in_width + from_column
        for first in tl.static_range(0, IN_SPACE, IN_STEP):
            source = first + tl.arange(0, IN_STEP)
            if PLANES:
                at = place[:, None] + source[None, :] * (in_height * in_width)
            else:
                at = place[:, None] * IN + source[None, :]
            there = inside[:, None] & (source < IN)[None, :] if IN < IN_SPACE else inside[:, None]
            values = tl.load(x + at, mask=there, other=0.0)
            factors = tl.load(weight + (tap * IN_SPACE + source[:, None]) * SPACE + channel[None, :])
            found = tl.dot(values.to(factors.dtype), factors, found)
    found += tl.load(bias + channel)[None, :]

    place = row * width + column
    there = ((row < height) & (column < width))[:, None]
    there = there & (channel < OUT)[None, :] if OUT < SPACE else there
    if SKIP:
        at = image * height * width * OUT + place[:, None] + channel[None, :] * (height * width)
        u = tl.load(more + at, mask=there, other=0.0)
        decay = tl.exp(-tl.abs(u))
        sech = 2 * decay / (1 + decay * decay)
        found = u * (1 - sech * sech) + found * sech
    else:
        at = image * height * width * OUT + place[:, None] * OUT + channel[None, :]
        if ADD:
            found += tl.load(more + at, mask=there, other=0.0)
        if RISE:
            under = image * (height // 2) * (width // 2) + row // 2 * (width // 2) + column // 2
            found += tl.load(coarse + under[:, None] * OUT + channel[None, :], mask=there, other=0.0)
        if ACTIVATE:
            found = tl.maximum(found, found * _SLOPE)
    tl.store(out + at, found.to(out.dtype.element_ty), mask=there)
    if NORM:
        power = tl.sum(found * found, axis=1) / OUT + _POWER
        inner = found * tl.rsqrt(power)[:, None]
        inner = inner * tl.load(gain + channel)[None, :] + tl.load(offset + channel)[None, :]
        inner = tl.maximum(inner, inner * _SLOPE)
        tl.store(normed + at, inner.to(normed.dtype.element_ty), mask=there)


@dataclass(frozen=True, eq=False)
class Features:
    """What a convolution gives.

    values : (n, y, x, channel), float16 after an activation, else float32; of a head (n, band, y, x)
    ready : the values after norm and activation of the block that follows, float16; None if none does
    """

    values: Tensor
    ready: Tensor | None = None


class Convolution:
    """A convolution of features (n, y, x, channel), and what comes after it.

    weight, bias : (to, from, size, size) and (to,); size is 3 (with a border of zeros), 1, or the stride
    stride : pixels from one to the next
    norm : of the block that follows, if one does
    """

    planes = activated = skip = False

    def __init__(self, weight: Tensor, bias: Tensor, stride: int = 1, norm: PixelNorm | None = None) -> None:
        self.to, self.given, self.size, _ = weight.shape
        self.stride = stride
        space, given_space = (max(LEAST_CHANNELS, triton.next_power_of_2(n)) for n in (self.to, self.given))
        by_tap = rounded_weight(weight, FACTOR).permute(2, 3, 1, 0).flatten(0, 1)  # (size**2, from, to)
        missing = (0, space - self.to, 0, given_space - self.given)
        self.weight = functional.pad(by_tap, missing).contiguous()
        vectors = (bias, norm.gain, norm.bias) if norm else (bias,)
        self.vectors = [functional.pad(each.flatten(), missing[:2]) for each in vectors]
        pixels = min(128, RESULTS // space)
        self.columns = 16 if pixels == 128 else 8
        self.rows = pixels // self.columns

    def __call__(self, x: Tensor, more: Tensor | None = None, coarse: Tensor | None = None) -> Features:
        """The convolution of `x`, to which are added `more` and `coarse`, enlarged; all contiguous.

        x : (n, y, x, from) float32 or float16
        more : (n, y, x, to) float32, overwritten by the sum
        coarse : (n, y/2, x/2, to) float32
        """
        n, height, width = (x.shape[0], *x.shape[2:]) if self.planes else x.shape[:3]
        shape = n, height // self.stride, width // self.stride, self.to
        dtype = FACTOR if self.activated else torch.float32
        out = x.new_empty(shape, dtype=dtype) if more is None else more
        if self.skip:
            out = torch.empty_like(out)
        ready = x.new_empty(shape, dtype=FACTOR) if len(self.vectors) > 1 else None
        bias, gain, offset = (*self.vectors, None, None)[:3]
        programs = triton.cdiv(shape[2], self.columns), triton.cdiv(shape[1], self.rows), n
        convolve[programs](
            x, self.weight, bias, out, more, coarse, ready, gain, offset, height, width, *shape[1:3],
            IN=self.given, IN_SPACE=self.weight.shape[1], OUT=self.to, SPACE=self.weight.shape[2],
            IN_STEP=min(MOST_CHANNELS_AT_ONCE, self.weight.shape[1]), SIZE=self.size, STRIDE=self.stride,
            ROWS=self.rows, COLUMNS=self.columns, PLANES=self.planes, SKIP=self.skip,
            ADD=more is not None and not self.skip, RISE=coarse is not None, ACTIVATE=self.activated,
            NORM=ready is not None, num_stages=1,
        )  # fmt: skip
        return Features(out, ready)


class Activated(Convolution):
    """The same with an activation after it."""

    activated = True


class Stem(Convolution):
    """The same of an image (n, band, y, x) float32."""

    planes = True


class Head(Convolution):
    """The network's output (n, band, y, x) from its last features and, as `more`, its input, which stays."""

    skip = True


class Block:
    """A `ResidualBlock` whose norm and first activation are done before it."""

    def __init__(self, block: ResidualBlock, following: ResidualBlock | None = None) -> None:
        self.first = convolution(block.first, kind=Activated)
        self.second = convolution(block.second, following)

    def __call__(self, features: Features) -> Features:
        """The sum overwrites the values of `features`."""
        assert features.ready is not None
        return self.second(self.first(features.ready).values, more=features.values)


class Merge:
    """`lean.Merge` and the convolution before it that shrinks the coarse features: one product of the two."""

    def __init__(self, shrink: nn.Module, merge: nn.Module, following: ResidualBlock) -> None:
        assert isinstance(shrink, nn.Conv2d)
        assert isinstance(merge, lean.Merge)
        assert shrink.bias is not None
        of_coarse, of_fine = merge.weight.flatten(1).chunk(2, dim=1)  # (to, from)
        of_coarse, bias = of_coarse @ shrink.weight.flatten(1), of_coarse @ shrink.bias + merge.bias
        self.of_coarse = Convolution(of_coarse[..., None, None], bias)
        self.of_fine = Convolution(of_fine[..., None, None], torch.zeros_like(bias), norm=following.norm)

    def __call__(self, coarse: Tensor, fine: Tensor) -> Features:
        """(n, y/2, x/2, wider), (n, y, x, width) -> (n, y, x, width)."""
        return self.of_fine(fine, coarse=self.of_coarse(coarse).values)


class FusedNetwork(nn.Module):
    """The finest output of a lean network with skips, without gradients, on the GPU of its weights."""

    @torch.no_grad()
    def __init__(self, network: Network) -> None:
        super().__init__()
        layout = network.layout
        assert isinstance(layout, LeanLayout)
        encoder, decoder = blocks(layout.encoder), blocks(layout.decoder)
        narrow, widen, *deepest = layout.bottleneck
        last = blocks(deepest)
        self.stem = convolution(layout.stem, encoder[0], Stem)
        self.encoder = [Block(block) for block in encoder]
        self.down = [convolution(*pair) for pair in zip_longest(layout.down, encoder[1:])]
        self.narrow, self.widen = convolution(narrow), convolution(widen, last[0] if last else None)
        self.deepest = [Block(*pair) for pair in zip_longest(last, last[1:])]
        self.merge = [
            Merge(up.get_submodule("0"), merge, block)
            for up, merge, block in zip(layout.up, layout.merge, decoder, strict=True)
        ]
        self.decoder = [Block(block) for block in decoder]
        self.head = convolution(network.heads[0], kind=Head)
        self.stride = network.architecture.stride
        self.eval()

    def forward(self, u: Tensor) -> tuple[Tensor]:
        """(n, band, y, x) stretched values, float32 -> the same of the output.

        Raises ValueError : y or x is no multiple of the network's stride, or another dtype
        """
        if u.dtype != torch.float32 or u.shape[2] % self.stride or u.shape[3] % self.stride:
            raise ValueError(
                f"{u.dtype} {tuple(u.shape)}: float32 and multiples of {self.stride} are expected"
            )
        with torch.cuda.device_of(u):
            u = u.contiguous()
            features, encoded = self.stem(u), []
            for block, down in zip(self.encoder, self.down, strict=True):
                encoded.append(block(features).values)
                features = down(encoded[-1])
            features = self.widen(self.narrow(features.values).values)
            for block in self.deepest:
                features = block(features)
            for merge, block in zip(reversed(self.merge), reversed(self.decoder), strict=True):
                features = block(merge(features.values, encoded.pop()))
            return (self.head(features.values, more=u).values,)


def convolution(
    module: nn.Module, following: ResidualBlock | None = None, kind: type[Convolution] = Convolution
) -> Convolution:
    """Of a convolution; `following` is the block that follows, if one does."""
    assert isinstance(module, nn.Conv2d)
    assert module.bias is not None
    return kind(module.weight, module.bias, module.stride[0], following.norm if following else None)


def blocks(modules: Iterable[nn.Module]) -> list[ResidualBlock]:
    """The same, known to be blocks."""
    return [each for each in modules if isinstance(each, ResidualBlock)]
