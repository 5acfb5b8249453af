"""Plots of tables are drawn, of empty ones too."""

import numpy as np
import pytest
from astropy.table import Table
from matplotlib.image import imread

from skydenoise.evaluate.figures.plots import (
    bias_plot,
    detection_plot,
    injection_plot,
    residual_plot,
    training_curve,
)


def bins(**columns):
    """Two bins in g and one in r."""
    table = Table({"band": ["g", "g", "r"], "low": [2.0, 3, 2], "high": [3.0, 4, 3]})
    for name, values in columns.items():
        table[name] = values
    return table


@pytest.mark.parametrize(
    ("plot", "table"),
    [
        (bias_plot, bins(method=["noisy", "denoised", "noisy"], binned_by="magnitude")),
        (
            injection_plot,
            bins(shape=["point", "disc", "point"], binned_by="snr", detected=0.5, detected_err=0.1),
        ),
    ],
)
def test_panels_are_as_many_as_bands(plot, table, tmp_path):
    table["bias_percent"], table["bias_percent_err"] = [0.1, -1.0, np.nan], [0.2, 0.3, np.nan]
    plot(table, tmp_path / "full.png")
    plot(table[:0], tmp_path / "none.png")
    assert imread(tmp_path / "full.png").shape[1] > imread(tmp_path / "none.png").shape[1]


def test_residual_plot(tmp_path):
    table = Table({"band": ["g", "g"], "zone": ["sky", "all"]})
    for scale in (1, 2):
        table[f"starlet_{scale}"], table[f"starlet_{scale}_err"] = [1.0, np.nan], [0.01, np.nan]
    residual_plot(table, tmp_path / "residual.png")
    assert imread(tmp_path / "residual.png").std() > 0.05


def test_detection_plot(tmp_path):
    share = {f"completeness{end}": [1.0, 0.5, 0.9] for end in ("", "_low", "_high")}
    completeness = bins(method="noisy", search="g+r", **share)
    purity = Table({"method": ["noisy"] * 2, "search": ["g+r"] * 2, "true": [0.5, 2.0]})
    purity["purity"] = purity["purity_low"] = purity["purity_high"] = [1.0, 0.9]
    detection_plot(completeness, purity, tmp_path / "full.png")
    detection_plot(completeness[:0], purity[:0], tmp_path / "none.png")
    assert imread(tmp_path / "full.png").shape[1] > imread(tmp_path / "none.png").shape[1]


def test_training_curve_bears_gaps_in_the_validation(tmp_path):
    log = tmp_path / "log.csv"
    rows = (
        "epoch,step,loss,validation,rate,seconds",
        "1,10,1.5,,1e-3,3",
        "2,20,1.1,1.2,5e-4,6",
        "3,30,1.0,nan,1e-4,9",
    )
    log.write_text("\n".join(rows))
    training_curve(log, tmp_path / "curve.png")
    assert imread(tmp_path / "curve.png").std() > 0.05
