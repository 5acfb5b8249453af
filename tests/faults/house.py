"""A run in miniature: three bricks of a survey on disk, brought to a mosaic as the workflow's jobs do it."""

import hashlib
import shutil
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from skydenoise import paths
from skydenoise.config import (
    Architecture,
    FetchSettings,
    MosaicSettings,
    OutputSettings,
    PatchSettings,
    PredictSettings,
    TrainSettings,
)
from skydenoise.io import read_brick
from skydenoise.io.atomic import write_json
from skydenoise.io.manifest import Entry, finished, forget, needed, skipped_bricks, write_manifest
from skydenoise.io.rawbrick import write_raw
from skydenoise.joblog import job_log
from skydenoise.mosaic import MosaicInput, mosaic_band
from skydenoise.noise import SkyOf, measure_survey_noise, without_background_level
from skydenoise.patches import cut_patches
from skydenoise.predict import Chunk, load_denoiser, predict_bricks
from skydenoise.survey.fetch import fetch_bricks
from skydenoise.survey.refresh import forget_fetched
from skydenoise.train.job import TrainJob
from skydenoise.train.loop import train
from tests.builders import make_brick

BANDS = ("g", "r")
BRICKS = ("1410m032", "1411m032", "1412m032")
"""All are trained on and denoised."""
BAD = BRICKS[1]
"""The one that is spoilt."""
SIZE = 112
STEPS = ("fetch", "noise", "patches", "train", "predict", "mosaic")
OUTPUTS = {
    "fetch": ("fetch/c.tsv", "../raw"),
    "noise": ("patches/noise.json",),
    "patches": ("patches/bricks.tsv",),
    "train": ("model/model.json",),
    "predict": ("predict/c.tsv", "coadd"),
    "mosaic": ("mosaic/invvar-r.fits", "mosaic"),
}
"""Of each step, under the run's folder."""
SETTINGS = PredictSettings(tile=64, overlap=16)
TINY = Architecture(bands=2, levels=2, width=4, bottleneck=4, residual_blocks=1, outputs=1)


def forget_output(path: Path) -> None:
    """Remove a file or a folder, if it is there."""
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)


@dataclass(frozen=True)
class House:
    """Folder of a run: `mirror` holds the survey, `raw` its bricks, `run` all that is made of them."""

    folder: Path

    @property
    def raw(self) -> Path:
        return self.folder / "raw"

    @property
    def root(self) -> Path:
        return self.folder / "run"

    def raw_file(self, kind: str = "image", band: str | None = "r", brick: str = BAD) -> Path:
        return paths.raw_file(self.raw, brick, kind, band)

    def product(self, kind: str = "image", band: str | None = "r", brick: str = BAD) -> Path:
        return paths.coadd_file(self.root, brick, kind, band)

    def make_survey(self) -> None:
        """Bricks of noise with a few stars, and the survey's checksums of them."""
        survey = self.survey
        for number, brick in enumerate(BRICKS):
            generator = np.random.default_rng(number)
            image = 0.01 * generator.standard_normal((2, SIZE, SIZE))
            for y, x in generator.integers(20, SIZE - 20, (4, 2)):
                image[:, y - 2 : y + 3, x - 2 : x + 3] += 0.3
            coadd = self.folder / "mirror/dr9/south/coadd"
            files = write_raw(coadd, make_brick(image, name=brick, bands=BANDS), OutputSettings())
            lines = [f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in files]
            sums = survey.checksums(brick).removeprefix(survey.url)
            (self.folder / f"mirror/{sums}").write_text("".join(lines))

    @property
    def survey(self) -> paths.Survey:
        return paths.Survey((self.folder / "mirror").as_uri(), "dr9", "south")

    @property
    def manifests(self) -> dict[str, Path]:
        return {
            "fetch": self.root / "fetch/c.tsv",
            "patches": self.root / "patches/bricks.tsv",
            "predict": self.root / "predict/c.tsv",
        }

    def run(self, steps: tuple[str, ...] = STEPS) -> str:
        """Do the steps whose output is not there, until one fails as its job would; what their logs say."""
        said = ""
        for step in steps:
            if all((self.root / output).exists() for output in OUTPUTS[step]):
                continue
            log = self.root / f"logs/{step}.log"
            log.parent.mkdir(parents=True, exist_ok=True)
            log.unlink(missing_ok=True)
            ended = False
            try:
                with job_log(log):
                    getattr(self, step)()
                ended = True
            except SystemExit:
                pass
            said += log.read_text()
            if not ended:
                return said
        return said

    def fetch(self) -> None:
        entries = fetch_bricks(BRICKS, BANDS, self.survey, self.raw, FetchSettings(connections=2))
        write_manifest(self.manifests["fetch"], entries)

    def noise(self) -> None:
        names = needed([self.manifests["fetch"]], "noise")
        sky = SkyOf(partial(read_brick, self.raw, bands=BANDS), 4)
        noise = measure_survey_noise(names, sky, 1, scales=SETTINGS.recover.scales)
        write_json(self.root / "patches/noise.json", noise.to_json())

    def patches(self) -> None:
        def read(name: str):
            return without_background_level(read_brick(self.raw, name, BANDS))

        names = needed([self.manifests["fetch"]], "patches")
        settings = PatchSettings(size=16, count=40)
        skipped = cut_patches(names, read, settings, self.root / "patches")
        unused = [Entry(name, "skipped", reason=reason) for name, reason in skipped.items()]
        used = [Entry(name, "done") for name in names if name not in skipped]
        write_manifest(self.manifests["patches"], used + unused)

    @property
    def job(self) -> TrainJob:
        settings = TrainSettings(epochs=1, batch_size=4, checkpoint_minutes=1e-9)
        logs, cut = self.root / "logs", self.root / "patches"
        files = (cut, cut / "noise.json", self.root / "model", logs / "training.csv", logs / "tensorboard")
        return TrainJob(*files, TINY, settings, softening=10.0)

    def train(self) -> None:
        train(self.job)

    def predict(self) -> None:
        load = partial(load_denoiser, self.root / "model", SETTINGS, "cpu")
        chunk = Chunk(self.raw, self.root, load, OutputSettings())
        predict_bricks(finished([self.manifests["fetch"]]), chunk, self.manifests["predict"], 1)

    def mosaic(self) -> None:
        for band in BANDS:
            inputs = [
                MosaicInput(
                    name, band, self.product("image", band, name), self.raw_file("invvar", band, name)
                )
                for name in finished([self.manifests["predict"]])
            ]
            outputs = (self.root / f"mosaic/{kind}-{band}.fits" for kind in ("image", "invvar"))
            mosaic_band(inputs, *outputs, MosaicSettings(), {})

    def forget_from(self, step: str) -> None:
        """What a step and all later ones have made: as if the run had been ended before it."""
        for later in STEPS[STEPS.index(step) :]:
            for output in OUTPUTS[later]:
                forget_output(self.root / output)

    def retry_skipped(self) -> None:
        """What `snakemake retry_skipped` does; what is made of other inputs then is made again."""
        chains = [list(self.manifests.values())]
        forget_fetched(skipped_bricks(chains), self.raw)
        forget(skipped_bricks(chains), chains, [])
        for step in ("noise", "patches", "train", "mosaic"):
            for output in OUTPUTS[step]:
                forget_output(self.root / output)

    def products(self) -> dict[str, bytes]:
        """All that a user is given, by name."""
        found = [path for step in ("coadd", "mosaic") for path in (self.root / step).rglob("*.f*")]
        return {str(path.relative_to(self.root)): path.read_bytes() for path in found}
