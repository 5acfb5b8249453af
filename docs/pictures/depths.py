"""Draw depths.png, errors by depth, from the last measurement: `python docs/pictures/depths.py`."""

import json
from pathlib import Path

import numpy as np
from matplotlib import pyplot

HERE = Path(__file__).parent
RESULTS = HERE.parents[1] / "benchmarks/results/quality-depths.json"
TITLES = {"decam": "DECam-like", "bass": "BASS-like", "between": "between", "resampled": "resampled"}
STYLES = {"models/reference": "k*-", "BM3D": "s-", "NLM": "^-", "starlet": "v-", "Gaussian": "d-"}


def main(picture: Path) -> None:
    """One panel for each kind of noise; the mean of the bands against the number of passes."""
    rows = json.loads(RESULTS.read_text(encoding="utf-8"))["measurements"]
    errors = {(row["noise"], row["method"]): row["values"] for row in rows if row["measure"] == "error"}
    figure, axes = pyplot.subplots(1, len(TITLES), figsize=(13, 3.6), sharey=True, layout="constrained")
    for axis, (noise, title) in zip(axes, TITLES.items(), strict=True):
        for method, style in STYLES.items():
            if bands := list(errors.get((noise, method), {}).values()):
                means = [np.mean([band[depth][0] for band in bands]) for depth in bands[0]]
                axis.plot(list(bands[0]), means, style, label=method)
        axis.set_title(title)
    axes[0].set_ylim(bottom=0)
    axes[0].set_ylabel("rms error of 3 asinh(x / 3 sigma)")
    axes[0].legend(fontsize=8)
    figure.savefig(picture, dpi=90)


if __name__ == "__main__":
    main(HERE / "depths.png")
