"""The experiments by name."""

from skydenoise.paper import (
    glyphreport,
    glyphs,
    lattice,
    latticereport,
    stem,
    stemreport,
    tribolium,
    triboliumreport,
)
from skydenoise.paper.experiment import Experiment

EXPERIMENTS = {
    "glyphs": Experiment(glyphs.simulate, glyphreport.report),
    "bottleneck": Experiment(stem.simulate, stemreport.report),
    "patch_size": Experiment(lattice.simulate, latticereport.report),
    "tribolium": Experiment(tribolium.simulate, triboliumreport.report),
}
