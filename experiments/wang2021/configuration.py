"""An experiment on frames as its configuration describes it; light enough to import while Snakemake parses.

To add an experiment: the settings of its frames in `settings`, a line in PLANS, its two functions in
`catalogue`.
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
    TrainSettings,
    check_frames,
    check_without_noise,
)
from skydenoise.errors import SettingsError
from skydenoise.run import network_settings
from skydenoise.schema import check, with_defaults

T = TypeVar("T")

BASELINES = ("Noise2Self", "Noise2Void")
SECTIONS = ("model", "patches", "train", "predict")
KEYS = ("run", "experiment", "seed", "baselines", "frames", "variants", "snapshots", "noise", *SECTIONS)


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


@dataclass(frozen=True)
class Configuration:
    """A whole experiment.

    run : name of its folder of results
    experiment : key of PLANS
    seed : of frames and noise, and of the baselines' training
    baselines : that learn beside the first variant, from its patches and for its time
    frames : settings of the data
    variants : trainings by name
    softening : beta of the stretch, in units of the frames' rms
    snapshots : epochs between models that are kept to follow a training; 0 keeps none
    """

    run: str
    experiment: str
    seed: int
    baselines: tuple[str, ...]
    frames: FrameSettings
    variants: dict[str, Variant]
    softening: float
    snapshots: int = 0

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> Self:
        """Checked content of the configuration's files; raises SettingsError that names the key."""
        _check_keys("", content, KEYS)
        shared = {key: content[key] for key in ("run", "noise", *SECTIONS) if key in content} | {"survey": {}}
        check(shared)
        experiment, baselines = content["experiment"], tuple(content.get("baselines", ()))
        if experiment not in PLANS:
            raise SettingsError(f"experiment: {experiment} is none of {', '.join(PLANS)}")
        for baseline in set(baselines) - set(BASELINES):
            raise SettingsError(f"baselines: {baseline} is none of {', '.join(BASELINES)}")
        frames = _made(PLANS[experiment].settings, content.get("frames", {}))
        variants = {
            name: _variant(name, overrides, shared, frames)
            for name, overrides in content.get("variants", {}).items()
            if overrides is not None  # a second configuration leaves a variant out
        }
        if not variants:
            raise SettingsError("variants: none is named")
        softening = with_defaults(shared)["noise"]["softening"]
        snapshots = content.get("snapshots", 0)
        if not isinstance(snapshots, int) or snapshots < 0:
            raise SettingsError(f"snapshots: {snapshots!r} is no number of epochs")
        seed = content.get("seed", 0)
        return cls(content["run"], experiment, seed, baselines, frames, variants, softening, snapshots)


def _variant(
    name: str, overrides: Mapping[str, Any], shared: Mapping[str, Any], frames: FrameSettings
) -> Variant:
    """One of the variants, whose frames are large enough for it, and which needs no measured noise."""
    try:
        _check_keys("", overrides, SECTIONS)
        content = {**shared, **{key: shared.get(key, {}) | overrides[key] for key in overrides}}
        check(content)
        variant = Variant(**network_settings(with_defaults(content), 1))
        check_without_noise(variant.train, variant.predict)
        if frames.shape is not None:
            what = "the frames of the experiment"
            check_frames("patches.size", variant.patches.size, what, frames.shape)
            check_frames("predict.tile", variant.predict.tile, what, frames.shape)
    except SettingsError as error:
        raise SettingsError(f"variants.{name}: {error}") from None
    return variant


def _check_keys(section: str, content: Mapping[str, Any], known: tuple[str, ...]) -> None:
    for key in content:
        if key not in known:
            raise SettingsError(f"{section}{key}: there is no such key, only {', '.join(known)}")


def _made(kind: type[T], content: Mapping[str, Any]) -> T:
    """Settings of frames, of such values as their defaults are; raises SettingsError for others."""
    defaults = {field.name: field.default for field in fields(kind)}  # type: ignore[arg-type]
    _check_keys("frames.", content, tuple(defaults))
    for key, value in content.items():
        wanted = {float: (int, float), tuple: (list, tuple)}.get(type(defaults[key]), (type(defaults[key]),))
        if not isinstance(value, wanted) or isinstance(value, bool):
            raise SettingsError(f"frames.{key}: {value!r} is no {wanted[-1].__name__}")
    return kind(**{key: tuple(value) if isinstance(value, list) else value for key, value in content.items()})
