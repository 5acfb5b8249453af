"""The device that torch works on."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from typing import Any

import torch
from numpy.typing import NDArray

logger = logging.getLogger(__name__)


def cuda_usable(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether torch sees a CUDA device; a warning if this job was given one that torch cannot use.

    environment : CUDA_VISIBLE_DEVICES names the devices that Slurm gave to the job
    """
    usable = torch.cuda.is_available()
    given = environment.get("CUDA_VISIBLE_DEVICES", "")
    if given not in ("", "-1", "NoDevFiles") and not usable:
        reason = "finds no driver for it" if torch.version.cuda else "was built without CUDA"
        logger.warning(
            "this job has GPU %s, but torch %s %s: the CPU works instead; install torch for the site's CUDA",
            given,
            torch.__version__,
            reason,
        )
    return usable


def device_name(device: torch.device | str) -> str:
    """The kind of GPU, as its driver names it, or "CPU"."""
    device = torch.device(device)
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"


def to_numpy(values: torch.Tensor) -> NDArray[Any]:
    """The same numbers on the CPU, of any shape; without gradients; there already, they are not copied."""
    return values.cpu().numpy()
