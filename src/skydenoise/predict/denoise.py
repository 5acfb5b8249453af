"""One brick: fill, units of noise, stretch, network on tiles, blend, and back; recover, sigma, flags."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from skydenoise.config import PredictSettings
from skydenoise.errors import BrickError
from skydenoise.fill import fill_nearby
from skydenoise.io import Brick, Denoised, flag_bit
from skydenoise.network.device import to_numpy
from skydenoise.noise import NoiseModel, measure_brick_noise, neighbour_correlation
from skydenoise.predict.background import put_light_back
from skydenoise.predict.denoiser import Denoiser
from skydenoise.predict.flags import inpainted_pixels, low_coverage
from skydenoise.predict.fluxes import fit_fluxes
from skydenoise.predict.recover import recover
from skydenoise.predict.tiles import Blender, Origin, TileGrid, cut_tiles
from skydenoise.predict.uncertainty import local_signal

Array = NDArray[Any]

logger = logging.getLogger(__name__)

STRIP_ROWS = 256
"""Rows unstretched at a time."""

BLANK = 0.3
"""Local signal, in units of the noise, below which an image shows nothing."""


def denoise_brick(brick: Brick, denoiser: Denoiser, noise: NoiseModel | None = None) -> Denoised:
    """Denoised image, uncertainty and flags of one brick.

    noise : of the brick; None measures it (`noise_of`)

    Raises
    ------
    BrickError : other bands than the model's, smaller than a tile, no usable pixel at all, or no finite
        result; or noise that the model was not trained for, if the settings say to skip it
    """
    noise = noise_of(brick, denoiser) if noise is None else noise
    alone = denoiser.settings.bands == "separate" and len(brick.bands) > 1
    if (alone or brick.present != brick.bands) and not denoiser.description.does_without_bands:
        logger.warning(
            "brick %s: the model was trained without train.band_dropout, so bands miss others", brick.name
        )
    image, recovered = estimate_sky(brick, noise, denoiser)
    sigma = sigma_of(brick, noise, denoiser, image, recovered)
    found = {"RECOVERED": recovered}
    if denoiser.settings.bands == "joint" and denoiser.settings.flag_borrowed and len(brick.present) > 1:
        found["BORROWED"] = borrowed_pixels(brick, noise, denoiser, image, sigma)
    return with_flags(brick, denoiser, image, sigma, found)


def noise_of(brick: Brick, denoiser: Denoiser) -> NoiseModel:
    """Noise and background level of a brick; the log says if the model was not trained for it.

    Raises
    ------
    BrickError : it was not, and `predict.foreign_noise` is "skip"; or see check_brick
    """
    check_brick(brick, denoiser)
    together = denoiser.settings.bands == "joint"
    noise = measure_brick_noise(brick, denoiser.description.noise, together=together)
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
    significant detail (`recover`), both as the settings say. With `predict.bands: separate` nothing of this
    knows of other bands, nor does the noise that `noise_of` finds.

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
    usable, reach = brick.usable, denoiser.settings.tile
    sigma = fill_nearby(noise.sigma(brick.invvar), usable, reach)
    sigma[sigma == 0] = 1
    pixels = fill_nearby(above_level(brick.image, noise), usable, reach)
    pixels /= sigma
    image = apply_network(pixels, brick, denoiser)
    image *= sigma
    del pixels
    settings, measured = denoiser.settings, above_level(brick.image, noise)
    if settings.background == "keep":
        put_light_back(measured, image, sigma, usable)
    recovered = np.zeros(usable.shape, dtype=bool)
    if settings.recover.enabled:  # else the levels of the noise need not be such that `recover` takes them
        for bands in groups(brick, settings):  # a band without data would raise the threshold of their sum
            seen, part = measured[bands], image[bands]
            chain = (sigma[bands], usable[bands], noise.levels[bands])
            recovered[bands] = recover(seen, part, *chain, settings.recover, denoiser.device)
            fit_fluxes(seen, part, *chain, denoiser.device)
            image[bands] = part
    if noise.zero.any():
        image += noise.zero
    return image, recovered


def above_level(image: Array, noise: NoiseModel) -> Array:
    """The image without the level of its background; itself, if that is 0."""
    return image - noise.zero if noise.zero.any() else image


Bands = slice | list[int]
"""Some planes of a leading axis; a view where it is a slice."""


def groups(brick: Brick, settings: PredictSettings) -> list[Bands]:
    """Bands that are denoised together; one that the brick lacks is in no group."""
    numbers = [brick.bands.index(band) for band in brick.present]
    if settings.bands == "separate":
        return [slice(number, number + 1) for number in numbers]
    return [numbers if len(numbers) < len(brick.bands) else slice(None)]


def borrowed_pixels(brick: Brick, noise: NoiseModel, denoiser: Denoiser, image: Array, sigma: Array) -> Array:
    """Where other bands decided: denoised alone, a band has another value, by more than the error of either.

    Only where either image shows something, a local signal above BLANK: two estimates of empty sky differ by
    as much as they err.

    image, sigma : denoised jointly, and its uncertainty

    Returns (band, y, x) bool.
    """
    other, put_back = estimate_sky(brick, noise, with_bands(denoiser, "separate"))
    error = np.maximum(sigma, sigma_of(brick, noise, denoiser, other, put_back))
    borrowed: Array = np.abs(image - other) > error
    noise_sigma = torch.from_numpy(noise.sigma(brick.invvar))
    for where, *pair, zero, unit in zip(borrowed, image, other, noise.zero, noise_sigma, strict=True):
        shown = [local_signal(torch.from_numpy(plane - zero), unit) > BLANK for plane in pair]
        where &= (shown[0] | shown[1]).numpy()
    return borrowed


def with_bands(denoiser: Denoiser, bands: str) -> Denoiser:
    """The same with another setting of `predict.bands`, for which no uncertainty was measured."""
    return replace(denoiser, settings=replace(denoiser.settings, bands=bands), uncertainty=None)


def sigma_of(brick: Brick, noise: NoiseModel, denoiser: Denoiser, image: Array, recovered: Array) -> Array:
    """Uncertainty of what `estimate_sky` returned: (band, y, x) float32, nanomaggies, 0 without coverage."""
    noise_sigma = noise.sigma(brick.invvar)
    if denoiser.uncertainty is None:
        return noise_sigma
    signal = above_level(image, noise)  # as it was when the curves were measured
    fewer = np.asarray(~brick.usable.all(axis=0)) if denoiser.settings.bands == "joint" else None
    return denoiser.uncertainty.sigma(signal, noise_sigma, recovered, denoiser.device, fewer)


def with_flags(
    brick: Brick, denoiser: Denoiser, image: Array, sigma: Array, found: Mapping[str, Array]
) -> Denoised:
    """The product, with all flags; image and sigma are overwritten.

    - A pixel without coverage: image 0, sigma NaN, NODATA.
    - A saturated or bad pixel: the network's inpainting, sigma NaN, INPAINTED. One without coverage is
      inpainted only within half a tile of a measured pixel; farther away the network would make up the sky,
      so it has no data.
    - LOWCOV where invvar is below `low_coverage` of its median over covered pixels.

    found : further flags: RECOVERED where residual was put back, BORROWED. Each (band, y, x) bool
    """
    inpainted = inpainted_pixels(brick, reach=denoiser.settings.tile // 2)
    no_data = (brick.invvar <= 0) & ~inpainted
    image[no_data] = 0
    sigma[no_data | inpainted] = np.nan
    flags = np.zeros(brick.shape, dtype=np.int32)
    low = low_coverage(brick.invvar, denoiser.settings.low_coverage)
    for kind, where in {"NODATA": no_data, "INPAINTED": inpainted, "LOWCOV": low, **found}.items():
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

    As in training, a band that is left out is 0 everywhere: one without data in the tile, and all but its own
    for a band that is denoised alone.

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
    together, usable = groups(brick, settings), brick.usable
    with torch.inference_mode():
        for origins in batches(tiles_with_data(brick, blender.grid), denoiser.batch_tiles):
            tiles = stretch.forward(cut_tiles(flux, origins, settings.tile))  # (n, band, tile, tile)
            tiles *= bands_with_data(usable, origins, settings.tile).to(tiles.device)
            blender.add(origins, in_groups(denoiser.network, tiles, together))
        for rows in result.split(STRIP_ROWS, dim=1):  # in place: a brick is 155 MB, it would take two more
            rows.copy_(stretch.inverse(rows))
    image = to_numpy(result)
    if (broken := ~np.isfinite(image)).any():
        band, y, x = np.argwhere(broken)[0]
        cause = f"the network's image is not finite in {broken.sum()} pixels, first at x {x}, y {y} from 0"
        raise BrickError(cause, brick=brick.name, band=brick.bands[band], remedy="is its input wild there?")
    return image


def in_groups(network: torch.nn.Module, tiles: Tensor, together: Sequence[Bands]) -> Tensor:
    """The network's image of tiles (n, band, tile, tile), each group of bands without the others."""
    if len(together) == 1:
        return network(tiles)[0]
    result = torch.zeros_like(tiles)
    for bands in together:
        alone = torch.zeros_like(tiles)
        alone[:, bands] = tiles[:, bands]
        result[:, bands] = network(alone)[0][:, bands]
    return result


def bands_with_data(usable: Array, origins: Sequence[Origin], tile: int) -> Tensor:
    """1 where a band has a usable pixel, of (band, y, x), in a tile, else 0: (n, band, 1, 1) float32."""
    seen = [usable[:, y : y + tile, x : x + tile].any(axis=(1, 2)) for y, x in origins]
    return torch.from_numpy(np.stack(seen).astype(np.float32))[..., None, None]


def tiles_with_data(brick: Brick, grid: TileGrid) -> list[Origin]:
    """Origins of tiles in which some pixel of some band is covered or masked."""
    data = ((brick.invvar > 0) | brick.masked).any(axis=0)
    return [(y, x) for y, x in grid.origins if data[y : y + grid.tile, x : x + grid.tile].any()]


def batches(origins: Sequence[Origin], size: int) -> Iterator[Sequence[Origin]]:
    """Consecutive runs of at most `size` origins."""
    for start in range(0, len(origins), size):
        yield origins[start : start + size]
