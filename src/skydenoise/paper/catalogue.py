"""The experiments by name."""

from skydenoise.paper import glyphs
from skydenoise.paper.experiment import Experiment

EXPERIMENTS: dict[str, Experiment] = {"glyphs": glyphs}
