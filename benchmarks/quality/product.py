"""Rows of our own: a model folder's network, bare and with what `recover` puts back."""

import json
from dataclasses import dataclass, fields, replace
from pathlib import Path

from skydenoise.config import PredictSettings, RecoverSettings
from skydenoise.evaluate.scene import Image
from skydenoise.io import Brick
from skydenoise.network.folder import DESCRIPTION, WEIGHTS
from skydenoise.predict.denoise import UNCERTAINTY_FILE, Denoiser, load_denoiser, restore


@dataclass(frozen=True, eq=False)
class Product:
    """A denoiser as a method, (brick) -> image: what it makes of every pixel, data or not."""

    denoiser: Denoiser

    def __call__(self, brick: Brick) -> Image:
        """(band, y, x) float32, nanomaggies."""
        return restore(brick, self.denoiser)[0]


def has_model(folder: Path) -> bool:
    """Whether there are weights and their description."""
    return (folder / WEIGHTS).exists() and (folder / DESCRIPTION).exists()


def product_settings(folder: Path) -> PredictSettings:
    """The settings that the model's uncertainty was measured for; the defaults if it was not."""
    file = folder / UNCERTAINTY_FILE
    if not file.exists():
        return PredictSettings()
    conditions = json.loads(json.loads(file.read_text(encoding="utf-8"))["conditions"])
    recover = conditions.pop("recover")
    known = {field.name for field in fields(PredictSettings)} & conditions.keys()
    return PredictSettings(
        **{key: conditions[key] for key in known},
        recover=RecoverSettings(**recover) if recover else RecoverSettings(enabled=False),
    )


def products(folder: Path, bare: str, recovered: str, device: str = "auto") -> dict[str, Product]:
    """The network alone and with recover, under these names; the one with measured uncertainty keeps it."""
    settings = product_settings(folder)
    product = load_denoiser(folder, settings, device)
    result = {}
    for name, enabled in ((bare, False), (recovered, True)):
        if settings.recover.enabled == enabled:
            result[name] = Product(product)
        else:
            other = replace(settings, recover=replace(settings.recover, enabled=enabled))
            result[name] = Product(replace(product, settings=other, uncertainty=None))
    return result
