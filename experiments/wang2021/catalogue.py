"""The experiments by name."""

from experiments.wang2021 import (
    glyphs,
    glyphs_report,
    lattice,
    lattice_report,
    stem,
    stem_report,
    tribolium,
    tribolium_report,
)
from experiments.wang2021.experiment import Experiment

EXPERIMENTS = {
    "glyphs": Experiment(glyphs.simulate, glyphs_report.report),
    "bottleneck": Experiment(stem.simulate, stem_report.report),
    "patch_size": Experiment(lattice.simulate, lattice_report.report),
    "tribolium": Experiment(tribolium.simulate, tribolium_report.report),
}
