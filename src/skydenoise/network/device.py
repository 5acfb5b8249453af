"""What torch can use on this machine."""

from __future__ import annotations

import importlib.util
import logging
import os
import shutil
import sysconfig
from collections.abc import Mapping
from pathlib import Path
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


def multiplies_bfloat16() -> bool:
    """Whether this CPU multiplies bfloat16 itself (AVX512-BF16, AMX): without, it is slower than float32."""
    tell = getattr(torch.cpu, "get_capabilities", None)  # an older torch has none
    return tell is not None and bool(tell().get("avx512_bf16"))


def device_name(device: torch.device | str) -> str:
    """The kind of GPU, as its driver names it, or "CPU"."""
    device = torch.device(device)
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"


def can_compile() -> bool:
    """Whether torch.compile, and Triton itself, can make kernels: with a C compiler and Python's headers."""
    headers = Path(sysconfig.get_path("include"), "Python.h")
    compiler = shutil.which(os.environ.get("CC", "")) or shutil.which("gcc") or shutil.which("clang")
    return importlib.util.find_spec("triton") is not None and compiler is not None and headers.exists()


def fuses(device: torch.device | str) -> bool:
    """Whether Triton can make kernels for this GPU: an NVIDIA one since Ampere, and all to compile them with.

    AMD's GPUs are "cuda" to torch, too, and nobody has measured what these kernels do there.
    """
    return bool(torch.version.cuda) and torch.cuda.get_device_capability(device) >= (8, 0) and can_compile()


def to_numpy(values: torch.Tensor) -> NDArray[Any]:
    """The same numbers on the CPU, of any shape; without gradients.

    On the CPU the array shares the memory of `values`. From a GPU it is a copy in pinned memory, which torch
    keeps and gives out again: the system has to clear the pages of any other, and a brick's image (155 MB)
    takes 0.11 s to them, 0.003 to pinned memory that was used before (docs/performance.md). Where no memory
    can be pinned it is a plain copy.
    """
    if not values.is_cuda:
        return values.numpy()
    try:
        pinned = torch.empty(values.shape, dtype=values.dtype, pin_memory=True)
    except RuntimeError:
        return values.cpu().numpy()
    return pinned.copy_(values).numpy()
