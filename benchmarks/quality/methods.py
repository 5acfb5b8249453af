"""All rows of the table: the peers that are installed, and our models that are there."""

from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import yaml

from benchmarks.machine import REPOSITORY
from benchmarks.quality import classical, product
from benchmarks.quality.baseline_training import sky_training
from benchmarks.quality.baselines import BASELINES, trained
from benchmarks.quality.sky import CACHE, SEEDS, Sky, simulated_bricks
from skydenoise.config import PatchSettings
from skydenoise.evaluate.scene import Method
from skydenoise.io import read_brick
from skydenoise.network.folder import DESCRIPTION, read_description
from skydenoise.patches import POSITIONS, PatchSet, cut_patches
from skydenoise.predict import load_denoiser
from skydenoise.simulate import BANDS, SimulationSettings
from skydenoise.survey.bricks_table import read_bricks_table

CONFIGS = Path(__file__).parent
BARE, PRODUCT, BFLOAT16 = "bare network", "denoised", "denoised, bfloat16"
IDENTITY_BARE, IDENTITY = "identity, bare", "identity + recover"


@dataclass
class Comparison:
    """What is compared.

    methods : in the order of the table
    products : those of them that are models of ours
    variants : which variant of a peer was the best
    notes : what was chosen and what was left out, in words
    """

    methods: dict[str, Method] = field(default_factory=dict)
    products: dict[str, product.Product] = field(default_factory=dict)
    variants: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def add_product(self, name: str, method: product.Product) -> None:
        """Add a model of ours."""
        self.products[name] = self.methods[name] = method


def add_classical(comparison: Comparison, sky: Sky, *, quick: bool) -> None:
    """Add the classical peers, each in the variant that comes closest to the truth of the first brick."""
    for package, peer in (("bm3d", "BM3D"), ("skimage", "NLM")):
        if not classical.installed(package):
            comparison.notes.append(f"{peer} left out: {package} is not installed (pip install .[peers])")
    for peer, variants in classical.candidates(sky.scenes[:1], sky.noise, quick=quick).items():
        name, comparison.methods[peer] = classical.best_of(variants, sky.scenes[:1], sky.noise)
        comparison.variants[peer] = name
        if name:
            comparison.notes.append(f"{peer}: {name}; best of {len(variants)}")


@dataclass(frozen=True)
class BaselineRun:
    """How the learned baselines of a test sky are trained.

    noise : of the sky
    run : folder of the results of the run beside which they learn: they see its patches (cut anew if it has
        none) and are kept in its folder "baselines"
    model : folder of the model that the run made
    seconds : of each training; None: as long as the model took
    device : auto, cpu, cuda
    """

    noise: str
    run: Path
    model: Path
    seconds: float | None = None
    device: str = "auto"

    def patches(self) -> PatchSet:
        """The patches of the run, or the same cut anew from the same simulated bricks."""
        if (self.run / "patches" / POSITIONS).exists():
            return PatchSet.open(self.run / "patches")
        content = yaml.safe_load((CONFIGS / f"{self.noise}.yaml").read_text(encoding="utf-8"))
        folder = CACHE / f"patches-{content['run']}"
        if not (folder / POSITIONS).exists():
            raw, _ = simulated_bricks(SimulationSettings(**content["simulation"]), CACHE)
            rows = read_bricks_table(CONFIGS / Path(content["bricks"]).name)
            read = partial(read_brick, raw, bands=BANDS)
            settings = PatchSettings(**content["patches"])
            cut_patches([row.brick for row in rows if row.train], read, settings, folder)
        return PatchSet.open(folder)


def add_baselines(comparison: Comparison, run: BaselineRun) -> None:
    """Add the learned baselines, trained now unless they are kept."""
    if not product.has_model(run.model):
        missing = f"no model in {_shown(run.model)}, beside which they learn"
        comparison.notes.append(f"{', '.join(BASELINES)} left out: {missing}")
        return
    model = read_description(run.model / DESCRIPTION)
    training = sky_training(run.patches(), model, run.seconds, SEEDS[run.noise], run.device)
    for name in BASELINES:
        try:
            comparison.methods[name], how = trained(name, training, run.run / "baselines" / name)
        except ImportError as error:
            comparison.notes.append(f"{name} left out: {error} (see docs/fidelity.md)")
        else:
            comparison.notes.append(
                f"{name}: trained for {how['seconds']:g} s, {how['steps']} steps of {how['batch']} of "
                f"{how['patches']} patches, on {how['machine']}"
            )


def add_product(
    comparison: Comparison, folder: Path, names: tuple[str, str] = (BARE, PRODUCT), device: str = "auto"
) -> None:
    """Add a model of ours, bare and with `recover`, or say that it is not there."""
    bare, recovered = names
    if not product.has_model(folder):
        comparison.notes.append(f"{recovered} left out: no model in {_shown(folder)}")
        return
    found = product.products(folder, bare, recovered, device)
    for name, method in found.items():
        comparison.add_product(name, method)
    if not any(each.denoiser.uncertainty for each in found.values()):
        comparison.notes.append(f"{recovered}: no coverage, {_shown(folder)} has no uncertainty.json")


def add_bfloat16(comparison: Comparison, folder: Path) -> None:
    """Add the same model with convolutions in bfloat16 on the CPU."""
    settings = replace(product.product_settings(folder), precision="bfloat16")
    comparison.add_product(BFLOAT16, product.Product(load_denoiser(folder, settings, "cpu")))


def _shown(folder: Path) -> str:
    """A folder as a reader on another machine would name it."""
    return str(folder.resolve().relative_to(REPOSITORY)) if folder.is_relative_to(REPOSITORY) else folder.name
