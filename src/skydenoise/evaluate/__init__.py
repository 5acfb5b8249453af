"""Measurements of quality: against a simulated truth, without any, and as pictures.

`run` measures a run: `pixels`, `apertures`, `photometry` and `stars` against the truth that `scene` reads and
the peer of `smoothing`, `residual` without any truth. `search` finds sources and tells the true ones, `again`
runs the denoiser on injected sources and fresh noise, `pictures` draws bricks. `statistics` pools, `tables`
writes, `plots` draws the tables.
"""

from skydenoise.evaluate.pictures.draw import before_after, galaxy_gallery
from skydenoise.evaluate.plots import bias_plot, injection_plot, residual_plot, training_curve
from skydenoise.evaluate.run import evaluate_residual, evaluate_truth
from skydenoise.evaluate.scene import has_truth, read_truth
from skydenoise.evaluate.search.detectionplot import detection_plot
from skydenoise.evaluate.tables import summary

__all__ = [
    "before_after",
    "bias_plot",
    "detection_plot",
    "evaluate_residual",
    "evaluate_truth",
    "galaxy_gallery",
    "has_truth",
    "injection_plot",
    "read_truth",
    "residual_plot",
    "summary",
    "training_curve",
]
