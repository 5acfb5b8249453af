"""All that is needed to denoise a brick: a network, what it was trained for, settings, measured errors."""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from skydenoise import __version__
from skydenoise.config import PredictSettings, check_precision
from skydenoise.errors import SettingsError
from skydenoise.network import ModelDescription, for_inference, load_model
from skydenoise.network.device import cuda_usable
from skydenoise.predict.uncertainty import UncertaintyModel

logger = logging.getLogger(__name__)

UNCERTAINTY_FILE = "uncertainty.json"
"""Beside model.safetensors and model.json."""

PIXELS_ON_CPU, PIXELS_ON_GPU = 256**2, 32 * 256**2
"""In one pass through the network: what stays in the caches of each core that takes part; and what keeps a
GPU busy between the starts of its kernels."""


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
            "bands": settings.bands,
        }
        return json.dumps(content, sort_keys=True)

    @property
    def batch_tiles(self) -> int:
        """Tiles in one pass through the network."""
        if isinstance(self.settings.batch_tiles, int):
            return self.settings.batch_tiles
        pixels = PIXELS_ON_CPU * torch.get_num_threads() if self.device == "cpu" else PIXELS_ON_GPU
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
    StepError : a file of the folder is missing or damaged
    """
    if device == "auto":
        device = "cuda" if cuda_usable() else "cpu"
    torch.backends.cudnn.allow_tf32 = False  # float32 is float32 on every device
    network, description = load_model(folder, device)
    check_precision(description.architecture, settings)
    file = folder / UNCERTAINTY_FILE
    uncertainty = UncertaintyModel.read(file) if file.exists() else None
    fast = for_inference(network, getattr(torch, settings.precision))
    sha256, bands = description.sha256[:12], " ".join(description.bands)
    logger.info("model %s on %s in %s, bands %s", sha256, device, settings.precision, bands)
    return Denoiser(fast, description, settings, uncertainty, device)
