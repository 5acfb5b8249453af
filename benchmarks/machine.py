"""Where and when a benchmark ran, and its results as a file."""

import json
import os
import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


def machine() -> dict[str, str | int]:
    """Processor, cores, memory (MiB), Python and date."""
    names = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return {
        "processor": names[0].split(":")[1].strip() if names else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_mib": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20,
        "python": platform.python_version(),
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
    }


def write_results(name: str, command: str, rows: list[dict[str, Any]]) -> Path:
    """Write `benchmarks/results/<name>.json`: the command, the machine, and the rows."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    content = {"command": command, "machine": machine(), "rows": rows}
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return path
