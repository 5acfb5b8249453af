"""The whole workflow on real pixels: frames of the SDSS, and a DR6 brick that lacks band r."""

from pathlib import Path

import numpy as np
import pytest
import sep
from astropy.io import fits
from astropy.table import Table

from skydenoise.io import Brick, Denoised, read_brick, read_denoised
from skydenoise.io.fitsfile import kept_cards
from skydenoise.io.manifest import read_manifest
from skydenoise.paths import coadd_file

from .conftest import REPOSITORY, Snakemake

FIELD, BANDS = "2010H", ("r", "i", "z")
SDSS = """
run: sdss
bricks: bricks.tsv
survey: {source: files, files: images.tsv, bands: [r, i, z]}
patches: {size: 32, count: 480}
model: {levels: 3, width: 8, bottleneck: 16, outputs: 2}
train: {epochs: 4}
predict: {tile: 64, overlap: 16}
mosaics: {field: {bricks: all}}
evaluate: {credit: "Input pixels: SDSS", injections: 60}
"""

DR6_BRICK = "0959p805"
DR6 = """
run: dr6
bricks: bricks.tsv
survey: {url: "MIRROR", release: dr6, region: south, bands: [g, r, z]}
"""

pytestmark = [pytest.mark.real, pytest.mark.workflow]


def table(path: Path, *rows: tuple[str, ...]) -> None:
    path.write_text("".join("\t".join(row) + "\n" for row in rows))


@pytest.fixture(scope="module")
def run(real_data: Path, tmp_path_factory: pytest.TempPathFactory, snakemake: Snakemake) -> Path:
    """Folder in which the SDSS field was trained on and denoised."""
    folder = tmp_path_factory.mktemp("sdss")
    (folder / "sdss.yaml").write_text(SDSS)
    images = [(FIELD, band, str(real_data / f"sdss_2010H/SDSS_{band}.fits")) for band in BANDS]
    table(folder / "images.tsv", ("brick", "band", "image"), *images)
    table(folder / "bricks.tsv", ("brick", "train", "predict"), (FIELD, "yes", "yes"))
    snakemake(folder, "--configfile", "sdss.yaml")
    return folder


@pytest.fixture(scope="module")
def field(run: Path) -> tuple[Brick, Denoised]:
    """The field before and after."""
    return read_brick(run / "raw", FIELD, BANDS), read_denoised(run / "results/sdss", FIELD, BANDS)


def test_every_product_is_there(run: Path) -> None:
    root = run / "results/sdss"
    files = [coadd_file(root, FIELD, kind, band) for kind in ("image", "sigma") for band in BANDS]
    files += [coadd_file(root, FIELD, "flags"), root / "model/model.safetensors", root / "skipped.tsv"]
    files += [root / f"mosaic/field/mosaic-field-image-{band}.fits" for band in BANDS]
    files += [root / "evaluation" / f"pictures/{FIELD}-{view}.png" for view in ("brick", "galaxies")]
    assert [file for file in files if not file.exists()] == []
    assert "1 bricks denoised, 0 skipped" in (root / "summary.txt").read_text()


def test_a_field_that_is_trained_on_and_denoised_is_imported_once(run: Path) -> None:
    manifests = [run / f"results/sdss/fetch/{purpose}-c.tsv" for purpose in ("train", "predict")]
    assert sorted(entry.state for path in manifests for entry in read_manifest(path)) == ["done", "kept"]


def test_the_source_s_cards_and_wcs_are_kept(run: Path, real_data: Path) -> None:
    given = fits.getheader(real_data / "sdss_2010H/SDSS_r.fits", 0)
    made = fits.getheader(coadd_file(run / "results/sdss", FIELD, "image", "r"), 1)
    cards = [(card.keyword, card.value) for card in kept_cards(given)]
    assert [(card.keyword, card.value) for card in kept_cards(made)][: len(cards)] == cards
    assert {"CRVAL1", "CD1_2", "RUN", "CAMCOL", "NMGY"} <= set(made)


def test_bands_that_were_resampled_have_the_first_band_s_wcs(run: Path, real_data: Path) -> None:
    first = fits.getheader(real_data / "sdss_2010H/SDSS_r.fits", 0)
    other = fits.getheader(coadd_file(run / "results/sdss", FIELD, "image", "i"), 1)
    assert other["FILTER"].strip() == "i"
    for key in ("CRPIX1", "CRPIX2", "CRVAL1", "CRVAL2", "CD1_1", "CD1_2", "CD2_1", "CD2_2"):
        assert other[key] == first[key]


def bright_stars(image: np.ndarray, usable: np.ndarray, noise: float) -> np.ndarray:
    """Sources whose brightest pixel is above 50 sigma, 20 pixels or more from what is not usable."""
    found = sep.extract(image, 5.0, err=noise, mask=~usable, minarea=9)
    beside, _, _ = sep.sum_circle((~usable).astype(np.float32), found["x"], found["y"], 20.0)
    y, x = (found[axis] for axis in "yx")
    inside = (np.minimum(x, y) > 20) & (x < image.shape[1] - 21) & (y < image.shape[0] - 21)
    return found[(found["peak"] > 50 * noise) & (beside == 0) & inside]


@pytest.mark.parametrize("band", BANDS)
def test_bright_stars_keep_their_flux(band: str, field: tuple[Brick, Denoised]) -> None:
    brick, denoised = field
    index = BANDS.index(band)
    noise = float(np.median(brick.invvar[index][brick.usable[index]])) ** -0.5
    before, after = (np.ascontiguousarray(image[index]) for image in (brick.image, denoised.image))
    stars = bright_stars(before, brick.usable[index], noise)
    fluxes = [sep.sum_circle(image, stars["x"], stars["y"], 5.0)[0] for image in (before, after)]
    ratio = fluxes[1] / fluxes[0]
    assert len(stars) > 20
    assert abs(np.median(ratio) - 1) < 0.02
    assert abs(fluxes[1].sum() / fluxes[0].sum() - 1) < 0.02


def test_what_was_taken_away_is_noise(run: Path, field: tuple[Brick, Denoised]) -> None:
    rows = Table.read(run / "results/sdss/evaluation/residual.ecsv")
    sky = rows[rows["zone"] == "sky"]
    assert list(sky["band"]) == list(BANDS)
    assert (np.abs(sky["rms"] - 1) < 0.1).all()
    brick, _ = field
    per_sigma = [float(np.sqrt(np.median(invvar[invvar > 0]))) for invvar in brick.invvar]
    assert (np.abs(sky["mean"] * per_sigma) < 0.05).all()
    assert (np.abs(sky["correlation_1"] - sky["expected_1"]) < 0.1).all()


def test_the_field_is_less_noisy(field: tuple[Brick, Denoised]) -> None:
    brick, denoised = field
    for before, after in zip(brick.image, denoised.image, strict=True):
        rough_before, rough_after = (np.median(np.abs(np.diff(image))) for image in (before, after))
        assert rough_after < 0.4 * rough_before


@pytest.fixture(scope="module")
def dr6(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with a mirror of the survey that holds a brick whose band r was never observed."""
    folder = tmp_path_factory.mktemp("dr6")
    bricks = folder / "mirror/dr6/south/coadd/095"
    bricks.mkdir(parents=True)
    (bricks / DR6_BRICK).symlink_to(real_data / "dr6/coadd/095" / DR6_BRICK)
    (folder / "dr6.yaml").write_text(DR6.replace("MIRROR", (folder / "mirror").as_uri()))
    table(folder / "bricks.tsv", ("brick", "train", "predict"), (DR6_BRICK, "yes", "yes"))
    return folder


def test_the_dr6_brick_is_denoised_in_the_bands_that_it_has(dr6: Path, snakemake: Snakemake) -> None:
    manifest = "results/dr6/predict/c.tsv"
    snakemake(
        dr6, manifest, "--configfile", "dr6.yaml", "--config", f"pretrained={REPOSITORY}/models/reference"
    )
    (entry,) = read_manifest(dr6 / manifest)
    assert (entry.state, entry.bands, entry.files) == ("done", "g z", 5)
    brick = read_brick(dr6 / "raw", DR6_BRICK, ("g", "r", "z"))
    denoised = read_denoised(dr6 / "results/dr6", DR6_BRICK, ("g", "r", "z"))
    usable = brick.usable[0]
    residual = (brick.image[0] - denoised.image[0])[usable] * np.sqrt(brick.invvar[0][usable])
    assert 0.75 < residual.std() < 0.9  # 0.83 is what the noise is
    assert np.median(np.abs(np.diff(denoised.image[0][:1800, :700]))) < 0.2 * np.median(
        np.abs(np.diff(brick.image[0][:1800, :700]))
    )


def test_a_training_without_a_band_is_refused_in_one_line(dr6: Path, snakemake: Snakemake) -> None:
    noise = "results/train/patches/noise.json"
    said = snakemake(dr6, noise, "--configfile", "dr6.yaml", "--config", "run=train", check=False)
    assert said.returncode != 0
    assert "noise: band r has 0 pixels of empty sky in the training bricks, 10000 are needed" in said.stdout
    assert "Traceback" not in said.stdout
