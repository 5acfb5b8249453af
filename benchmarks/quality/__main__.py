"""Compare denoisers on the test sky, print the table and write it; docs/fidelity.md says how."""

import argparse
import json
import logging
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.machine import RESULTS
from benchmarks.quality import measure, report, rerun
from benchmarks.quality.bar import Verdict, judge
from benchmarks.quality.curves import draw_curves
from benchmarks.quality.figures import Figure, Figures
from benchmarks.quality.methods import (
    PRODUCT,
    REPOSITORY,
    Entrants,
    Training,
    add_classical,
    add_learned,
    add_ours,
)
from benchmarks.quality.sky import SEEDS, Sky, make_sky, sky_settings
from experiments.wang2021.baselines import BASELINES
from skydenoise.evaluate.scene import Image, Method
from skydenoise.predict.denoise import denoise_brick

HERE = Path(__file__).parent


_log = logging.getLogger("benchmarks.quality")


SLOW = 60.0
"""Seconds per Mpixel of three bands."""


@dataclass(frozen=True)
class Scale:
    """How much is measured: bricks and their edge (pixels) of the test sky, and what is run again.

    slow_cutouts : of them for methods that take more than SLOW seconds per Mpixel
    """

    bricks: int
    size: int
    workload: rerun.Workload
    slow_cutouts: int


QUICK = Scale(bricks=1, size=512, workload=rerun.Workload(cutouts=1, size=512, rounds=3), slow_cutouts=0)
FULL = Scale(bricks=6, size=1000, workload=rerun.Workload(cutouts=6, size=512, rounds=6), slow_cutouts=1)


def arguments() -> argparse.Namespace:
    """Of the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.quality", description="Compare denoisers on a simulated sky."
    )
    parser.add_argument("--noise", choices=("decam", "bass"), default="decam", help="of the test sky")
    parser.add_argument("--quick", action="store_true", help="a small sky; nothing is trained")
    parser.add_argument("--model", type=Path, help="default: models/<noise>")
    parser.add_argument(
        "--identity",
        type=Path,
        default=REPOSITORY / "models/identity",
        help="model of the paper's way",
    )
    parser.add_argument(
        "--train-seconds",
        type=float,
        help="of each learned peer; default: what the model took",
    )
    parser.add_argument(
        "--training",
        type=Path,
        help="results of the run whose patches the learned peers "
        "see; default: results/quality_<noise>, else cut anew",
    )
    parser.add_argument(
        "--bricks", type=int, help=f"of the test sky; default {FULL.bricks}, quick: {QUICK.bricks}"
    )
    parser.add_argument(
        "--size", type=int, help=f"edge of a brick, pixels; default {FULL.size}, quick: {QUICK.size}"
    )
    parser.add_argument(
        "--cutouts",
        type=int,
        help=f"run again; default {FULL.workload.cutouts}, quick: {QUICK.workload.cutouts}",
    )
    parser.add_argument(
        "--cache",
        type=Path,
        default=REPOSITORY / "results/quality_cache",
        help="simulated bricks are kept here",
    )
    parser.add_argument(
        "--peers",
        type=Path,
        default=REPOSITORY / "results/quality_peers",
        help="learned peers are kept in a folder <noise> of this one, and not trained again",
    )
    parser.add_argument(
        "--train-peers", nargs="*", choices=BASELINES, help="train these learned peers, or all, and stop"
    )
    parser.add_argument("--device", default="auto", help="of networks: auto, cpu, cuda")
    parser.add_argument("--name", help="of the JSON file; default: quality-<noise>, quick: -quick after it")
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder of the JSON file")
    parser.add_argument("--markdown", type=Path, help="print the tables of this JSON file as markdown")
    parser.add_argument("--curves", type=Path, help="draw the curves of this JSON file, as a PNG beside it")
    return parser.parse_args()  # fmt: skip


def scale_of(options: argparse.Namespace) -> Scale:
    """Quick or full, with what the command line says otherwise."""
    scale = QUICK if options.quick else FULL
    return replace(
        scale,
        bricks=options.bricks or scale.bricks,
        size=options.size or scale.size,
        workload=replace(scale.workload, cutouts=options.cutouts or scale.workload.cutouts),
    )


def enter(options: argparse.Namespace, sky: Sky) -> Entrants:
    """Everything that is compared; the learned peers unless it has to be quick."""
    entrants = Entrants()
    add_classical(entrants, sky, quick=options.quick)
    if options.quick:
        entrants.notes.append("Noise2Void, Noise2Self left out: --quick trains nothing")
    else:
        add_learned(entrants, training_of(options))
    add_ours(entrants, model_of(options), options.identity, options.device)
    return entrants


def model_of(options: argparse.Namespace) -> Path:
    """Folder of the model that is judged."""
    model: Path = options.model or REPOSITORY / f"models/{options.noise}"
    return model


def training_of(options: argparse.Namespace) -> Training:
    """How the learned peers are trained."""
    return Training(
        config=HERE / f"{options.noise}.yaml",
        results=options.training or REPOSITORY / f"results/quality_{options.noise}",
        model=model_of(options),
        cache=options.cache,
        peers=options.peers / options.noise,
        seed=SEEDS[options.noise],
        seconds=options.train_seconds,
        device=options.device,
    )


def restore_all(sky: Sky, methods: dict[str, Method]) -> tuple[dict[str, list[Image]], list[Figure]]:
    """Images by method, one per scene, and the seconds that they took."""
    images, figures = {}, []
    for name, method in methods.items():
        _log.info("%s", name)
        seconds = []
        images[name] = []
        for scene in sky.scenes:
            start = time.perf_counter()
            images[name].append(method(scene.brick))
            seconds.append((time.perf_counter() - start) / (sky.pixels / len(sky.scenes)) * 1e6)
        error = float(np.std(seconds, ddof=1) / np.sqrt(len(seconds))) if len(seconds) > 1 else np.nan
        figures.append(Figure(name, "seconds", "", "", float(np.mean(seconds)), error))
    return images, figures


def measure_all(sky: Sky, entrants: Entrants, scale: Scale) -> Figures:
    """Every figure of every method."""
    seed = sky.settings.seed

    def fresh() -> np.random.Generator:
        return np.random.default_rng(seed)  # each measure gives the same errors, whatever runs before it

    images, seconds = restore_all(sky, entrants.methods)
    figures = Figures()

    def take(what: str, found: Iterator[Figure]) -> None:
        start = time.perf_counter()
        figures.add(found)
        _log.info("%s: %.0f s", what, time.perf_counter() - start)

    take("pixels", measure.pixel_figures(sky, images))
    catalogues = measure.make_catalogues(sky, images)
    take("fluxes", measure.flux_figures(sky, catalogues, fresh()))
    take("scatter", measure.scatter_figures(sky, catalogues, fresh()))
    take("depth", measure.depth_figures(sky, catalogues, fresh()))
    take("stars", measure.star_figures(sky, images, fresh()))
    for name, restorer in entrants.restorers.items():
        take(f"seams, {name}", measure.seam_figures(sky, name, images[name], restorer.denoiser.settings))
        if restorer.denoiser.uncertainty is not None:
            products = [denoise_brick(scene.brick, restorer.denoiser) for scene in sky.scenes]
            take(f"coverage, {name}", measure.coverage_figures(sky, name, products))
    slow = {figure.method for figure in seconds if figure.value > SLOW}
    trials = rerun.make_trials(sky, scale.workload, fresh())
    for name, method in entrants.methods.items():
        some = trials[: scale.slow_cutouts] if name in slow else trials
        if len(some) < len(trials):
            entrants.notes.append(
                f"{name}: slow, so injections and pure noise in {len(some)} of {len(trials)} cutouts"
            )
        take(f"injections, {name}", rerun.injection_figures(sky, name, method, some, fresh()))
        take(f"pure noise, {name}", rerun.noise_figures(sky, name, method, catalogues, some))
    figures.add(seconds)
    return figures


def judged(entrants: Entrants, figures: Figures) -> dict[str, list[Verdict]]:
    """The bar for each model of ours, the product last."""
    return {name: judge(figures, name) for name in entrants.restorers}


def main(say: Callable[[str], None] = print) -> None:
    """Measure, print, write."""
    options = arguments()
    if options.markdown:
        say(report.markdown(options.markdown))
        return
    if options.curves:
        draw_curves(options.curves, options.curves.with_suffix(".png"))
        return
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    if options.train_peers is not None:
        peers = Entrants()
        add_learned(peers, training_of(options), options.train_peers or BASELINES)
        say("\n".join(peers.notes))
        return
    scale = scale_of(options)
    sky = make_sky(sky_settings(options.noise, scale.bricks, scale.size), options.cache)
    entrants = enter(options, sky)
    figures = measure_all(sky, entrants, scale)
    verdicts = judged(entrants, figures)
    say("\n".join(entrants.notes) + "\n")
    say(report.text(figures, verdicts))
    if PRODUCT not in entrants.restorers:
        say("The bar is not judged: there is no reference model")
    about = {
        "command": " ".join(["python -m benchmarks.quality", *sys.argv[1:]]),
        "noise": options.noise,
        "quick": options.quick,
        "seed": sky.settings.seed,
        "sky": {"bricks": len(sky.scenes), "size": sky.settings.size, "pixels": sky.pixels},
        "noise_model": {key: value for key, value in sky.noise.to_json().items() if key != "correlation"},
        "variants": entrants.variants,
        "models": {
            name: {"sha256": each.denoiser.description.sha256, **_provenance(each.denoiser.description)}
            for name, each in entrants.restorers.items()
        },
    }
    name = options.name or f"quality-{options.noise}" + ("-quick" if options.quick else "")
    path = report.write(name, about, entrants.notes, figures, verdicts, options.output)
    say(f"written to {path}")


def _provenance(description: object) -> dict[str, object]:
    """How a model was made."""
    made = dict(description.provenance)  # type: ignore[attr-defined]
    if isinstance(made.get("settings"), str):
        made["settings"] = json.loads(made["settings"])
    return made


if __name__ == "__main__":
    main()
