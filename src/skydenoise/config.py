"""The settings of each step, checked when they are made; their keys stand in config.schema.yaml."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, is_dataclass
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from skydenoise.errors import SettingsError
from skydenoise.schema import Settings, default, require

T = TypeVar("T")


def plain(settings: Any) -> dict[str, Any]:
    """A dataclass as dicts, lists, numbers and text alone: what JSON holds and Snakemake compares."""
    content: dict[str, Any] = json.loads(json.dumps(asdict(settings), default=str))
    return content


def rebuild(kind: type[T], content: Mapping[str, Any]) -> T:
    """Make a dataclass of the kind whose `plain` form is given; raises SettingsError if it is impossible."""
    hints = get_type_hints(kind)

    def value(key: str) -> Any:
        if is_dataclass(hints[key]):
            return rebuild(hints[key], content[key])
        return Path(content[key]) if hints[key] is Path else content[key]

    return kind(**{key: value(key) for key in content})


@dataclass(frozen=True)
class Architecture(Settings):
    """Shape of the network, the section `model`.

    bands : input and output channels

    Height and width of an input must be multiples of `stride`.
    """

    section = "model"

    bands: int = 3
    layout: str = default("model.layout")
    fold: int = default("model.fold")
    block: str = default("model.block")
    levels: int = default("model.levels")
    width: int = default("model.width")
    bottleneck: int = default("model.bottleneck")
    residual_blocks: int = default("model.residual_blocks")
    skips: bool = default("model.skips")
    outputs: int = default("model.outputs")

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.bands >= 1, f"model.bands: {self.bands} is below 1")
        require(
            self.outputs <= self.levels,
            f"model.outputs: {self.outputs} resolutions need at least as many levels, not {self.levels}",
        )
        require(
            not (self.skips and self.layout == "paper"),
            "model.skips: the paper's layout has no encoder-decoder skip connections",
        )
        require(
            self.fold == 1 or self.layout != "paper", "model.fold: the paper's layout folds no pixels; set 1"
        )

    @property
    def stride(self) -> int:
        """Factor between full resolution and the bottleneck."""
        return self.fold * 2**self.levels


@dataclass(frozen=True)
class FetchSettings(Settings):
    """How the survey's files are fetched, from the section `survey`.

    backoff : seconds before the second try; they double with each further one
    """

    section = "survey"

    connections: int = default("survey.connections")
    retries: int = default("survey.retries")
    timeout: float = default("survey.timeout")
    least_rate: float = default("survey.least_rate")
    longest_wait: float = default("survey.longest_wait")
    largest_file: float = default("survey.largest_file")
    backoff: float = 1.0


@dataclass(frozen=True)
class PatchSettings(Settings):
    """How training patches are cut, the section `patches`."""

    section = "patches"

    size: int = default("patches.size")
    count: int = default("patches.count")
    min_coverage: float = default("patches.min_coverage")
    seed: int = default("patches.seed")


@dataclass(frozen=True)
class NoiseSettings(Settings):
    """What is measured on the training bricks, and the stretch that it sets: the section `noise`."""

    section = "noise"

    max_lag: int = default("noise.max_lag")
    softening: float = default("noise.softening")


@dataclass(frozen=True)
class TrainSettings(Settings):
    """How the network is trained, the section `train`."""

    section = "train"

    objective: str = default("train.objective")
    loss: str = default("train.loss")
    recorruption: float = default("train.recorruption")
    extra_noise: float = default("train.extra_noise")
    extra_width: float = default("train.extra_width")
    band_dropout: float = default("train.band_dropout")
    initial: str = default("train.initial")
    epochs: int = default("train.epochs")
    batch_size: int = default("train.batch_size")
    learning_rate: float = default("train.learning_rate")
    weight_decay: float = default("train.weight_decay")
    warmup: float = default("train.warmup")
    ema_decay: float = default("train.ema_decay")
    validation: float = default("train.validation")
    precision: str = default("train.precision")
    compile: bool = default("train.compile")
    checkpoint_minutes: float = default("train.checkpoint_minutes")
    seed: int = default("train.seed")


@dataclass(frozen=True)
class RecoverSettings(Settings):
    """How significant detail of the residual is put back, the section `recover`.

    enabled : False gives the bare network (`predict.recover`)
    scales : starlet scales that are searched, one per threshold, at most 8
    """

    section = "recover"

    enabled: bool = default("predict.recover")
    scales: int = len(default("recover.threshold"))
    threshold: tuple[float, ...] = default("recover.threshold")
    growth: float = default("recover.growth")

    def __post_init__(self) -> None:
        super().__post_init__()
        require(
            len(self.threshold) == self.scales,
            f"recover.threshold: {len(self.threshold)} values for {self.scales} scales",
        )
        require(
            all(value >= self.growth for value in self.threshold),
            f"recover.threshold: every value must be at least recover.growth, {self.growth}",
        )


@dataclass(frozen=True)
class PredictSettings(Settings):
    """How a brick is denoised, the section `predict`.

    recover : the section `recover` and the switch `predict.recover`
    """

    section = "predict"

    tile: int = default("predict.tile")
    overlap: int = default("predict.overlap")
    batch_tiles: int | str = default("predict.batch_tiles")
    precision: str = default("predict.precision")
    low_coverage: float = default("predict.low_coverage")
    recover: RecoverSettings = RecoverSettings()
    background: str = default("predict.background")
    bands: str = default("predict.bands")
    flag_borrowed: bool = default("predict.flag_borrowed")
    foreign_noise: str = default("predict.foreign_noise")

    def __post_init__(self) -> None:
        super().__post_init__()
        text = f"predict.overlap: {self.overlap} is not below predict.tile, {self.tile}"
        require(self.overlap < self.tile, text)


@dataclass(frozen=True)
class OutputSettings(Settings):
    """How images are stored, the section `output`."""

    section = "output"

    compression: str = default("output.compression")
    step: float = default("output.step")


@dataclass(frozen=True)
class EvaluationSettings(Settings):
    """How a denoiser is measured without any truth, from the section `evaluate`."""

    section = "evaluate"

    injections: int = default("evaluate.injections")
    fwhm: tuple[float, ...] = default("evaluate.fwhm")


def check_frames(key: str, size: int, what: str, shape: tuple[int, int]) -> None:
    """Raise SettingsError if frames of `shape`, (y, x), are smaller than a patch or tile, set by `key`."""
    if size > min(shape):
        height, width = shape
        raise SettingsError(f"{key}: {size} is more than {what} have, {height}x{width} (y, x)")


def check_without_noise(train: TrainSettings, predict: PredictSettings) -> None:
    """Refuse what needs the measured noise of a sky, where there is none: frames of stacks, experiments.

    Raises
    ------
    SettingsError : with the key and what to set
    """
    require(
        train.objective == "identity",
        f"train.objective: {train.objective} needs the measured noise of a sky; for frames set identity (and "
        "model.skips: false)",
    )
    require(
        train.loss != "flux",
        "train.loss: flux needs input and target of independent noise, made of the measured noise of a sky; "
        "for frames set l1 or l2",
    )
    require(
        not predict.recover.enabled,
        "predict.recover: true needs the measured noise of a sky; for frames set false",
    )


def check_precision(architecture: Architecture, predict: PredictSettings) -> None:
    """Refuse bfloat16 where it would change fluxes.

    With skips a network adds to its input what it finds divided by cosh(u): rounding that to 8 bits changes a
    pixel by about a thousandth of its noise, and a bright one by nothing. Without, it would round the flux of
    a bright pixel by percents.

    Raises
    ------
    SettingsError : with the key and the reason
    """
    text = "predict.precision: bfloat16 would round bright fluxes by percents in a model without skips"
    require(predict.precision != "bfloat16" or architecture.skips, f"{text}; set float32")


def check_together(
    architecture: Architecture, patches: PatchSettings, train: TrainSettings, predict: PredictSettings
) -> None:
    """Refuse settings that are possible alone but not together.

    Raises
    ------
    SettingsError : with the key and the reason
    """
    check_precision(architecture, predict)
    stride = architecture.stride
    require(
        patches.size % stride == 0,
        f"patches.size: {patches.size} is not a multiple of the network's stride {stride}",
    )
    require(
        predict.tile % stride == 0,
        f"predict.tile: {predict.tile} is not a multiple of the network's stride {stride}",
    )
    require(
        not (architecture.skips and train.objective == "identity"),
        "model.skips: with train.objective 'identity' a network with skips copies its input, noise and all",
    )


@dataclass(frozen=True)
class MosaicSettings:
    """On which pixels a mosaic is made.

    wcs : FITS header as text with the output's WCS, NAXIS1 and NAXIS2; None finds the best common one
    pixel_scale : arcsec per pixel of the common WCS; None takes the finest of the inputs
    """

    wcs: Path | None = None
    pixel_scale: float | None = None

    def __post_init__(self) -> None:
        if self.wcs is not None:
            object.__setattr__(self, "wcs", Path(self.wcs))
        if self.pixel_scale is not None:
            require(self.pixel_scale > 0, f"mosaics: pixel_scale {self.pixel_scale} is not above 0")
            require(self.wcs is None, "mosaics: wcs fixes the pixels; give it or pixel_scale, not both")


@dataclass(frozen=True)
class SkySettings(Settings):
    """How the sky is shown, from the section `sky`; `values` are names of bands."""

    section = "sky"

    order: int = default("sky.order")
    values: tuple[str, ...] = ()
    score: float = default("sky.score")
