"""All rows of the table: the peers that are installed, and our models that are there."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.quality import classical, ours
from benchmarks.quality.learned import learn
from benchmarks.quality.lesson import sky_lesson, training_patches
from benchmarks.quality.sky import Sky
from experiments.wang2021.baseline_training import BaselineTraining
from experiments.wang2021.baselines import BASELINES
from skydenoise.evaluate.scene import Method
from skydenoise.network.folder import DESCRIPTION, read_description

REPOSITORY = Path(__file__).parents[2]
BARE, PRODUCT = "bare network", "denoised"
IDENTITY_BARE, IDENTITY = "identity, bare", "identity + recover"


@dataclass
class Entrants:
    """What is compared.

    methods : in the order of the table
    restorers : those of them that are models of ours
    variants : which variant of a peer was the best
    notes : what was chosen and what was left out, in words
    """

    methods: dict[str, Method] = field(default_factory=dict)
    restorers: dict[str, ours.Restorer] = field(default_factory=dict)
    variants: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def add_classical(entrants: Entrants, sky: Sky, *, quick: bool) -> None:
    """Add the classical peers, each in the variant that comes closest to the truth of the first brick."""
    for package, peer in (("bm3d", "BM3D"), ("skimage", "NLM")):
        if not classical.installed(package):
            entrants.notes.append(f"{peer} left out: {package} is not installed (pip install .[peers])")
    for peer, variants in classical.candidates(sky.scenes[:1], sky.noise, quick=quick).items():
        name, entrants.methods[peer] = classical.best_of(variants, sky.scenes[:1], sky.noise)
        entrants.variants[peer] = name
        if name:
            entrants.notes.append(f"{peer}: {name}; best of {len(variants)}")


@dataclass(frozen=True)
class Training:
    """How the learned peers are trained.

    config : of the run whose patches they see
    results : folder of that run; the patches are cut anew if it has none
    model : folder of the model that it made, beside which they learn
    cache : folder for what is made
    peers : folder that keeps them
    seed : of all that is random
    seconds : of each training; None: as long as the model took
    device : auto, cpu, cuda
    """

    config: Path
    results: Path
    model: Path
    cache: Path
    peers: Path
    seed: int
    seconds: float | None = None
    device: str = "auto"

    def lesson(self) -> BaselineTraining:
        """What all of them learn from."""
        patches = training_patches(self.config, self.results, self.cache)
        model = read_description(self.model / DESCRIPTION)
        return sky_lesson(patches, model, self.seconds, self.seed, self.device)


def add_learned(entrants: Entrants, training: Training, peers: Iterable[str] = BASELINES) -> None:
    """Add the learned peers, trained now unless they are kept."""
    if not ours.has_model(training.model):
        missing = f"no model in {_shown(training.model)}, beside which they learn"
        entrants.notes.append(f"{', '.join(BASELINES)} left out: {missing}")
        return
    lesson = training.lesson()
    for peer in peers:
        try:
            entrants.methods[peer], how = learn(peer, lesson, training.peers / peer)
        except ImportError as error:
            entrants.notes.append(f"{peer} left out: {error} (see docs/fidelity.md)")
        else:
            entrants.notes.append(
                f"{peer}: trained for {how['seconds']:g} s, {how['steps']} steps of {how['batch']} of "
                f"{how['patches']} patches, on {how['machine']}"
            )


def add_ours(entrants: Entrants, model: Path, identity: Path, device: str = "auto") -> None:
    """Add our models, and say which are not there."""
    wanted: Sequence[tuple[Path, str, str]] = (
        (identity, IDENTITY_BARE, IDENTITY),
        (model, BARE, PRODUCT),
    )
    for folder, bare, recovered in wanted:
        if not ours.has_model(folder):
            entrants.notes.append(f"{recovered} left out: no model in {_shown(folder)}")
            continue
        restorers = ours.restorers(folder, bare, recovered, device)
        entrants.restorers |= restorers
        entrants.methods |= restorers
        if not any(each.denoiser.uncertainty for each in restorers.values()):
            entrants.notes.append(f"{recovered}: no coverage, {_shown(folder)} has no uncertainty.json")


def _shown(folder: Path) -> str:
    """A folder as a reader on another machine would name it."""
    return str(folder.resolve().relative_to(REPOSITORY)) if folder.is_relative_to(REPOSITORY) else folder.name
