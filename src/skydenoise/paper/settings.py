"""What can be set for the paper's experiments; light enough to import while Snakemake parses.

To add an experiment: its settings here, as a frozen dataclass whose defaults are the schema's (section
`paper.<experiment>`), a line in PLANS, and its room in `catalogue.EXPERIMENTS`.
"""

from dataclasses import dataclass
from typing import Any

from skydenoise.settings import Architecture, PatchSettings, PredictSettings, TrainSettings


@dataclass(frozen=True)
class GlyphSettings:
    """The glyphs of Figs 4 and 5.

    font : TrueType file or collection
    count : glyphs drawn by the seed from all that the font can draw; 0 takes all
    size : edge of an image, pixels
    """

    font: str = "/usr/share/fonts/truetype/wqy/wqy-zenhei.ttc"
    count: int = 0
    size: int = 64


@dataclass(frozen=True)
class Plan:
    """What the workflow has to know of an experiment before it starts.

    settings : class of the settings of its data
    figures : names; figure-<name>.png each
    channels : of its images
    peers : that are trained beside the variants, of benchmarks.quality.learned.LEARNERS
    """

    settings: type[Any]
    figures: tuple[str, ...]
    channels: int = 1
    peers: tuple[str, ...] = ("Noise2Self",)


PLANS = {
    "glyphs": Plan(GlyphSettings, figures=("panel", "convergence", "contrast")),
}


@dataclass(frozen=True)
class Variant:
    """One training of an experiment and what is done with it: sections of the configuration, overridden."""

    architecture: Architecture
    patches: PatchSettings
    train: TrainSettings
    predict: PredictSettings
