"""The autoencoders, and the folder that holds a trained one.

Both layouts give an image at several resolutions (multi-resolution CNN, Wang et al. 2020, Sci. Rep. 10),
all as stretched values without unit; heads are linear, because a sky has negative pixels and stars of any
brightness.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn
from torch.nn import functional

from skydenoise.config import Architecture
from skydenoise.errors import StepError
from skydenoise.io.atomic import atomic_path, write_json
from skydenoise.io.digest import file_digest
from skydenoise.network.published import PaperLayout
from skydenoise.network.residual_unet import LeanLayout
from skydenoise.noise import NoiseModel, NoiseRange
from skydenoise.stretch import Stretch

WEIGHTS, DESCRIPTION = "model.safetensors", "model.json"
FORMAT = 2
"""Version of model.json: since 2, pixels are in units of their own noise."""


class Network(nn.Module):
    """Autoencoder of stretched images, built as `architecture` says.

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
            PaperLayout(architecture) if architecture.layout == "paper" else LeanLayout(architecture)
        )
        kernels = (9, 7, 5, 3) if architecture.layout == "paper" else (3,)
        self.heads = nn.ModuleList(
            nn.Conv2d(
                width, architecture.bands, kernel := kernels[min(k, len(kernels) - 1)], padding=kernel // 2
            )
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
                output = head(feature.to(u.dtype))  # (n, band, y/2**k, x/2**k)
            if self.architecture.skips:
                coarse = functional.avg_pool2d(u, 2**k) if k else u
                shrink = coarse.cosh().reciprocal()
                output = coarse + shrink * (output - shrink * coarse)  # 1 - tanh**2 = 1 / cosh**2
            outputs.append(output)
        return tuple(outputs)


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
        raise StepError(f"model: {weights} cannot be read: {_one_line(error)}") from error
    with torch.device("meta"):
        network = Network(description.architecture)
    expected = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    wrong = [name for name in sorted(expected.keys() | state.keys()) if not _fits(name, expected, state)]
    if wrong:
        raise StepError(
            f"model: {weights} does not fit the architecture in {DESCRIPTION}: {len(wrong)} arrays are "
            f"missing, superfluous or of another shape, first {wrong[0]}"
        )
    network.load_state_dict(state, assign=True)
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
        return ModelDescription(
            Architecture(**content["architecture"]),
            tuple(content["bands"]),
            Stretch(content["softening"]),
            NoiseModel.from_json(content["noise"]),
            content["provenance"],
            content["sha256"],
            NoiseRange.from_json(content["noise_range"]),
        )
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise StepError(
            f"model: {path} cannot be used: {type(error).__name__}: {_one_line(error)}"
        ) from error


def _fits(name: str, expected: dict[str, tuple[int, ...]], state: dict[str, Tensor]) -> bool:
    return name in expected and name in state and expected[name] == tuple(state[name].shape)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
