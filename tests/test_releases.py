"""DR8 to DR11: a small mirror in each release's layout, from the survey's tables to the mosaic."""

import hashlib
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
COMMON = {"size": 203, "bricks": 1, "faint_limit": 23.0, "missing": 0.0, "stars": 40.0}
"""203 pixels: a last tile of 3, which no HCOMPRESS packs."""


@dataclass(frozen=True)
class Case:
    """A run: its rows of bricks, and the bands that it asks for.

    skies : of each row, release, region, first right ascension and declination
    rows : bricks in each
    """

    bands: str
    skies: Sequence[tuple[str, str, float, float]]
    rows: int = 1


CASES = {
    "dr8": Case("grz", [("dr8", "south", 150.05, 5.0)]),
    "dr9, both sides of the border": Case(
        "grz", [("dr9", "south", 150.05, 32.395), ("dr9", "north", 150.05, 32.405)]
    ),
    "dr10, with i and int32 masks": Case("griz", [("dr10", "south", 20.05, -83.0)], 2),
    "dr10, the north from dr9": Case(
        "grz", [("dr10", "south", 150.05, 32.395), ("dr9", "north", 150.05, 32.405)]
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


@pytest.fixture(scope="module", params=CASES.values(), ids=CASES)
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    case, root = request.param, tmp_path_factory.mktemp("release")
    mirror, names = root / "survey", []
    for release, region, ra, dec in case.skies:
        sky = SimulationSettings(
            release=release, region=region, ra=ra, dec=dec, **COMMON | {"bricks": case.rows}
        )
        write_survey_tables(mirror, sky)
        for name in brick_names(sky):
            simulate_brick(name, sky, mirror, root)
            names.append(name)
    release, region, *_ = case.skies[0]
    survey = Survey(str(mirror), release, region).absolute()
    fetching = FetchSettings(connections=2)
    regions = [place if where == release else f"{where}/{place}" for where, place, *_ in case.skies]
    every_sky_has = "grz"
    chosen = choose_bricks(survey, every_sky_has, Names(tuple(names)), root / "raw", fetching, regions)
    places = dict(zip(chosen["brickname"], chosen["region"], strict=True))
    train = pick_training(chosen, 1, np.random.default_rng(0))
    write_bricks_table(root / "bricks.tsv", chosen["brickname"], train, chosen["brickname"], places)
    rows = read_bricks_table(root / "bricks.tsv")
    elsewhere = {row.brick: row.region for row in rows}
    fetched = fetch_bricks([row.brick for row in rows], case.bands, survey, root / "raw", fetching, elsewhere)
    assert [(entry.state, entry.unverified, entry.reason) for entry in fetched] == [("done", 0, "")] * len(
        names
    )
    chunk = Chunk(root / "raw", root, partial(denoiser, case.bands), OutputSettings())
    predicted = predict_bricks([row.brick for row in rows], chunk, root / "chunk.tsv", 1)
    assert [entry.reason for entry in predicted] == [""] * len(names)
    return Finished(case, root, places)


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
        saturated = fits.getdata(raw_file(run.root / "raw", name, "maskbits"), "MASKBITS" if False else 1)
        for band, bit in (("g", 2), ("r", 3), ("z", 4), ("i", 14)):
            if band in bands:
                masked = brick.masked[run.case.bands.index(band)]
                assert masked[saturated & 1 << bit != 0].all()


def test_masks_are_of_the_release_s_type_and_find_saturated_pixels(run: Finished) -> None:
    masked = 0
    for release, region, *_ in run.case.skies:
        for path in (run.root / "survey" / release / region).rglob("*maskbits.fits.fz"):
            data = fits.getdata(path, 1)
            assert data.dtype == (np.int16 if release in ("dr8", "dr9") else np.int32)
            masked += np.count_nonzero(data & 0b11111100)
    assert masked


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
        files = product_files(run.root, name, list(present(run, name)))
        assert fits.getheader(files[-1], 1)["EXTNAME"] == "FLAGS"


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
        for name in added:
            product = read_denoised(run.root, name, band)
            cards = fits.getheader(coadd_file(run.root, name, "image", band), 1)
            inner = product.image[0, 20:-20, 20:-20]
            y, x = np.add(np.unravel_index(np.argmax(inner), inner.shape), 20)
            at = WCS(header).world_to_pixel(WCS(cards).pixel_to_world(x, y))
            column, row = np.rint(at).astype(int)
            near = mosaic[row - 2 : row + 3, column - 2 : column + 3]
            assert near.max() == pytest.approx(product.image[0, y, x], rel=0.3)
