"""All rows of the table: the peers that are installed, and our models that are there."""

import logging
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchmarks.machine import REPOSITORY
from benchmarks.quality import classical, product
from benchmarks.quality.baselines import BaselineRun, trained
from benchmarks.quality.measurements import Measurement
from benchmarks.quality.product import Product, has_model, load_product
from benchmarks.quality.sky import Sky
from experiments.wang2021.baselines import BASELINES
from skydenoise.evaluate.images import Image, Method

_log = logging.getLogger(__name__)

BARE, PRODUCT = "bare network", "denoised"


@dataclass
class Comparison:
    """What is compared.

    methods : in the order of the table
    products : those of them that are models of ours
    notes : what was chosen and what was left out, in words
    """

    methods: dict[str, Method] = field(default_factory=dict)
    products: dict[str, Product] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def add(self, name: str, own: Product) -> None:
        """Add a model of ours."""
        self.products[name] = self.methods[name] = own


def add_classical(comparison: Comparison, sky: Sky) -> None:
    """Add the classical peers, each in the variant that comes closest to the truth of the first brick."""
    for package, peer in (("bm3d", "BM3D"), ("skimage", "NLM")):
        if not classical.installed(package):
            comparison.notes.append(f"{peer} left out: {package} is not installed (pip install .[peers])")
    for peer, variants in classical.candidates(sky).items():
        name, comparison.methods[peer] = classical.best_of(variants, sky)
        if name:
            comparison.notes.append(f"{peer}: {name}; best of {len(variants)}")


def add_baselines(comparison: Comparison, run: BaselineRun) -> None:
    """Add the learned baselines, trained now unless they are kept."""
    if not has_model(run.model):
        missing = f"no model in {shown(run.model)}, beside which they learn"
        comparison.notes.append(f"{', '.join(BASELINES)} left out: {missing}")
        return
    if not run.has_patches():
        comparison.notes.append(f"{', '.join(BASELINES)} left out: no patches in {shown(run.results)}")
        return
    training = run.training()
    for name in BASELINES:
        try:
            comparison.methods[name], how = trained(name, training, run.results / "baselines" / name)
        except ImportError as error:
            comparison.notes.append(f"{name} left out: {error} (see docs/fidelity.md)")
        else:
            comparison.notes.append(
                f"{name}: trained for {how['seconds']:g} s, {how['steps']} steps of {how['batch']} of "
                f"{how['patches']} patches, on {how['machine']}"
            )


def add_model(comparison: Comparison, folder: Path, device: str = "cpu") -> None:
    """Add a model of ours, the bare network and the whole product, or say that it is not there."""
    if not has_model(folder):
        comparison.notes.append(f"{PRODUCT} left out: no model in {shown(folder)}")
        return
    own = load_product(folder, device)
    comparison.add(BARE, own.with_settings(**product.BARE))
    comparison.add(PRODUCT, own)


def make_images(sky: Sky, methods: dict[str, Method]) -> tuple[dict[str, list[Image]], list[Measurement]]:
    """Images by method, one per scene, and the seconds that they took."""
    images, times = {}, []
    for name, method in methods.items():
        _log.info("%s", name)
        seconds = []
        images[name] = []
        for scene in sky.scenes:
            start = time.perf_counter()
            images[name].append(method(scene.brick))
            seconds.append((time.perf_counter() - start) / (sky.pixels / len(sky.scenes)) * 1e6)
        error = float(np.std(seconds, ddof=1) / np.sqrt(len(seconds))) if len(seconds) > 1 else np.nan
        times.append(Measurement(name, "seconds", "", "", float(np.mean(seconds)), error))
    return images, times


def shown(folder: Path) -> str:
    """A folder as a reader on another machine would name it."""
    folder = folder.resolve()
    return str(folder.relative_to(REPOSITORY)) if folder.is_relative_to(REPOSITORY) else folder.name
