"""The whole workflow on a tiny simulated survey, one of whose bricks lacks a band."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS

from skydenoise.io import flag_bit
from skydenoise.io.manifest import read_manifest
from skydenoise.paths import coadd_file, raw_file

from .conftest import clone

Snakemake = Callable[..., subprocess.CompletedProcess[str]]

TRAINED, DENOISED, BROKEN, LATER = "1500p600", "1501p600", "1502p600", "1503p600"
SETTINGS = """
run: tiny
bricks: bricks.tsv
survey: {source: simulation}
simulation: {size: 320, seed: 11, bricks: 4}
patches: {size: 32, count: 96, shard_patches: 64}
model: {levels: 3, width: 4, bottleneck: 8, outputs: 2}
train: {epochs: 3, batch_size: 8}
predict: {tile: 64, overlap: 16}
mosaics: {both: {bricks: all}}
evaluate: {bricks: 2, injections: 40, fwhm: [1.5, 1.4, 1.3]}
"""

pytestmark = pytest.mark.workflow


def table(folder: Path, *rows: tuple[str, str, str]) -> None:
    lines = ["\t".join(row) for row in (("brick", "train", "predict"), *rows)]
    (folder / "bricks.tsv").write_text("\n".join(lines))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, snakemake: Snakemake) -> Path:
    """Folder of a finished run; band r of one brick was never observed."""
    folder = clone(tmp_path_factory.mktemp("run"))
    (folder / "tiny.yaml").write_text(SETTINGS)
    table(folder, (TRAINED, "yes", "no"), (DENOISED, "no", "yes"), (BROKEN, "no", "yes"))
    snakemake(folder, "--configfile", "tiny.yaml", "--until", "simulate_brick")
    mirror = folder / "results/tiny/survey/dr9/south/coadd"
    raw_file(mirror, BROKEN, "image", "r").unlink()
    snakemake(folder, "--configfile", "tiny.yaml")
    return folder


def test_every_product_is_there(run: Path) -> None:
    root = run / "results/tiny"
    for kind in ("image", "sigma"):
        for band in "grz":
            assert coadd_file(root, DENOISED, kind, band).exists()
    assert coadd_file(root, DENOISED, "flags").exists()
    against_truth = ("quality", "photometry", "colours", "coverage", "detection", "stars")
    for name in (*against_truth, "residual", "seams", "risk"):
        assert len(Table.read(root / f"evaluation/{name}.ecsv")) > 0
    for name in ("injection", "injected_colours", "leak"):
        assert max(Table.read(root / f"evaluation/{name}.ecsv")["sources"]) > 3
    assert len(Table.read(root / "evaluation/overlaps.ecsv")) == 0  # of one brick
    plots = ("residual.png", "injection.png", "photometry.png", "detection.png", "training.png")
    for picture in (*plots, f"pictures/{DENOISED}-brick.png"):
        assert (root / "evaluation" / picture).stat().st_size > 10_000
    for file in ("model.safetensors", "model.json", "uncertainty.json"):
        assert (root / "model" / file).exists()


def test_header_and_wcs_are_those_of_the_input(run: Path) -> None:
    given = fits.getheader(raw_file(run / "results/tiny/raw", DENOISED, "image", "g"), 1)
    made = fits.getheader(coadd_file(run / "results/tiny", DENOISED, "image", "g"), 1)
    for key in WCS(given).to_header():
        if key in given:
            assert made[key] == given[key]
    assert set(given) - set(made) <= {"CHECKSUM", "DATASUM"}
    assert made["BUNIT"] == "nanomaggy"


def test_the_image_is_less_noisy_and_keeps_its_flux(run: Path) -> None:
    given = fits.getdata(raw_file(run / "results/tiny/raw", DENOISED, "image", "r"), 1)
    made = fits.getdata(coadd_file(run / "results/tiny", DENOISED, "image", "r"), 1)
    flags = fits.getdata(coadd_file(run / "results/tiny", DENOISED, "flags"), 1)
    guessed = flags & (1 << flag_bit("NODATA", 1) | 1 << flag_bit("INPAINTED", 1)) != 0
    residual = (given - made)[~guessed]

    def rough(image: np.ndarray) -> float:
        return float(np.median(np.abs(np.diff(image, axis=1))))

    assert rough(made) < 0.6 * rough(given)
    assert abs(residual.sum()) < 0.05 * given[~guessed].sum()


def test_the_brick_without_a_band_is_skipped_with_its_reason(run: Path) -> None:
    skipped = (run / "results/tiny/skipped.tsv").read_text().splitlines()[1:]
    assert [line.split("\t")[0] for line in skipped] == [BROKEN]
    assert "band r" in skipped[0]
    assert "1 bricks denoised, 1 skipped" in (run / "results/tiny/summary.txt").read_text()
    states = {entry.brick: entry.state for entry in read_manifest(run / "results/tiny/fetch/predict-c.tsv")}
    assert states == {DENOISED: "done", BROKEN: "skipped"}


def test_the_mosaic_holds_the_denoised_brick(run: Path) -> None:
    brick = fits.getdata(coadd_file(run / "results/tiny", DENOISED, "image", "z"), 1)
    covered = fits.getdata(raw_file(run / "results/tiny/raw", DENOISED, "invvar", "z"), 1) > 0
    mosaic = fits.getdata(run / "results/tiny/mosaic/both/mosaic-both-image-z.fits")
    assert mosaic.sum() == pytest.approx(brick[covered].sum(), rel=0.02)


def test_running_again_does_nothing(run: Path, snakemake: Snakemake) -> None:
    assert "Nothing to be done" in snakemake(run, "--configfile", "tiny.yaml", "--dry-run").stdout


@pytest.mark.parametrize(
    ("changed", "again", "kept"),
    [
        ("simulation: {size: 320, seed: 12, bricks: 4}", "simulate_brick", None),
        ("patches: {size: 32, count: 90, shard_patches: 64}", "patches", "fetch"),
        ("noise: {max_lag: 5}", "noise", "fetch"),
        ("train: {epochs: 4, batch_size: 8}", "train", "patches"),
        ("predict: {tile: 64, overlap: 24}", "predict", "train"),
        ("recover: {threshold: [5, 5, 5]}", "predict", "patches"),
        ("output: {compression: lossless}", "predict", "train"),
        ("mosaics: {both: {bricks: all, pixel_scale: 0.5}}", "mosaic", "predict"),
        ("evaluate: {bricks: 2, credit: others}", "pictures", "predict"),
        ("evaluate: {injections: 41}", "evaluate_denoiser", "predict"),
    ],
)
def test_a_changed_setting_runs_again_what_depends_on_it(
    run: Path, snakemake: Snakemake, changed: str, again: str, kept: str | None
) -> None:
    (run / "changed.yaml").write_text(changed + "\n")
    said = snakemake(run, "--configfile", "tiny.yaml", "changed.yaml", "--dry-run").stdout
    assert f"rule {again}:" in said
    assert kept is None or f"rule {kept}:" not in said


def test_a_new_brick_never_trains_again_nor_touches_others(
    run: Path, snakemake: Snakemake, tmp_path: Path
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(run, folder, symlinks=True)
    (folder / "results/tiny/raw/SOURCE.json").unlink()  # the simulated survey moved along with its cache
    rows = ((TRAINED, "yes", "no"), (DENOISED, "no", "yes"), (BROKEN, "no", "yes"), (LATER, "no", "yes"))
    table(folder, *rows)
    before = coadd_file(folder / "results/tiny", DENOISED, "image", "g").stat().st_mtime_ns

    said = snakemake(folder, "results/tiny/predict/c.tsv", "--configfile", "tiny.yaml").stdout

    assert "rule predict" in said
    for rule in ("noise", "patches", "train", "calibrate"):
        assert f"rule {rule}:" not in said
    states = {entry.brick: entry.state for entry in read_manifest(folder / "results/tiny/predict/c.tsv")}
    assert states == {DENOISED: "kept", LATER: "done"}
    assert coadd_file(folder / "results/tiny", DENOISED, "image", "g").stat().st_mtime_ns == before


def test_a_skipped_brick_is_tried_again_on_demand(run: Path, snakemake: Snakemake, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(run, folder, symlinks=True)

    snakemake(folder, "retry_skipped", "--configfile", "tiny.yaml")

    said = snakemake(folder, "--configfile", "tiny.yaml", "--dry-run").stdout
    assert "rule fetch:" in said
    assert "rule predict:" in said
    for rule in ("noise", "patches", "train", "calibrate"):
        assert f"rule {rule}:" not in said


def test_a_model_that_was_trained_before_denoises_bricks_at_once(
    run: Path, snakemake: Snakemake, tmp_path: Path
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(run, folder, symlinks=True)
    (folder / "results/tiny/raw/SOURCE.json").unlink()
    (folder / "results/tiny/model").rename(folder / "shipped")
    for made in ("patches", "predict", "coadd"):
        shutil.rmtree(folder / "results/tiny" / made)
    pretrained = ("--configfile", "tiny.yaml", "--config", "pretrained=shipped")

    said = snakemake(folder, "results/tiny/summary.txt", *pretrained).stdout

    assert "rule adopt:" in said
    for rule in ("noise", "patches", "train"):
        assert f"rule {rule}:" not in said
    assert read_manifest(folder / "results/tiny/predict/c.tsv")[0].state == "done"
    assert "training_curve" not in snakemake(folder, "--dry-run", *pretrained).stdout


def test_the_report_is_one_file_with_captions(run: Path, snakemake: Snakemake) -> None:
    snakemake(run, "--configfile", "tiny.yaml", "--report", "report.html")
    report = (run / "report.html").read_text()
    assert "flux bias by magnitude" in report
    assert f"{DENOISED}" in report
    assert '<script src="http' not in report
