"""All that a training needs to go on: one safetensors file, so one rename replaces the last state whole.

The one before is kept beside it, for a disk that damages the last.
"""

from __future__ import annotations

import hashlib
import json
import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn

from skydenoise.errors import one_line
from skydenoise.io.atomic import atomic_path
from skydenoise.network import Network

logger = logging.getLogger(__name__)

CHECKPOINT, EARLIER = "checkpoint.safetensors", "checkpoint-before.safetensors"
MOMENTS = ("exp_avg", "exp_avg_sq")
"""What AdamW remembers of a parameter, beside the number of its steps."""


@dataclass
class TrainState:
    """What a training step changes. Random numbers are functions of seed, epoch and patch: no state.

    average : exponential moving average of each parameter, by name; at first the parameters themselves
    step : steps done, over all epochs
    loss_sum : of the steps of this epoch
    seconds : spent so far, over all starts
    rows : the training curve, one row per finished epoch
    """

    network: Network
    optimizer: torch.optim.Optimizer
    average: dict[str, Tensor] = field(default_factory=dict)
    step: int = 0
    loss_sum: float = 0.0
    seconds: float = 0.0
    rows: list[dict[str, float | None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        if not self.average:
            self.average = {name: value.detach().clone() for name, value in self.network.named_parameters()}

    @torch.no_grad()
    def update(self, rate: float, decay: float) -> None:
        """One optimiser step at learning rate `rate`, then the moving average.

        The decay rises to `decay` as (1 + step) / (10 + step): a short training averages its last tenth, and
        forgets the initial weights.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step()
        self.step += 1
        decay = min(decay, (1 + self.step) / (10 + self.step))
        move = get_ema_multi_avg_fn(decay)  # all weights at once: on a GPU each would start a kernel
        move(list(self.average.values()), list(self.network.parameters()), self.step)

    def end_epoch(self, epoch_steps: int, validation: float | None, rate: float) -> None:
        """Add the row of the epoch that ends with this step."""
        self.rows.append(
            {
                "epoch": self.step // epoch_steps,
                "step": self.step,
                "loss": self.loss_sum / epoch_steps,
                "validation": validation,
                "rate": rate,
                "seconds": round(self.seconds, 1),
            }
        )
        self.loss_sum = 0.0

    def averaged(self) -> Network:
        """A network with the averaged weights."""
        network = Network(self.network.architecture)
        network.load_state_dict(self.average)
        return network

    def save(self, folder: Path, digest: str) -> None:
        """Write the state to `folder` in one step, and keep the one before.

        digest : says what training it belongs to
        """
        tensors = {f"network.{name}": value for name, value in self.network.state_dict().items()}
        tensors |= {f"average.{name}": value for name, value in self.average.items()}
        for number, slots in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{number}.{slot}": value for slot, value in slots.items()}
        numbers = {"step": self.step, "loss_sum": self.loss_sum, "seconds": self.seconds, "rows": self.rows}
        tensors = {name: value.cpu().contiguous() for name, value in tensors.items()}
        text = json.dumps(numbers)
        metadata = {"digest": digest, "numbers": text, "sha256": _sha256(tensors, text)}
        with atomic_path(folder / CHECKPOINT) as partial:
            partial.write_bytes(save(tensors, metadata))  # Python's own errors if the disk is full
            if (folder / CHECKPOINT).exists():
                (folder / CHECKPOINT).replace(folder / EARLIER)

    def load(self, folder: Path, digest: str) -> None:
        """Take the last state in `folder` that is whole and of this training; the log says why not others."""
        for path in (folder / CHECKPOINT, folder / EARLIER):
            if not path.exists():
                continue
            try:
                tensors, numbers = _read(path, digest)
            except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
                logger.warning("checkpoint %s is not taken, going on without it: %s", path, one_line(error))
            else:
                self._take(tensors, numbers)
                return

    def _take(self, tensors: dict[str, Tensor], numbers: dict[str, Any]) -> None:
        """Go on from the content of a checkpoint."""
        self.network.load_state_dict(_part(tensors, "network."))
        with torch.no_grad():
            for name, value in _part(tensors, "average.").items():
                self.average[name].copy_(value)
        parameters = list(self.network.parameters())
        slots: dict[int, dict[str, Any]] = {}
        for name, value in _part(tensors, "optimizer.").items():
            number, slot = name.split(".")
            parameter = parameters[int(number)]
            if slot in MOMENTS:  # fused steps want the strides of the parameter
                value = torch.empty_like(parameter, requires_grad=False).copy_(value)
            slots.setdefault(int(number), {})[slot] = value
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": slots, "param_groups": groups})
        for key, value in numbers.items():
            setattr(self, key, value)


def _read(path: Path, digest: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Content of a checkpoint; raises ValueError, or what readers raise, for one that cannot be used."""
    with safe_open(path, "pt") as file:
        metadata = file.metadata() or {}
        if metadata["digest"] != digest:
            raise ValueError("it is of other settings or patches")
        tensors = {name: file.get_tensor(name) for name in set(file.keys())}
    if metadata["sha256"] != _sha256(tensors, metadata["numbers"]):
        raise ValueError("its content has changed since it was written")
    return tensors, json.loads(metadata["numbers"])


@contextmanager
def sigterm_noted() -> Iterator[threading.Event]:
    """An event that SIGTERM sets, instead of ending the process, while the block runs.

    In another thread than the main one Python cannot do that; then the event is never set.
    """
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield event
        return

    def note(number: int, frame: FrameType | None) -> None:
        event.set()

    before = signal.signal(signal.SIGTERM, note)
    try:
        yield event
    finally:
        signal.signal(signal.SIGTERM, before)


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _sha256(tensors: dict[str, Tensor], numbers: str) -> str:
    """Over all that a checkpoint holds."""
    digest = hashlib.sha256(numbers.encode())
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(tensors[name].numpy().tobytes())
    return digest.hexdigest()
