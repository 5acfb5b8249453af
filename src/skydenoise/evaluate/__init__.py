"""Measurements of quality: against a simulated truth, of the residual alone, and as pictures.

`run` measures a run: `pixels`, `apertures` and `photometry` against the truth that `scene` reads and the peer
of `smoothing`, `residual` without any truth. `searchrun` searches: scores of `matched`, where and for what in
`searchfield`, found and matched in `detection`, judged in `completeness` and `detectiontables`, measured in
`dual`, drawn in `detectionplot`; `falsealarm` does so in pure noise. `stars` measures shapes. `rerun` measures
the denoiser, without any truth, by running it again: `injection` (with `psf`, `sources`, `false_peaks`, and its
tables in `recovery`), `seams`, `overlaps` and `risk`; each of them takes any method. `statistics` pools,
`tables` writes, `plots` draws the tables. `pictures` draws bricks, with `colour` and the parts that `zones`
chooses.
"""

from skydenoise.evaluate.detectionplot import detection_plot
from skydenoise.evaluate.pictures import before_after, galaxy_gallery
from skydenoise.evaluate.plots import bias_plot, injection_plot, residual_plot, training_curve
from skydenoise.evaluate.run import evaluate_residual, evaluate_truth
from skydenoise.evaluate.scene import has_truth, read_truth
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
