"""An experiment on frames as its configuration describes it; light enough to import while Snakemake parses.

To add an experiment: its FrameSettings in `settings`, a line in PLANS, its two functions in `catalogue`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self, TypeVar

from experiments.wang2021.settings import (
    FrameSettings,
    GlyphSettings,
    LatticeSettings,
    StemSettings,
    TriboliumSettings,
)
from skydenoise.config import (
    Architecture,
    PatchSettings,
    PredictSettings,
    RecoverSettings,
    TrainSettings,
    check,
    check_frames,
    check_together,
    check_without_noise,
)
from skydenoise.errors import SettingsError

T = TypeVar("T")

PEERS = ("Noise2Self", "Noise2Void")
SECTIONS = ("model", "patches", "train", "predict")
KEYS = ("run", "experiment", "seed", "peers", "frames", "variants", "noise", *SECTIONS)


@dataclass(frozen=True)
class Plan:
    """What the workflow has to know of an experiment before it starts.

    settings : class of the settings of its frames
    figures : names; figure-<name>.png each
    """

    settings: type[FrameSettings]
    figures: tuple[str, ...]


PLANS = {
    "glyphs": Plan(GlyphSettings, ("panel", "convergence", "contrast")),
    "bottleneck": Plan(StemSettings, ("panel", "convergence")),
    "patch_size": Plan(LatticeSettings, ("panel", "rows", "convergence")),
    "tribolium": Plan(TriboliumSettings, ("projection",)),
}


@dataclass(frozen=True)
class Variant:
    """One training of an experiment and what is done with it: sections of the configuration, overridden."""

    architecture: Architecture
    patches: PatchSettings
    train: TrainSettings
    predict: PredictSettings

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> Self:
        """Checked settings of the sections of `content`; raises SettingsError, see `check_without_noise`."""
        sections = {key: content.get(key, {}) for key in SECTIONS}
        check({"run": "one", "survey": {}} | sections)
        recover = RecoverSettings(enabled=sections["predict"].get("recover", True))
        variant = cls(
            Architecture(bands=1, **sections["model"]),
            PatchSettings(**sections["patches"]),
            TrainSettings(**sections["train"]),
            PredictSettings(**sections["predict"] | {"recover": recover}),
        )
        check_together(variant.architecture, variant.patches, variant.train, variant.predict)
        check_without_noise(variant.train, variant.predict)
        return variant

    def check_frames(self, shape: tuple[int, int]) -> None:
        """Raise SettingsError if frames of (y, x) pixels are smaller than a patch or a tile."""
        check_frames("patches.size", self.patches.size, "the frames of the experiment", shape)
        check_frames("predict.tile", self.predict.tile, "the frames of the experiment", shape)


@dataclass(frozen=True)
class Configuration:
    """A whole experiment.

    run : name of its folder of results
    experiment : key of PLANS
    seed : of frames and noise, and of the peers' training
    peers : that learn beside the first variant, from its patches and for its time
    frames : settings of the data
    variants : trainings by name
    softening : beta of the stretch, in units of the frames' rms
    """

    run: str
    experiment: str
    seed: int
    peers: tuple[str, ...]
    frames: FrameSettings
    variants: dict[str, Variant]
    softening: float

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> Self:
        """Checked content of the configuration's files; raises SettingsError that names the key."""
        _check_keys("", content, KEYS)
        check({key: content[key] for key in ("run", "noise") if key in content} | {"survey": {}})
        experiment = content.get("experiment")
        if experiment not in PLANS:
            raise SettingsError(f"experiment: {experiment} is none of {', '.join(PLANS)}")
        peers = tuple(content.get("peers", PEERS[:1]))
        for peer in set(peers) - set(PEERS):
            raise SettingsError(f"peers: {peer} is none of {', '.join(PEERS)}")
        frames = _made(PLANS[experiment].settings, "frames", content.get("frames", {}))
        variants = {
            name: _variant(name, overrides, content, frames)
            for name, overrides in content.get("variants", {}).items()
            if overrides is not None  # a second configuration leaves a variant out
        }
        if not variants:
            raise SettingsError("variants: none is named")
        softening = content.get("noise", {}).get("softening", 10.0)
        return cls(content["run"], experiment, content.get("seed", 0), peers, frames, variants, softening)


def _variant(
    name: str, overrides: Mapping[str, Any], content: Mapping[str, Any], frames: FrameSettings
) -> Variant:
    try:
        _check_keys("", overrides, SECTIONS)
        variant = Variant.of({key: content.get(key, {}) | overrides.get(key, {}) for key in SECTIONS})
        if frames.shape is not None:
            variant.check_frames(frames.shape)
    except SettingsError as error:
        raise SettingsError(f"variants.{name}: {error}") from None
    return variant


def _check_keys(section: str, content: Mapping[str, Any], known: tuple[str, ...]) -> None:
    for key in content:
        if key not in known:
            raise SettingsError(f"{section}{key}: there is no such key, only {', '.join(known)}")


def _made(kind: type[T], section: str, content: Mapping[str, Any]) -> T:
    """Instance of a dataclass of such values as its defaults are; raises SettingsError for others."""
    defaults = {field.name: field.default for field in fields(kind)}
    _check_keys(f"{section}.", content, tuple(defaults))
    for key, value in content.items():
        wanted = {float: (int, float), tuple: (list, tuple)}.get(type(defaults[key]), (type(defaults[key]),))
        if not isinstance(value, wanted) or isinstance(value, bool):
            raise SettingsError(f"{section}.{key}: {value!r} is no {wanted[-1].__name__}")
    return kind(**content)
