"""The settings of each step, checked when they are made; light enough to import while Snakemake parses."""

from dataclasses import dataclass
from pathlib import Path

from skydenoise.errors import SettingsError

PRECISIONS = ("auto", "float32", "bfloat16")


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise SettingsError(message)


@dataclass(frozen=True)
class Architecture:
    """Shape of the network.

    layout : "lean" (ours, converges fast) or "paper" (the published layout of Wang et al. 2021)
    bands : input and output channels
    levels : stride-2 stages; height and width of an input must be multiples of `stride` = 2**levels
    width : channels at full resolution
    bottleneck : channels of the narrowest layer, the paper's one knob
    residual_blocks : residual blocks inside the bottleneck stage
    skips : encoder-decoder skip connections; only for the objective "recorrupted"
    outputs : how many resolutions (1/1, 1/2, 1/4, ...) have an output
    """

    bands: int = 3
    layout: str = "lean"
    levels: int = 4
    width: int = 16
    bottleneck: int = 64
    residual_blocks: int = 2
    skips: bool = True
    outputs: int = 4

    def __post_init__(self) -> None:
        _require(self.layout in ("lean", "paper"), f"model.layout: {self.layout!r} is not 'lean' or 'paper'")
        for key in ("bands", "levels", "width", "bottleneck", "outputs"):
            _require(getattr(self, key) >= 1, f"model.{key}: {getattr(self, key)} is below 1")
        _require(self.residual_blocks >= 0, f"model.residual_blocks: {self.residual_blocks} is below 0")
        _require(
            self.outputs <= self.levels,
            f"model.outputs: {self.outputs} resolutions need at least as many levels, not {self.levels}",
        )
        _require(
            not (self.skips and self.layout == "paper"),
            "model.skips: the paper's layout has no encoder-decoder skip connections",
        )

    @property
    def stride(self) -> int:
        """Factor between full resolution and the bottleneck."""
        return 2**self.levels


@dataclass(frozen=True)
class PatchSettings:
    """How training patches are cut.

    size : edge in pixels
    count : patches over all training bricks
    min_coverage : least fraction of usable pixels (invvar > 0, not masked), in every band
    shard_patches : patches in one .npy shard
    seed : of the random positions
    """

    size: int = 128
    count: int = 8192
    min_coverage: float = 0.95
    shard_patches: int = 1024
    seed: int = 0

    def __post_init__(self) -> None:
        for key in ("size", "count", "shard_patches"):
            _require(getattr(self, key) >= 1, f"patches.{key}: {getattr(self, key)} is below 1")
        _require(
            0 < self.min_coverage <= 1,
            f"patches.min_coverage: {self.min_coverage} is not in the range (0, 1]",
        )


@dataclass(frozen=True)
class TrainSettings:
    """How the network is trained.

    objective : "identity" (input = target, the paper's) or "recorrupted" (input x + t z, target x - z/t)
    loss : "l1" or "l2" of the stretched values; "flux": squared flux error times the slope of the stretch
    recorruption : t
    epochs, batch_size : passes over the patches; patches in one step, over all ranks together
    learning_rate, weight_decay : AdamW's
    warmup : fraction of all steps in which the rate rises linearly; it falls as a cosine afterwards
    ema_decay : of the exponential moving average of the weights, which is what is saved
    validation : fraction of the patches that is held out
    precision : "auto" (bfloat16 on a GPU, float32 on a CPU), "float32" or "bfloat16"
    fuse : on a GPU, let torch.compile fuse the operations between convolutions
    checkpoint_minutes : at most this long between checkpoints
    snapshots : epochs between models that are kept beside the last one; 0 keeps none
    seed : of initial weights, order, flips and noise
    """

    objective: str = "recorrupted"
    loss: str = "flux"
    recorruption: float = 0.5
    epochs: int = 60
    batch_size: int = 16
    learning_rate: float = 2e-3
    weight_decay: float = 1e-4
    warmup: float = 0.05
    ema_decay: float = 0.999
    validation: float = 0.05
    precision: str = "auto"
    fuse: bool = True
    checkpoint_minutes: float = 10.0
    snapshots: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        _require(
            self.objective in ("identity", "recorrupted"),
            f"train.objective: {self.objective!r} is not 'identity' or 'recorrupted'",
        )
        _require(self.loss in ("l1", "l2", "flux"), f"train.loss: {self.loss!r} is not 'l1', 'l2' or 'flux'")
        _require(
            self.precision in PRECISIONS,
            f"train.precision: {self.precision!r} is not 'auto', 'float32' or 'bfloat16'",
        )
        for key in ("epochs", "batch_size"):
            _require(getattr(self, key) >= 1, f"train.{key}: {getattr(self, key)} is below 1")
        for key in ("learning_rate", "recorruption", "checkpoint_minutes"):
            _require(getattr(self, key) > 0, f"train.{key}: {getattr(self, key)} is not above 0")
        for key in ("warmup", "ema_decay", "validation"):
            _require(
                0 <= getattr(self, key) < 1, f"train.{key}: {getattr(self, key)} is not in the range [0, 1)"
            )
        for key in ("weight_decay", "snapshots"):
            _require(getattr(self, key) >= 0, f"train.{key}: {getattr(self, key)} is below 0")


@dataclass(frozen=True)
class RecoverSettings:
    """How significant detail of the residual is put back.

    enabled : False gives the bare network
    scales : starlet scales that are searched, at most 8
    threshold : significance at which a region starts, in units of its noise; one per scale, fine to coarse
    growth : significance down to which it grows to its neighbours
    """

    enabled: bool = True
    scales: int = 5
    threshold: tuple[float, ...] = (5.0, 5.0, 4.5, 4.5, 4.5)
    growth: float = 3.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "threshold", tuple(self.threshold))
        _require(
            1 <= self.scales <= 8, f"recover.threshold: {self.scales} scales are not in the range [1, 8]"
        )
        _require(
            len(self.threshold) == self.scales,
            f"recover.threshold: {len(self.threshold)} values for {self.scales} scales",
        )
        _require(self.growth > 0, f"recover.growth: {self.growth} is not above 0")
        _require(
            all(value >= self.growth for value in self.threshold),
            f"recover.threshold: every value must be at least recover.growth, {self.growth}",
        )


@dataclass(frozen=True)
class PredictSettings:
    """How a brick is denoised.

    tile, overlap : edge of a tile and pixels shared by neighbouring tiles
    batch_tiles : tiles in one pass through the network; "auto" is few on a CPU and many on a GPU
    precision : of the factors in the 3x3 convolutions of blocks, "float32", "bfloat16" or "auto": bfloat16 on
        a CPU that multiplies it, float16 in all convolutions on a GPU that kernels are made for, else float32
    low_coverage : a pixel whose invvar is below this fraction of its band's median is flagged LOWCOV
    recover : see RecoverSettings
    """

    tile: int = 256
    overlap: int = 32
    batch_tiles: int | str = "auto"
    precision: str = "auto"
    low_coverage: float = 0.25
    recover: RecoverSettings = RecoverSettings()

    def __post_init__(self) -> None:
        _require(self.tile >= 1, f"predict.tile: {self.tile} is below 1")
        if isinstance(self.batch_tiles, str):
            _require(
                self.batch_tiles == "auto",
                f"predict.batch_tiles: {self.batch_tiles!r} is no number and not 'auto'",
            )
        else:
            _require(self.batch_tiles >= 1, f"predict.batch_tiles: {self.batch_tiles} is below 1")
        _require(
            self.precision in PRECISIONS,
            f"predict.precision: {self.precision!r} is not 'auto', 'float32' or 'bfloat16'",
        )
        _require(
            0 <= self.overlap < self.tile,
            f"predict.overlap: {self.overlap} is not in the range [0, {self.tile}) of a tile of {self.tile}",
        )
        _require(
            0 <= self.low_coverage < 1,
            f"predict.low_coverage: {self.low_coverage} is not in the range [0, 1)",
        )


@dataclass(frozen=True)
class OutputSettings:
    """How images are stored.

    compression : "rice" (the survey's: absolute step, SUBTRACTIVE_DITHER_2) or "lossless" (GZIP_2)
    step : quantisation step of "rice", nanomaggies
    """

    compression: str = "rice"
    step: float = 1e-4

    def __post_init__(self) -> None:
        _require(
            self.compression in ("rice", "lossless"),
            f"output.compression: {self.compression!r} is not 'rice' or 'lossless'",
        )
        _require(self.step > 0, f"output.step: {self.step} is not above 0")


@dataclass(frozen=True)
class EvaluationSettings:
    """How a denoiser is measured without any truth.

    injections : sources put into cutouts of the evaluated bricks; 0 puts none
    fwhm : of the point spread function in each band, arcsec; empty: measured on stars
    """

    injections: int = 2000
    fwhm: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "fwhm", tuple(float(width) for width in self.fwhm))
        _require(self.injections >= 0, f"evaluate.injections: {self.injections} is below 0")
        _require(all(width > 0 for width in self.fwhm), f"evaluate.fwhm: {self.fwhm} is not above 0")


def check_evaluation(settings: EvaluationSettings, bands: tuple[str, ...]) -> None:
    """Refuse another number of widths than bands."""
    _require(
        len(settings.fwhm) in (0, len(bands)),
        f"evaluate.fwhm: {len(settings.fwhm)} values for the bands {', '.join(bands)}",
    )


def check_bands(bands: tuple[str, ...]) -> None:
    """Refuse an empty or repeated list of bands."""
    _require(len(bands) >= 1, "survey.bands: at least one band is needed")
    _require(len(set(bands)) == len(bands), f"survey.bands: {', '.join(bands)} names a band twice")


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
    _require(
        train.objective == "identity",
        f"train.objective: {train.objective} needs the measured noise of a sky; for frames set identity (and "
        "model.skips: false)",
    )
    _require(
        train.loss != "flux",
        "train.loss: flux needs input and target of independent noise, made of the measured noise of a sky; "
        "for frames set l1 or l2",
    )
    _require(
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
    _require(
        predict.precision != "bfloat16" or architecture.skips,
        "predict.precision: bfloat16 would round bright fluxes by percents in a model without skips; "
        "set auto",
    )


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
    _require(
        patches.size % stride == 0,
        f"patches.size: {patches.size} is not a multiple of the network's stride {stride}",
    )
    _require(
        predict.tile % stride == 0,
        f"predict.tile: {predict.tile} is not a multiple of the network's stride {stride}",
    )
    _require(
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
            _require(self.pixel_scale > 0, f"mosaics: pixel_scale {self.pixel_scale} is not above 0")
            _require(
                self.wcs is None, "mosaics: wcs already fixes the pixels; give it or pixel_scale, not both"
            )
