"""Draw docs/pictures/depths.png: the error of each method by depth, from benchmarks/results/quality-depths.json.

python docs/pictures/depths.py
"""

import json
from pathlib import Path

import numpy as np
from matplotlib import pyplot

HERE = Path(__file__).parent
TITLES = {"decam": "DECam-like", "bass": "BASS-like", "between": "between", "resampled": "resampled"}
STYLES = {"models/reference": "k*-", "alone": "o--", "BM3D": "s-", "NLM": "^-", "starlet": "v-", "Gaussian": "d-"}
"""Of what is drawn; "alone" is the model of one noise."""


def main() -> None:
    rows = json.loads((HERE.parents[1] / "benchmarks/results/quality-depths.json").read_text())["measurements"]
    errors = [row for row in rows if row["measure"] == "error"]
    figure, axes = pyplot.subplots(1, len(TITLES), figsize=(13, 3.6), sharey=True, layout="constrained")
    for axis, (noise, title) in zip(axes, TITLES.items(), strict=True):
        for method, style in STYLES.items():
            for row in errors:
                if row["noise"] == noise and row["method"].endswith(method):
                    bands = list(row["values"].values())
                    means = [np.mean([band[depth][0] for band in bands]) for depth in bands[0]]
                    axis.plot(list(bands[0]), means, style, label=method)
        axis.set(title=title, yscale="log")
    axes[0].set_ylabel("rms error of 3 asinh(x / 3 sigma)")
    axes[0].legend(fontsize=8)
    figure.savefig(HERE / "depths.png", dpi=90)


if __name__ == "__main__":
    main()
