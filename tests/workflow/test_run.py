"""The whole workflow on a tiny simulated survey, one of whose bricks lacks a band."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS

from skydenoise.io import flag_bit
from skydenoise.io.manifest import read_manifest
from skydenoise.paths import coadd_file, raw_file

from .conftest import BROKEN, DENOISED, LATER, Snakemake

pytestmark = pytest.mark.workflow


@pytest.fixture(scope="module")
def root(finished: Path) -> Path:
    """Folder of the results."""
    return finished / "results/test"


def test_every_product_is_there(root: Path) -> None:
    for kind in ("image", "sigma"):
        for band in "grz":
            assert coadd_file(root, DENOISED, kind, band).exists()
    assert coadd_file(root, DENOISED, "flags").exists()
    against_truth = ("quality", "photometry", "colours", "coverage", "detection", "stars")
    for name in (*against_truth, "residual", "seams", "risk", "aperture"):
        assert len(Table.read(root / f"evaluation/{name}.ecsv")) > 0
    for name in ("injection", "leak"):
        assert max(Table.read(root / f"evaluation/{name}.ecsv")["sources"]) > 3
    plots = ("residual.png", "injection.png", "photometry.png", "detection.png", "training.png")
    for picture in (*plots, f"pictures/{DENOISED}-brick.png"):
        assert (root / "evaluation" / picture).stat().st_size > 10_000
    for file in ("model.safetensors", "model.json", "uncertainty.json"):
        assert (root / "model" / file).exists()


def test_every_job_left_a_log_and_a_benchmark_and_no_lock(root: Path) -> None:
    logs = {path.relative_to(root / "logs").with_suffix("") for path in root.glob("logs/**/*.log")}
    benchmarks = {
        path.relative_to(root / "benchmarks").with_suffix("") for path in root.glob("benchmarks/**/*.tsv")
    }
    assert logs == benchmarks
    assert list(root.glob("**/*.lock")) == []


def test_header_and_wcs_are_those_of_the_input(root: Path) -> None:
    given = fits.getheader(raw_file(root / "raw", DENOISED, "image", "g"), 1)
    made = fits.getheader(coadd_file(root, DENOISED, "image", "g"), 1)
    for key in WCS(given).to_header():
        if key in given:
            assert made[key] == given[key]
    assert set(given) - set(made) <= {"CHECKSUM", "DATASUM"}
    assert made["BUNIT"] == "nanomaggy"


def test_the_image_is_less_noisy_and_keeps_its_flux(root: Path) -> None:
    given = fits.getdata(raw_file(root / "raw", DENOISED, "image", "r"), 1)
    made = fits.getdata(coadd_file(root, DENOISED, "image", "r"), 1)
    flags = fits.getdata(coadd_file(root, DENOISED, "flags"), 1)
    guessed = flags & (1 << flag_bit("NODATA", 1) | 1 << flag_bit("INPAINTED", 1)) != 0
    residual = (given - made)[~guessed]

    def rough(image: np.ndarray) -> float:
        return float(np.median(np.abs(np.diff(image, axis=1))))

    assert rough(made) < 0.6 * rough(given)
    assert abs(residual.sum()) < 0.05 * given[~guessed].sum()


def test_the_brick_without_a_band_is_skipped_with_its_reason(root: Path) -> None:
    skipped = (root / "skipped.tsv").read_text().splitlines()[1:]
    assert [line.split("\t")[0] for line in skipped] == [BROKEN]
    assert "band r" in skipped[0]
    assert "1 bricks denoised, 1 skipped" in (root / "summary.txt").read_text()
    states = {entry.brick: entry.state for entry in read_manifest(root / "fetch/predict-c.tsv")}
    assert states == {DENOISED: "done", BROKEN: "skipped"}


def test_the_mosaic_holds_the_denoised_brick(root: Path) -> None:
    brick = fits.getdata(coadd_file(root, DENOISED, "image", "z"), 1)
    covered = fits.getdata(raw_file(root / "raw", DENOISED, "invvar", "z"), 1) > 0
    mosaic = fits.getdata(root / "mosaic/both/mosaic-both-image-z.fits")
    assert mosaic.sum() == pytest.approx(brick[covered].sum(), rel=0.02)


@pytest.mark.parametrize(
    ("changed", "again", "kept"),
    [
        ("simulation: {size: 320, seed: 12, bricks: 4}", "simulate_brick", None),
        ("patches: {size: 32, count: 90}", "patches", "fetch"),
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
    finished: Path, snakemake: Snakemake, tmp_path: Path, changed: str, again: str, kept: str | None
) -> None:
    (tmp_path / "changed.yaml").write_text(changed + "\n")
    said = snakemake(finished, "--configfile", str(tmp_path / "changed.yaml"), "--dry-run").stdout
    assert f"rule {again}:" in said
    assert kept is None or f"rule {kept}:" not in said


def test_other_tries_of_a_download_run_nothing_again(
    finished: Path, snakemake: Snakemake, tmp_path: Path
) -> None:
    (tmp_path / "changed.yaml").write_text("survey: {retries: 9}\n")
    said = snakemake(finished, "--configfile", str(tmp_path / "changed.yaml"), "--dry-run").stdout
    assert "Nothing to be done" in said


def test_a_new_brick_never_trains_again_nor_touches_others(copy: Path, snakemake: Snakemake) -> None:
    with (copy / "config/bricks.tsv").open("a") as table:
        table.write(f"{LATER}\tno\tyes\n")
    before = coadd_file(copy / "results/test", DENOISED, "image", "g").stat().st_mtime_ns

    said = snakemake(copy, "results/test/predict/c.tsv").stdout

    assert "rule predict" in said
    for rule in ("noise", "patches", "train", "calibrate"):
        assert f"rule {rule}:" not in said
    states = {entry.brick: entry.state for entry in read_manifest(copy / "results/test/predict/c.tsv")}
    assert states == {DENOISED: "kept", LATER: "done"}
    assert coadd_file(copy / "results/test", DENOISED, "image", "g").stat().st_mtime_ns == before


def test_a_skipped_brick_is_tried_again_on_demand(copy: Path, snakemake: Snakemake) -> None:
    snakemake(copy, "retry_skipped")

    said = snakemake(copy, "--dry-run").stdout
    assert "rule fetch:" in said
    assert "rule predict:" in said
    for rule in ("noise", "patches", "train", "calibrate"):
        assert f"rule {rule}:" not in said


def test_a_model_that_was_trained_before_denoises_bricks_at_once(copy: Path, snakemake: Snakemake) -> None:
    (copy / "results/test/model").rename(copy / "shipped")
    for made in ("patches", "predict", "coadd"):
        shutil.rmtree(copy / "results/test" / made)
    pretrained = ("--config", "pretrained=shipped")

    said = snakemake(copy, "results/test/summary.txt", *pretrained).stdout

    assert "rule adopt:" in said
    for rule in ("noise", "patches", "train"):
        assert f"rule {rule}:" not in said
    assert read_manifest(copy / "results/test/predict/c.tsv")[0].state == "done"
    assert "training_curve" not in snakemake(copy, "--dry-run", *pretrained).stdout


def test_the_report_is_one_file_with_captions(finished: Path, snakemake: Snakemake, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    snakemake(finished, "--report", str(file))
    report = file.read_text()
    assert "What came out" in report
    assert "1 bricks denoised" in report
    assert "flux bias by magnitude" in report
    assert f"{DENOISED}" in report
    assert '<script src="http' not in report


def test_the_sky_is_made_of_what_is_there_and_only_once(copy: Path, snakemake: Snakemake) -> None:
    sky = copy / "results/test/sky"
    sky.mkdir()
    for name in ("aladin.js", "aladin-licence.txt"):  # as where there is no network
        (sky / name).write_text("put there by hand")
    said = snakemake(copy, "sky").stdout
    assert "rule sky_viewer:" not in said
    assert DENOISED in (sky / "sky.json").read_text()
    assert (sky / "index.html").exists()
    for survey in ("input", "denoised", "sigma-r"):
        assert (sky / survey / "Moc.fits").exists()
        assert len(list((sky / survey).glob("Norder11/*/Npix*"))) > 0
    assert "Nothing to be done" in snakemake(copy, "--dry-run", "sky").stdout
