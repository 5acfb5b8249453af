"""Where, when and with what a benchmark ran, and its results as a file."""

import json
import os
import platform
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[1]
RESULTS = REPOSITORY / "benchmarks/results"
PACKAGES = ("torch", "numpy", "scipy", "galsim", "sep", "bm3d", "scikit-image", "monai", "careamics")


def machine(device: str = "cpu") -> dict[str, Any]:
    """Processor, cores, memory (MiB), GPU if that is the device, Python, packages that are there, date."""
    names = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return {
        "processor": names[0].split(":")[1].strip() if names else platform.machine(),
        "cores": cores(),
        "memory_mib": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20,
        **({} if device == "cpu" else {"gpu": gpu_name()}),
        "python": platform.python_version(),
        "packages": versions(),
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
    }


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))


def gpu_name() -> str:
    """Of the first CUDA device."""
    import torch

    return torch.cuda.get_device_name()


def versions() -> dict[str, str]:
    """Of the packages that matter; absent ones are left out."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def write_results(
    name: str, module: str, content: Mapping[str, Any], device: str = "cpu", folder: Path = RESULTS
) -> Path:
    """Write `<folder>/<name>.json`: the command, the machine, and what was measured.

    module : that was called, such as "benchmarks.scale"
    content : of each entry, lists and dictionaries stand one item to a line
    """
    command = " ".join(["python -m", module, *sys.argv[1:]])
    items = {"command": command, "machine": machine(device)} | content
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    path.write_text(in_lines(items, 2) + "\n", encoding="utf-8")
    return path


def in_lines(value: Any, depth: int) -> str:
    """JSON whose lists and dictionaries stand one item to a line down to a depth, and in one line below."""
    if depth == 0 or not isinstance(value, dict | list) or not value:
        return json.dumps(value, allow_nan=False)
    if isinstance(value, dict):
        items = [f"{json.dumps(key)}: {in_lines(each, depth - 1)}" for key, each in value.items()]
        return "{\n" + ",\n".join(items) + "\n}"
    return "[\n" + ",\n".join(in_lines(each, depth - 1) for each in value) + "\n]"
