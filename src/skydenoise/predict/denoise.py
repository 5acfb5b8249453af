"""One brick: fill, units of noise, stretch, network on tiles, blend, and back; recover, sigma, flags."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from skydenoise import __version__
from skydenoise.config import PredictSettings, check_precision
from skydenoise.errors import BrickError, SettingsError
from skydenoise.fill import fill
from skydenoise.io import Brick, Denoised, flag_bit
from skydenoise.network import ModelDescription, for_inference, load_model
from skydenoise.network.device import cuda_usable, to_numpy
from skydenoise.noise import NoiseModel, measure_brick_noise, neighbour_correlation
from skydenoise.predict.background import smooth_residual
from skydenoise.predict.flags import inpainted_pixels, low_coverage
from skydenoise.predict.fluxes import fit_fluxes
from skydenoise.predict.recover import recover
from skydenoise.predict.tiles import Blender, Origin, TileGrid, cut_tiles
from skydenoise.predict.uncertainty import UncertaintyModel

Array = NDArray[Any]

logger = logging.getLogger(__name__)

UNCERTAINTY_FILE = "uncertainty.json"
"""Beside model.safetensors and model.json."""

STRIP_ROWS = 256
"""Rows unstretched at a time."""

PIXELS_ON_CPU, PIXELS_ON_GPU = 256**2, 32 * 256**2
"""In one pass through the network: what stays in a CPU's caches, and in memory that the C library keeps for
the next pass; and what keeps a GPU busy between the starts of its kernels."""


@dataclass(frozen=True)
class Denoiser:
    """All that is needed to denoise a brick.

    network : module of (n, band, y, x) stretched values -> outputs, the finest first, in evaluation mode, on
        `device`
    description : of the model: its bands, stretch and noise
    settings : tiles and recovery
    uncertainty : measured ratios; None (while they are being measured) stands for the noise of the input
    device : "cpu", "cuda", "cuda:1", ...

    Raises
    ------
    SettingsError : the tile does not fit the network, or the uncertainty was measured under other conditions
    """

    network: torch.nn.Module
    description: ModelDescription
    settings: PredictSettings
    uncertainty: UncertaintyModel | None = None
    device: str = "cpu"

    def __post_init__(self) -> None:
        stride = self.description.architecture.stride
        if self.settings.tile % stride:
            raise SettingsError(
                f"predict.tile: {self.settings.tile} is not a multiple of the network's stride {stride}"
            )
        if self.uncertainty is not None and self.uncertainty.conditions != self.conditions:
            raise SettingsError(
                "predict: the uncertainty was measured for another model or other settings; measure it again "
                f"({self.uncertainty.conditions} is not {self.conditions})"
            )

    @property
    def conditions(self) -> str:
        """What decides on the errors of a denoised pixel, as one line: model, tiles, recovery."""
        settings = self.settings
        content = {
            "model": self.description.sha256,
            "tile": settings.tile,
            "overlap": settings.overlap,
            "recover": asdict(settings.recover) if settings.recover.enabled else False,
            "background": settings.background,
        }
        return json.dumps(content, sort_keys=True)

    @property
    def batch_tiles(self) -> int:
        """Tiles in one pass through the network."""
        if isinstance(self.settings.batch_tiles, int):
            return self.settings.batch_tiles
        pixels = PIXELS_ON_CPU if self.device == "cpu" else PIXELS_ON_GPU
        return max(1, pixels // self.settings.tile**2)

    @property
    def key(self) -> str:
        """Digest of all that decides on a denoised brick beside its pixels."""
        uncertainty = None if self.uncertainty is None else self.uncertainty.to_json()
        content = [__version__, self.description.sha256, asdict(self.settings), uncertainty]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def load_denoiser(folder: Path, settings: PredictSettings, device: str = "auto") -> Denoiser:
    """Denoiser of a model's folder, with its uncertainty if it was measured (`calibrate`).

    device : "auto" takes the first CUDA device if there is one, else the CPU

    Raises
    ------
    SettingsError : see Denoiser; or the network does not bear bfloat16 (`check_precision`)
    """
    if device == "auto":
        device = "cuda" if cuda_usable() else "cpu"
    torch.backends.cudnn.allow_tf32 = False  # float32 is float32 on every device
    network, description = load_model(folder, device)
    check_precision(description.architecture, settings)
    file = folder / UNCERTAINTY_FILE
    uncertainty = (
        UncertaintyModel.from_json(json.loads(file.read_text(encoding="utf-8"))) if file.exists() else None
    )
    fast = for_inference(network, getattr(torch, settings.precision))
    sha256, bands = description.sha256[:12], " ".join(description.bands)
    logger.info("model %s on %s in %s, bands %s", sha256, device, settings.precision, bands)
    return Denoiser(fast, description, settings, uncertainty, device)


def denoise_brick(brick: Brick, denoiser: Denoiser, noise: NoiseModel | None = None) -> Denoised:
    """Denoised image, uncertainty and flags of one brick.

    noise : of the brick; None measures it (`noise_of`)

    Raises
    ------
    BrickError : other bands than the model's, smaller than a tile, no usable pixel at all, or no finite
        result; or noise that the model was not trained for, if the settings say to skip it
    """
    noise = noise_of(brick, denoiser) if noise is None else noise
    image, recovered = estimate_sky(brick, noise, denoiser)
    return with_sigma_and_flags(brick, noise, denoiser, image, recovered)


def noise_of(brick: Brick, denoiser: Denoiser) -> NoiseModel:
    """Noise and background level of a brick; the log says if the model was not trained for it.

    Raises
    ------
    BrickError : it was not, and `predict.foreign_noise` is "skip"; or see check_brick
    """
    check_brick(brick, denoiser)
    noise = measure_brick_noise(brick, denoiser.description.noise)
    rho = neighbour_correlation(noise)
    if foreign := denoiser.description.holds_for.foreign(noise.bands, noise.sigma_sky, rho):
        text = f"the model was not trained for its noise ({foreign})"
        if denoiser.settings.foreign_noise == "skip":
            raise BrickError(
                text, brick=brick.name, remedy="train on such bricks, or predict.foreign_noise: warn"
            )
        logger.warning("brick %s: %s", brick.name, text)
    return noise


def estimate_sky(brick: Brick, noise: NoiseModel, denoiser: Denoiser) -> tuple[Array, Array]:
    """Denoised image, and where significant residual was put back.

    The network sees v = (x - level) / sigma, every pixel in units of its own noise. What it gives is brought
    back to nanomaggies, then the smooth plane of the residual is put back (`background`), then its
    significant detail (`recover`), both as the settings say.

    noise : of the brick

    Returns
    -------
    image (band, y, x) float32, nanomaggies, filled with something smooth where there is no data; recovered
    (band, y, x) bool

    Raises
    ------
    BrickError : see denoise_brick
    """
    check_brick(brick, denoiser)
    usable, sigma, zero = brick.usable, noise.sigma(brick.invvar), noise.zero
    unit = fill(sigma, usable)
    unit[(unit == 0).all(axis=(1, 2))] = 1  # a band without data
    image = apply_network((fill(brick.image, usable) - zero) / unit, brick, denoiser)
    image *= unit
    image += zero
    settings = denoiser.settings
    if settings.background == "keep":
        image += smooth_residual(brick.image - zero, image - zero, sigma, usable)
    if (
        not settings.recover.enabled
    ):  # then the levels of the noise need not be such that `recover` takes them
        return image, np.zeros(usable.shape, dtype=bool)
    chain = sigma, usable, noise.levels
    image, recovered = recover(brick.image, image, *chain, settings.recover, denoiser.device)
    return fit_fluxes(brick.image, image, *chain, denoiser.device), recovered


def with_sigma_and_flags(
    brick: Brick, noise: NoiseModel, denoiser: Denoiser, image: Array, recovered: Array
) -> Denoised:
    """Uncertainty and flags beside what `estimate_sky` returned; its image may be overwritten.

    - A pixel without coverage: image 0, sigma NaN, NODATA.
    - A saturated or bad pixel: the network's inpainting, sigma NaN, INPAINTED. One without coverage is
      inpainted only within half a tile of a measured pixel; farther away the network would make up the sky,
      so it has no data.
    - RECOVERED where residual was put back; LOWCOV where invvar is below `low_coverage` of its median over
      covered pixels.
    """
    inpainted = inpainted_pixels(brick, reach=denoiser.settings.tile // 2)
    no_data = (brick.invvar <= 0) & ~inpainted
    noise_sigma = noise.sigma(brick.invvar)
    if denoiser.uncertainty is None:
        sigma = noise_sigma
    else:
        sigma = denoiser.uncertainty.sigma(image, noise_sigma, recovered, denoiser.device)
    image[no_data] = 0
    sigma[no_data | inpainted] = np.nan
    flags = np.zeros(brick.shape, dtype=np.int32)
    low = low_coverage(brick.invvar, denoiser.settings.low_coverage)
    kinds = {"NODATA": no_data, "RECOVERED": recovered, "INPAINTED": inpainted, "LOWCOV": low}
    for kind, where in kinds.items():
        for band, plane in enumerate(where):
            np.bitwise_or(flags, 1 << flag_bit(kind, band), out=flags, where=plane)
    return Denoised(image, sigma, flags)


def check_brick(brick: Brick, denoiser: Denoiser) -> None:
    """Raise BrickError if this denoiser cannot do this brick; see denoise_brick."""
    bands, tile = denoiser.description.bands, denoiser.settings.tile
    if brick.bands != bands:
        raise BrickError(
            f"its bands are {' '.join(brick.bands)}, the model's are {' '.join(bands)}", brick=brick.name
        )
    if min(brick.shape) < tile:
        height, width = brick.shape
        raise BrickError(
            f"image {width}x{height} is smaller than a tile of {tile}",
            brick=brick.name,
            remedy="set predict.tile",
        )
    if not brick.usable.any():
        raise BrickError("not one usable pixel (invvar > 0, not masked) in any band", brick=brick.name)


def apply_network(filled: Array, brick: Brick, denoiser: Denoiser) -> Array:
    """The network's image of one without gaps: (band, y, x) float32; 0 in tiles without data.

    filled : (band, y, x) float32, as the image that is returned in units of the noise of each pixel

    What goes in and out of the network, what its blocks add up, and the blend are float32 on every device:
    with the 8 bits of bfloat16 a stretched value of 5 would be known to 0.016, the flux of a bright pixel to
    1.6 %. Factors in its convolutions have fewer bits where `predict.precision` is bfloat16.

    Raises
    ------
    BrickError : a value that is not finite
    """
    settings, stretch = denoiser.settings, denoiser.description.stretch
    flux = torch.from_numpy(filled).to(denoiser.device)
    blender = Blender(
        TileGrid(*brick.shape, settings.tile, settings.overlap), len(brick.bands), denoiser.device
    )
    result = blender.result
    with torch.inference_mode():
        for origins in batches(tiles_with_data(brick, blender.grid), denoiser.batch_tiles):
            tiles = stretch.forward(cut_tiles(flux, origins, settings.tile))  # (n, band, tile, tile)
            blender.add(origins, denoiser.network(tiles)[0])
        for rows in result.split(
            STRIP_ROWS, dim=1
        ):  # in place: a brick is 155 MB, and it would take two more
            rows.copy_(stretch.inverse(rows))
    image = to_numpy(result)
    if not np.isfinite(image).all():
        raise BrickError("the network's image is not finite everywhere", brick=brick.name)
    return image


def tiles_with_data(brick: Brick, grid: TileGrid) -> list[Origin]:
    """Origins of tiles in which some pixel of some band is covered or masked."""
    data = ((brick.invvar > 0) | brick.masked).any(axis=0)
    return [(y, x) for y, x in grid.origins if data[y : y + grid.tile, x : x + grid.tile].any()]


def batches(origins: Sequence[Origin], size: int) -> Iterator[Sequence[Origin]]:
    """Consecutive runs of at most `size` origins."""
    for start in range(0, len(origins), size):
        yield origins[start : start + size]
