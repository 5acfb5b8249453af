"""DR8 to DR11: a small mirror in each release's layout, from the survey's tables to the mosaic."""

import hashlib
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from astropy.io import fits
from astropy.wcs import WCS

from skydenoise.config import Architecture, FetchSettings, MosaicSettings, OutputSettings, PredictSettings
from skydenoise.io import product_files, read_brick, read_denoised
from skydenoise.io.fitsfile import kept_cards
from skydenoise.mosaic import MosaicInput, mosaic_band
from skydenoise.network import ModelDescription
from skydenoise.noise import NoiseModel
from skydenoise.noise.levels import noise_levels
from skydenoise.paths import Survey, coadd_file, raw_file, truth_file
from skydenoise.predict import Chunk, Denoiser, load_denoiser, predict_bricks
from skydenoise.simulate import SimulationSettings, brick_names
from skydenoise.simulate.survey import simulate_brick, write_survey_tables
from skydenoise.stretch import Stretch
from skydenoise.survey.bricks_table import read_bricks_table, write_bricks_table
from skydenoise.survey.choose import choose_bricks, pick_training
from skydenoise.survey.fetch import fetch_bricks
from skydenoise.survey.region import Names

REFERENCE = Path(__file__).parents[1] / "models/reference"
SETTINGS = PredictSettings(tile=128, overlap=32)
COMMON = {"size": 203, "faint_limit": 23.0, "missing": 0.0, "stars": 40.0}
"""203 pixels: a last tile of 3, which no HCOMPRESS packs."""


@dataclass(frozen=True)
class Case:
    """A run: the bands that it asks for, and its rows of bricks.

    skies : of each row, release, region, right ascension and declination of the first brick
    length : bricks in a row
    """

    bands: str
    skies: Sequence[tuple[str, str, float, float]]
    length: int = 1


CASES = {
    "dr8": Case("grz", [("dr8", "south", 150.05, 5.0)]),
    "dr9, both sides of the border": Case(
        "grz", [("dr9", "south", 149.998, 32.37), ("dr9", "north", 150.003, 32.38)]
    ),
    "dr10, with i and int32 masks": Case("griz", [("dr10", "south", 20.05, -84.0)], 2),
    "dr10, the north from dr9": Case(
        "grz", [("dr10", "south", 149.998, 32.37), ("dr9", "north", 150.003, 32.38)]
    ),
    "dr11, the north without i, over RA 0": Case(
        "griz", [("dr11", "south", 359.95, 84.0), ("dr11", "north", 0.05, 84.0)]
    ),
}


class Same(torch.nn.Module):
    def forward(self, u: torch.Tensor) -> tuple[torch.Tensor]:
        return (u,)


def denoiser(bands: str) -> Denoiser:
    """The reference model, or, for bands that it does not know, a network that changes nothing."""
    if bands == "grz":
        return load_denoiser(REFERENCE, SETTINGS, torch.device("cpu"))
    architecture = Architecture(bands=len(bands), levels=2, outputs=1, skips=False)
    count, white = len(bands), np.ones((len(bands), 1, 1))
    levels = np.stack([noise_levels(white[0], 5)] * count)
    noise = NoiseModel(tuple(bands), (0.01,) * count, (1.0,) * count, white, levels)
    description = ModelDescription(architecture, tuple(bands), Stretch(10.0), noise, {}, sha256="ab" * 32)
    return Denoiser(Same(), description, SETTINGS)


@dataclass(frozen=True)
class Finished:
    """Where a case's files are, and the names of its bricks with their region."""

    case: Case
    root: Path
    places: dict[str, str]


def simulated(case: Case, root: Path) -> list[str]:
    """Bricks of a case, in a mirror under `root`."""
    names = []
    for release, region, ra, dec in case.skies:
        place = {"release": release, "region": region, "ra": ra, "dec": dec, "bricks": case.length}
        sky = SimulationSettings(**COMMON, **place)
        write_survey_tables(root / "survey", sky)
        for name in brick_names(sky):
            simulate_brick(name, sky, root / "survey", root)
            names.append(name)
    return names


@pytest.fixture(scope="module", params=CASES.values(), ids=CASES)
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """From the survey's tables over the table of bricks to denoised bricks."""
    case, root = request.param, tmp_path_factory.mktemp("release")
    wanted = Names(tuple(simulated(case, root)))
    release, region, *_ = case.skies[0]
    survey, fetching = Survey(str(root / "survey"), release, region).absolute(), FetchSettings(connections=2)
    everywhere = "grz" if any(region == "north" for _, region, *_ in case.skies) else case.bands
    regions = [place if where == release else f"{where}/{place}" for where, place, *_ in case.skies]
    chosen = choose_bricks(survey, everywhere, wanted, root / "raw", fetching, regions)
    train = pick_training(chosen, 1, np.random.default_rng(0))
    names = list(map(str, chosen["brickname"]))
    places = dict(zip(names, map(str, chosen["region"]), strict=True))
    write_bricks_table(root / "bricks.tsv", names, train, names, places)
    listed = {row.brick: row.region for row in read_bricks_table(root / "bricks.tsv")}
    fetched = fetch_bricks(list(listed), case.bands, survey, root / "raw", fetching, listed)
    assert [(entry.state, entry.unverified) for entry in fetched] == [("done", 0)] * len(wanted.names)
    chunk = Chunk(root / "raw", root, partial(denoiser, case.bands), OutputSettings())
    predicted = predict_bricks(list(listed), chunk, root / "chunk.tsv", 1)
    assert [entry.reason for entry in predicted] == [""] * len(wanted.names)
    return Finished(case, root, listed)


def present(run: Finished, name: str) -> str:
    """Bands of a brick."""
    return "grz" if run.places[name].endswith("north") else run.case.bands


def test_every_file_is_the_survey_s(run: Finished) -> None:
    for name in run.places:
        for band in present(run, name):
            for kind in ("image", "invvar"):
                copy = raw_file(run.root / "raw", name, kind, band)
                (original,) = (run.root / "survey").rglob(copy.name)
                digests = {hashlib.sha256(path.read_bytes()).hexdigest() for path in (copy, original)}
                assert len(digests) == 1


def test_pixels_are_the_truth_within_their_noise(run: Finished) -> None:
    for name in run.places:
        bands = present(run, name)
        brick = read_brick(run.root / "raw", name, run.case.bands)
        assert "".join(brick.present) == bands
        truth = np.stack([fits.getdata(truth_file(run.root, name, band), 1) for band in bands])
        there = [run.case.bands.index(band) for band in bands]
        errors = ((brick.image[there] - truth) * np.sqrt(brick.invvar[there]))[brick.usable[there]]
        assert errors.std() == pytest.approx(1, abs=0.03)
        assert (brick.image[brick.invvar == 0] == 0).all()


def test_saturated_and_bad_pixels_are_masked_in_every_band(run: Finished) -> None:
    for release, region, *_ in run.case.skies:
        for path in (run.root / "survey" / release / region).rglob("*maskbits.fits.fz"):
            bits = fits.getdata(path, 1)
            assert bits.dtype == (np.int16 if release in ("dr8", "dr9") else np.int32)
            name = path.parent.name
            brick = read_brick(run.root / "raw", name, present(run, name))
            assert brick.unmasked == ()
            for band, masked in zip(brick.bands, brick.masked, strict=True):
                saturated, bad = {"g": (2, 5), "r": (3, 6), "z": (4, 7), "i": (14, 15)}[band]
                expected = bits & (1 << saturated | 1 << bad) != 0
                assert expected.any()
                np.testing.assert_array_equal(masked, expected)


def test_products_keep_the_cards_and_have_names_of_their_own(run: Finished) -> None:
    for name in run.places:
        for band in present(run, name):
            raw, product, sigma = (
                fits.getheader(path, 1, disable_image_compression=True)
                for path in (
                    raw_file(run.root / "raw", name, "image", band),
                    coadd_file(run.root, name, "image", band),
                    coadd_file(run.root, name, "sigma", band),
                )
            )
            kept = [card.image for card in kept_cards(raw) if card.keyword != "LONGSTRN"]
            found = [card.image for card in kept_cards(product) if card.keyword != "LONGSTRN"]
            assert found[: len(kept)] == kept
            named = run.case.skies[0][0] == "dr11"
            assert product.get("EXTNAME") == (f"IMAGE_{band}" if named else None)
            assert sigma["EXTNAME"] == f"SIGMA_{band}"
        assert fits.getheader(coadd_file(run.root, name, "flags"), 1)["EXTNAME"] == "FLAGS"


@pytest.mark.skipif(shutil.which("fitsverify") is None, reason="fitsverify (Debian package) is not installed")
def test_fitsverify_has_no_complaint(run: Finished) -> None:
    name = next(iter(run.places))
    files = product_files(run.root, name, present(run, name)[:1])
    raw = [raw_file(run.root / "raw", name, "invvar", "g"), raw_file(run.root / "raw", name, "maskbits")]
    found = subprocess.run(["fitsverify", "-q", *map(str, [*files, *raw])], capture_output=True, text=True)
    assert found.stdout.count("verification OK") == len(files) + len(raw), found.stdout


def test_the_mosaic_shows_every_brick(run: Finished, tmp_path: Path) -> None:
    for band in run.case.bands:
        inputs = [
            MosaicInput(
                name,
                band,
                coadd_file(run.root, name, "image", band) if band in present(run, name) else None,
                raw_file(run.root / "raw", name, "invvar", band),
                coadd_file(run.root, name, "flags"),
            )
            for name in run.places
        ]
        files = tmp_path / f"{band}.fits", tmp_path / f"invvar-{band}.fits"
        added = mosaic_band(inputs, *files, MosaicSettings(), {})
        assert added == [name for name in sorted(run.places) if band in present(run, name)]
        mosaic, header = fits.getdata(files[0], header=True)
        assert max(mosaic.shape) < 2 * COMMON["size"]  # neighbours overlap
        middles = [fits.getheader(coadd_file(run.root, name, "image", band), 1)["CRVAL*"] for name in added]
        ends = WCS(header).wcs_world2pix([list(each.values()) for each in (middles[0], middles[-1])], 0)
        columns, rows = np.rint(np.linspace(*ends, 50)).astype(int).T
        assert (
            fits.getdata(files[1])[rows, columns] > 0
        ).mean() > 0.95  # from one to the other, without a gap
        for name in added:
            product = read_denoised(run.root, name, band)
            cards = fits.getheader(coadd_file(run.root, name, "image", band), 1)
            inner = product.image[0, 20:-20, 20:-20]
            y, x = np.add(np.unravel_index(np.argmax(inner), inner.shape), 20)
            at = WCS(header).world_to_pixel(WCS(cards).pixel_to_world(x, y))
            column, row = np.rint(at).astype(int)
            near = mosaic[row - 2 : row + 3, column - 2 : column + 3]
            assert near.max() == pytest.approx(product.image[0, y, x], rel=0.3)
