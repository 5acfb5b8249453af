"""Rows of our own: a model folder's network, bare and as the product that a run would write."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from skydenoise.config import PredictSettings, RecoverSettings
from skydenoise.evaluate.images import Image
from skydenoise.io import Brick, Denoised
from skydenoise.network import for_inference, load_model
from skydenoise.network.folder import DESCRIPTION, WEIGHTS
from skydenoise.predict.calibrate import CUTOUTS, calibrate
from skydenoise.predict.denoise import denoise_brick, estimate_sky, noise_of
from skydenoise.predict.denoiser import Denoiser

BARE = {"recover": RecoverSettings(enabled=False), "background": "remove"}
"""Settings of the network alone."""
SEED = 1
"""Of the cutouts and noise by which the uncertainty is measured."""


@dataclass(frozen=True, eq=False)
class Product:
    """A denoiser as a method, (brick) -> image: what it makes of every pixel, data or not."""

    denoiser: Denoiser

    def __call__(self, brick: Brick) -> Image:
        """(band, y, x) float32, nanomaggies."""
        return estimate_sky(brick, noise_of(brick, self.denoiser), self.denoiser)[0]

    def with_settings(self, **changed: Any) -> "Product":
        """The same with some other settings."""
        settings = replace(self.denoiser.settings, **changed)
        return Product(replace(self.denoiser, settings=settings))

    def with_uncertainty(self, bricks: Sequence[Brick]) -> list[Denoised]:
        """The whole product of bricks, with the uncertainty that a run would measure, without truth."""
        per_brick = -(-CUTOUTS // len(bricks))
        found = calibrate(bricks, self.denoiser, np.random.default_rng(SEED), per_brick=per_brick)
        denoiser = replace(self.denoiser, uncertainty=found)
        return [denoise_brick(brick, denoiser) for brick in bricks]


def has_model(folder: Path) -> bool:
    """Whether there are weights and their description."""
    return (folder / WEIGHTS).exists() and (folder / DESCRIPTION).exists()


def load_product(folder: Path, device: str = "cpu") -> Product:
    """The model of a folder with the default settings of the workflow."""
    network, description = load_model(folder, device)
    return Product(
        Denoiser(for_inference(network, torch.float32), description, PredictSettings(), None, device)
    )
