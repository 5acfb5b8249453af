"""The folder of a trained network: its weights, and a description of all else that it takes to use them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from skydenoise.config import Architecture
from skydenoise.errors import StepError, one_line
from skydenoise.io.atomic import atomic_path, write_json
from skydenoise.io.digest import file_digest
from skydenoise.network.network import Network, check_size
from skydenoise.noise import NoiseModel, NoiseRange
from skydenoise.paths import check_band_name
from skydenoise.stretch import Stretch

WEIGHTS, DESCRIPTION = "model.safetensors", "model.json"
FORMAT = 4
"""Version of model.json: since 2, pixels are in units of their own noise; since 3, the stem may fold them."""


@dataclass(frozen=True)
class ModelDescription:
    """All that is needed to use a network, beside its weights.

    bands : names, in the order of the channels
    stretch : from pixels in units of their noise to the network's values
    noise : of the bricks it was trained on
    provenance : how it was made
    sha256 : of model.safetensors; `load_model` fills it in
    noise_range : noises for which it holds; None stands for those around `noise`
    """

    architecture: Architecture
    bands: tuple[str, ...]
    stretch: Stretch
    noise: NoiseModel
    provenance: dict[str, str | int | float] = field(default_factory=dict)
    sha256: str = ""
    noise_range: NoiseRange | None = None

    @property
    def holds_for(self) -> NoiseRange:
        """Noises for which it holds."""
        return self.noise_range or NoiseRange.around(self.noise)

    @property
    def does_without_bands(self) -> bool:
        """False if it saw all bands of every patch in training."""
        settings = json.loads(str(self.provenance.get("settings", "{}")))
        return settings.get("objective") != "identity" and settings.get("band_dropout") != 0


def save_model(folder: Path, network: Network, description: ModelDescription) -> None:
    """Write model.safetensors and model.json to `folder`, each in one step, the description last."""
    state = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
    with atomic_path(folder / WEIGHTS) as partial:
        partial.write_bytes(save(state))  # Python's own errors if the disk is full
    content = {
        "format": FORMAT,
        "sha256": file_digest(folder / WEIGHTS),
        "architecture": asdict(description.architecture),
        "bands": list(description.bands),
        "softening": description.stretch.softening,
        "noise": description.noise.to_json(),
        "noise_range": description.holds_for.to_json(),
        "provenance": dict(description.provenance),
    }
    write_json(folder / DESCRIPTION, content)


def load_model(folder: Path, device: str = "cpu") -> tuple[Network, ModelDescription]:
    """Network in evaluation mode on `device`, and its description. Nothing is unpickled.

    Raises
    ------
    StepError : a file is missing or damaged, or the two do not belong together
    """
    weights = folder / WEIGHTS
    description = read_description(folder / DESCRIPTION)
    try:
        digest = file_digest(weights)
        if digest != description.sha256:
            raise StepError(
                f"model: {weights} is not the file that {DESCRIPTION} describes: sha256 {digest[:12]}, not "
                f"{description.sha256[:12]} (train again, or copy both files from one place)"
            )
        state = load_file(weights)
    except (OSError, SafetensorError) as error:
        raise StepError(f"model: {weights} cannot be read: {one_line(error)}") from error
    if broken := sorted(name for name, value in state.items() if not value.isfinite().all()):
        raise StepError(f"model: {weights}: {broken[0]} has values that are not finite; train again")
    with torch.device("meta"):
        network = Network(description.architecture)
    try:
        network.load_state_dict(state, assign=True)
    except RuntimeError as error:
        cause = one_line(error)[:300]  # of as many arrays as there are
        raise StepError(
            f"model: {weights} does not fit the architecture in {DESCRIPTION}: {cause}"
        ) from error
    return network.to(device).eval().requires_grad_(False), description


def adopt_model(source: Path, folder: Path, bands: Sequence[str]) -> None:
    """Copy the model in `source` to `folder`, each file in one step, the description last.

    Raises
    ------
    StepError : see load_model; or it is for other bands
    """
    _, description = load_model(source)
    if description.bands != tuple(bands):
        raise StepError(
            f"model: {source} is for the bands {' '.join(description.bands)}, the run has {' '.join(bands)} "
            "(set survey.bands, or train)"
        )
    for name in (WEIGHTS, DESCRIPTION):
        with atomic_path(folder / name) as partial:
            partial.write_bytes((source / name).read_bytes())


def read_description(path: Path) -> ModelDescription:
    """Content of a model.json; raises StepError if it is missing, damaged or of another format."""
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] != FORMAT:
            raise ValueError(
                f"format {content['format']}, this version reads {FORMAT}: train again, or take a model "
                "that came with this version"
            )
        architecture = Architecture(**content["architecture"])
        bands = tuple(check_band_name(name) for name in content["bands"])
        if len(bands) != architecture.bands:
            raise ValueError(f"{architecture.bands} channels for the bands {' '.join(bands)}")
        check_size(architecture)
        return ModelDescription(
            architecture,
            bands,
            Stretch(content["softening"]),
            NoiseModel.from_json(content["noise"]),
            content["provenance"],
            content["sha256"],
            NoiseRange.from_json(content["noise_range"]),
        )
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise StepError(f"model: {path} cannot be used: {type(error).__name__}: {one_line(error)}") from error
