"""All that a training needs to go on: one safetensors file, so one rename replaces the last state whole."""

from __future__ import annotations

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

from skydenoise.io.atomic import atomic_path
from skydenoise.network import Network

logger = logging.getLogger(__name__)

CHECKPOINT = "checkpoint.safetensors"


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

    def save(self, path: Path, digest: str) -> None:
        """Write the state to `path` in one step; `digest` says what training it belongs to."""
        tensors = {f"network.{name}": value for name, value in self.network.state_dict().items()}
        tensors |= {f"average.{name}": value for name, value in self.average.items()}
        for number, slots in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{number}.{slot}": value for slot, value in slots.items()}
        numbers = {"step": self.step, "loss_sum": self.loss_sum, "seconds": self.seconds, "rows": self.rows}
        metadata = {"digest": digest, "numbers": json.dumps(numbers)}
        content = save({name: value.cpu().contiguous() for name, value in tensors.items()}, metadata)
        with atomic_path(path) as partial:
            partial.write_bytes(content)  # Python's own errors if the disk is full

    def load(self, path: Path, digest: str) -> bool:
        """Take the state from `path`; False, with a log line, if it is another training's or damaged."""
        if not path.exists():
            return False
        try:
            with safe_open(path, "pt") as file:
                metadata = file.metadata()
                if metadata["digest"] != digest:
                    logger.info("checkpoint %s is of other settings or patches: starting anew", path)
                    return False
                tensors = {name: file.get_tensor(name) for name in set(file.keys())}
        except (OSError, SafetensorError, KeyError) as error:
            logger.warning("checkpoint %s cannot be read, starting anew: %s", path, error)
            return False
        self.network.load_state_dict(_part(tensors, "network."))
        with torch.no_grad():
            for name, value in _part(tensors, "average.").items():
                self.average[name].copy_(value)
        parameters = list(self.network.parameters())
        slots: dict[int, dict[str, Any]] = {}
        for name, value in _part(tensors, "optimizer.").items():
            number, slot = name.split(".")
            parameter = parameters[int(number)]
            if value.shape == parameter.shape:  # a moment; fused steps want its strides
                value = torch.empty_like(parameter, requires_grad=False).copy_(value)
            slots.setdefault(int(number), {})[slot] = value
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": slots, "param_groups": groups})
        for key, value in json.loads(metadata["numbers"]).items():
            setattr(self, key, value)
        return True


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
