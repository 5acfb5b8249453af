"""The experiments by name."""

from skydenoise.paper import glyphreport, glyphs
from skydenoise.paper.experiment import Experiment

EXPERIMENTS = {
    "glyphs": Experiment(glyphs.simulate, glyphreport.report),
}
