"""What can be set for the paper's experiments; light enough to import while Snakemake parses.

To add an experiment: its settings here, as a frozen dataclass whose defaults are the schema's (section
`paper.<experiment>`), a line in PLANS, and its room in `catalogue.EXPERIMENTS`.
"""

from dataclasses import dataclass
from typing import Any

from skydenoise.errors import SettingsError
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
    """

    settings: type[Any]
    figures: tuple[str, ...]
    channels: int = 1


PLANS = {
    "glyphs": Plan(GlyphSettings, figures=("panel", "convergence", "contrast")),
}


@dataclass(frozen=True)
class Variant:
    """One training of an experiment and what is done with it: sections of the configuration, overridden.

    Raises
    ------
    SettingsError : settings that need the noise measured; that of frames is not
    """

    architecture: Architecture
    patches: PatchSettings
    train: TrainSettings
    predict: PredictSettings

    def __post_init__(self) -> None:
        if self.train.objective != "identity" or self.train.loss == "flux":
            raise SettingsError(
                f"train: objective {self.train.objective!r} with loss {self.train.loss!r} needs measured "
                "noise; the paper's experiments take objective identity and loss l1 or l2"
            )
        if self.predict.recover.enabled:
            raise SettingsError(
                "predict.recover: it needs measured noise; the paper's experiments take false"
            )
