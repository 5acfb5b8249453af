"""The one table that a benchmark prints, and its file."""

from __future__ import annotations

import importlib.metadata
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

from benchmarks.machine import write_results

PACKAGES = ("torch", "numpy", "scipy", "monai", "PyWavelets", "skydenoise")
HIDDEN = ("part", "what")


def versions() -> dict[str, Any]:
    """A row that says what was measured with."""
    found: dict[str, Any] = {"threads": torch.get_num_threads(), "commit": commit()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "not installed"
    return {"part": "versions", "what": "", **found}


def commit() -> str:
    """Of the code that runs, "-dirty" behind it if that was changed since."""
    try:
        command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def show(rows: Iterable[dict[str, Any]]) -> None:
    """Print rows as they come: part, what, then every number with its name."""
    for row in rows:
        numbers = "  ".join(f"{key} {value}" for key, value in row.items() if key not in HIDDEN)
        print(f"{row['part']:<24} {row['what']:<52} {numbers}", flush=True)


def keep(name: str, command: str, measured: Iterable[dict[str, Any]]) -> None:
    """Show rows as they come, and write benchmarks/results/<name>.json.

    After an interrupt or an error, too, with the rows that there are: time on a GPU is dear.
    """
    start, rows = time.monotonic(), []
    try:
        for row in measured:
            rows.append(row | {"at_s": round(time.monotonic() - start, 1)})
            show(rows[-1:])
    finally:
        print(f"written to benchmarks/results/{write_results(name, command, rows).name}")
