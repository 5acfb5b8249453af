"""choose and bricks_table: the right bricks, a table that cannot lie, chunks that stay."""

import gzip
import shutil
from collections.abc import Iterable
from pathlib import Path

import fitsio
import numpy as np
import pytest
from astropy.table import Table
from hypothesis import given
from hypothesis import strategies as st
from survey_server import Status, SurveyServer

from skydenoise import paths
from skydenoise.config import FetchSettings
from skydenoise.errors import SettingsError
from skydenoise.survey.bricks_table import BrickRow, chunks, read_bricks_table, write_bricks_table
from skydenoise.survey.choose import choose_bricks, pick_training
from skydenoise.survey.fetch import FetchError
from skydenoise.survey.region import Box, Cone, Names

QUICK = FetchSettings(retries=1, timeout=5, backoff=0.0)

CELLS = [  # name, ra1, ra2, dec1, dec2, exposures in g, r, z
    ("0001p000", 0.0, 0.25, -0.125, 0.125, (2, 2, 2)),
    ("0003p000", 0.25, 0.5, -0.125, 0.125, (2, 2, 2)),
    ("3596p000", 359.5, 359.75, -0.125, 0.125, (2, 2, 2)),
    ("3598p000", 359.75, 360.0, -0.125, 0.125, (2, 0, 2)),
    ("0001p002", 0.0, 0.25, 0.125, 0.375, (1, 1, 1)),
    ("1800p900", 0.0, 360.0, 89.875, 90.0, (3, 3, 3)),
    ("2000p897", 150.0, 250.0, 89.625, 89.875, (3, 3, 3)),
    ("2700m100", 269.9, 270.15, -10.125, -9.875, None),  # not observed in this region
]


@pytest.fixture(scope="module")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("tables")
    (root / "dr9" / "south").mkdir(parents=True)
    cells = np.array(
        [cell[:5] for cell in CELLS],
        dtype=[("BRICKNAME", "S8"), ("RA1", "f8"), ("RA2", "f8"), ("DEC1", "f8"), ("DEC2", "f8")],
    )
    fitsio.write(str(root / "dr9" / "survey-bricks.fits.gz"), cells)
    observed = np.array(
        [(name, (a + b) / 2, (c + d) / 2, *nexp) for name, a, b, c, d, nexp in CELLS if nexp],
        dtype=[("brickname", "S8"), ("ra", "f8"), ("dec", "f8")] + [(f"nexp_{b}", "i2") for b in "grz"],
    )
    fitsio.write(str(root / "dr9" / "south" / "survey-bricks-dr9-south.fits.gz"), observed)
    return root


@pytest.fixture
def survey(mirror: Path) -> paths.Survey:
    return paths.Survey(mirror.as_uri(), "dr9", "south")


def chosen(survey: paths.Survey, where: Names | Box | Cone, tables: Path) -> set[str]:
    return set(choose_bricks(survey, "grz", where, tables, QUICK)["brickname"])


@pytest.mark.parametrize(
    ("where", "names"),
    [
        (Box(0.1, 0.4, -0.05, 0.05), {"0001p000", "0003p000"}),
        (Box(359.6, 0.1, -0.05, 0.05), {"3596p000", "0001p000"}),  # through 0; 3598p000 lacks r
        (Box(0.05, 0.05, 0.3, 0.3), {"0001p002"}),  # a point inside a brick
        (Box(0, 360, -90, 89), {"0001p000", "0003p000", "3596p000", "0001p002"}),
        (Box(10, 20, 89.9, 90), {"1800p900"}),
        (Cone(0.1, 0.0, 0.01), {"0001p000"}),
        (Cone(0.0, 0.0, 0.26), {"0001p000", "0003p000", "3596p000", "0001p002"}),
        (Cone(0.0, 0.0, 0.24), {"0001p000", "0001p002"}),
        (Cone(20.0, 89.95, 0.05), {"1800p900"}),
        (Cone(20.0, 89.95, 0.5), {"1800p900", "2000p897"}),  # over the pole
        (Names(("0001p000",)), {"0001p000"}),
    ],
)
def test_bricks_that_touch_the_region(
    where: Names | Box | Cone, names: set[str], survey: paths.Survey, tmp_path: Path
) -> None:
    assert chosen(survey, where, tmp_path) == names


def test_left_out_bricks_are_named_with_the_reason(
    survey: paths.Survey, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    where = Names(("3598p000", "2700m100", "0001p000"))
    table = choose_bricks(survey, "grz", where, tmp_path, QUICK)
    assert table.colnames == ["brickname", "ra", "dec", "nexp_g", "nexp_r", "nexp_z", "region"]
    assert table.meta["left_out"] == {
        "2700m100": "not in the region's table of observed bricks",
        "3598p000": "no exposure in band r",
    }
    assert "brick 3598p000 is left out: no exposure in band r" in caplog.text
    assert set(choose_bricks(survey, "gz", where, tmp_path, QUICK)["brickname"]) == {"0001p000", "3598p000"}


@pytest.mark.parametrize("name", ["1410\tyes", "1410\nx\ty", "../../x", "1410m03"])
def test_names_in_the_survey_s_tables_are_checked(
    name: str, mirror: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    survey = paths.Survey((tmp_path / "mirror").as_uri(), "dr9", "south")
    shutil.copytree(mirror, tmp_path / "mirror")
    for path in (tmp_path / "mirror").rglob("*.gz"):
        table = gzip.decompress(path.read_bytes()).replace(
            b"0001p000", name.encode("latin-1").ljust(8, b"\0")
        )
        path.write_bytes(gzip.compress(table))
    found = chosen(survey, Box(0, 360, -90, 90), tmp_path / "raw")
    assert found == {"0003p000", "3596p000", "0001p002", "1800p900", "2000p897"}
    assert "1 rows are left out, for they name no brick" in caplog.text
    assert "\n1410" not in caplog.text


def test_table_that_cannot_be_read_is_one_line(survey: paths.Survey, mirror: Path, tmp_path: Path) -> None:
    chosen(survey, Names(("0001p000",)), tmp_path)
    (path,) = tmp_path.rglob("*.gz")
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()).replace(b"0001p000", b"0001p00\xff")))
    with pytest.raises(SettingsError, match=r"cannot be read .*; remove it, and it is fetched again"):
        chosen(survey, Names(("0001p000",)), tmp_path)


def test_nothing_left_is_an_error(survey: paths.Survey, tmp_path: Path) -> None:
    with pytest.raises(
        SettingsError, match=r"no brick of dr9 south is left \(3598p000: no exposure in band r\)"
    ):
        choose_bricks(survey, "grz", Names(("3598p000",)), tmp_path, QUICK)


def test_a_brick_of_two_regions_comes_from_its_own_side(tmp_path: Path) -> None:
    places = {"1500p322": (150.0, 32.25), "1500p325": (150.0, 32.5), "0100p325": (10.0, 32.5)}
    columns = [("BRICKNAME", "S8"), ("RA", "f8"), ("DEC", "f8"), ("nexp_I_A_L427", "i2")]
    rows = np.array([(name, *place, 1) for name, place in places.items()], columns)
    for release, region, count in (("dr10", "south", 3), ("dr9", "north", 2)):
        (tmp_path / release / region).mkdir(parents=True)
        name = f"{release}/{region}/survey-bricks-{release}-{region}.fits.gz"
        fitsio.write(str(tmp_path / name), rows[:count])
    survey = paths.Survey(tmp_path.as_uri(), "dr10", "south")
    where, regions = Names(tuple(places)), ["south", "dr9/north"]
    table = choose_bricks(survey, ["I-A-L427"], where, tmp_path / "tables", QUICK, regions)
    found = dict(zip(table["brickname"], table["region"], strict=True))
    assert found == {"1500p322": "south", "1500p325": "dr9/north", "0100p325": "south"}
    fitsio.write(str(tmp_path / name), rows[1:], clobber=True)
    (tmp_path / "tables" / "survey-bricks-dr9-north.fits.gz").unlink()
    table = choose_bricks(survey, ["I-A-L427"], where, tmp_path / "tables", QUICK, regions)
    assert dict(zip(table["brickname"], table["region"], strict=True)) == found  # south of the galaxy


def test_band_that_the_survey_does_not_know(survey: paths.Survey, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no column nexp_y"):
        choose_bricks(survey, "gy", Names(("3598p000",)), tmp_path, QUICK)


def test_tables_are_fetched_once_from_a_server(mirror: Path, tmp_path: Path) -> None:
    with SurveyServer(mirror) as server:
        server.faults["survey-bricks.fits.gz"] = [Status(503, retry_after=0)]
        survey = paths.Survey(server.url, "dr9", "south")
        for _ in range(2):
            assert chosen(survey, Cone(0.1, 0.0, 0.01), tmp_path) == {"0001p000"}
        assert [request.status for request in server.requests] == [503, 200, 200]


def test_survey_without_the_table(mirror: Path, tmp_path: Path) -> None:
    with SurveyServer(mirror) as server:
        with pytest.raises(SettingsError, match=r"survey-bricks-dr10-south.fits.gz: no file at the survey"):
            chosen(paths.Survey(server.url, "dr10", "south"), Names(("0001p000",)), tmp_path)
        server.faults["survey-bricks-dr9-south.fits.gz"] = [Status(500), Status(500)]
        with pytest.raises(FetchError, match="run the same command again"):
            chosen(paths.Survey(server.url, "dr9", "south"), Names(("0001p000",)), tmp_path / "other")


@pytest.mark.parametrize(
    "make",
    [
        lambda: Names(()),
        lambda: Names(("../x",)),
        lambda: Box(-1, 2, 0, 1),
        lambda: Box(1, 2, 1, 0),
        lambda: Cone(0, 91, 1),
        lambda: Cone(0, 0, -1),
    ],
)
def test_impossible_regions(make: object) -> None:
    with pytest.raises(SettingsError):
        make()  # type: ignore[operator]


def conditions(depth: np.ndarray, seeing: np.ndarray) -> Table:
    names = [f"{index:04d}p000" for index in range(len(depth))]
    return Table({"brickname": names, "psfdepth_g": depth, "psfsize_g": seeing})


@given(st.integers(0, 1000), st.integers(1, 30), st.booleans())
def test_training_bricks_follow_from_the_seed_alone(seed: int, count: int, known: bool) -> None:
    generator = np.random.default_rng(seed)
    table = conditions(*generator.normal(0, 1, (2, 20)))
    table = table if known else table[["brickname"]]
    first = pick_training(table, count, np.random.default_rng(seed))
    shuffled = table[generator.permutation(20)]
    assert pick_training(shuffled, count, np.random.default_rng(seed)) == first
    assert len(set(first)) == min(count, 20)
    assert set(first) <= set(table["brickname"])


@given(st.integers(0, 1000))
def test_training_bricks_are_spread_over_depths_and_seeings(seed: int) -> None:
    generator = np.random.default_rng(seed)
    depth, seeing = np.meshgrid(np.linspace(23, 25, 40), np.linspace(1, 2, 40))
    depth += generator.uniform(0, 1e-3, depth.shape)
    table = conditions(depth.ravel(), seeing.ravel())
    picked = table[np.isin(table["brickname"], pick_training(table, 16, generator))]
    cells = {(int((row["psfdepth_g"] - 23) * 1.99), int((row["psfsize_g"] - 1) * 3.99)) for row in picked}
    assert len(cells) == 16


def test_table_comes_back_as_written(tmp_path: Path) -> None:
    path = tmp_path / "bricks.tsv"
    write_bricks_table(path, ["1410m032", "0001p000"], train={"0001p000"}, predict=["1410m032", "0001p000"])
    assert path.read_text() == "brick\ttrain\tpredict\n1410m032\tno\tyes\n0001p000\tyes\tyes\n"
    assert read_bricks_table(path) == [BrickRow("1410m032", False, True), BrickRow("0001p000", True, True)]


def test_table_of_two_regions_comes_back_as_written(tmp_path: Path) -> None:
    path = tmp_path / "bricks.tsv"
    regions = {"1410m032": "south", "0001p340": "dr9/north"}
    write_bricks_table(path, [*regions, "0001p000"], [], regions, regions)
    assert path.read_text().splitlines()[-1] == "0001p000\tno\tno\t"
    found = {row.brick: row.region for row in read_bricks_table(path)}
    assert found == regions | {"0001p000": ""}
    path.write_text(path.read_text().replace("dr9/north", "dr9/east"))
    with pytest.raises(SettingsError, match="line 3: region is 'dr9/east', not of the form"):
        read_bricks_table(path)


def test_a_name_never_makes_a_row_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="is not of the form"):
        write_bricks_table(tmp_path / "bricks.tsv", ["1410m032\tyes\tyes\n1412m032"], [], [])
    assert list(tmp_path.iterdir()) == []


HEADER = "brick\ttrain\tpredict\n"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "the header must be"),
        ("brick,train,predict\n", "the header must be"),
        (HEADER, "lists no brick"),
        (HEADER + "1410m032\tyes\n", "line 2: 2 columns"),
        (HEADER + "# note\n1410m032\tyes\tno\n1410m032\tno\tno\n", "line 4: brick 1410m032 is listed twice"),
        (HEADER + "1410m032\tYES\tno\n", "line 2: train is 'YES'"),
        (HEADER + "1410m032\tyes\t\n", "line 2: predict is ''"),
        (HEADER + "\n../../x\tyes\tno\n", "line 3: brick '../../x' is not of the form"),
        (HEADER + '"1410m032\tyes\tno\n1412m032\tyes\tno\n', "line 2: unexpected end of data"),
    ],
)
def test_faults_are_named_with_file_and_line(text: str, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "bricks.tsv"
    path.write_text(text)
    with pytest.raises(SettingsError, match=r"bricks\.tsv") as caught:
        read_bricks_table(path)
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


def test_other_files_of_bricks(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no such table"):
        read_bricks_table(tmp_path / "none.tsv")
    with pytest.raises(SettingsError, match=r"is no table \(Is a directory\)"):
        read_bricks_table(tmp_path)
    path = tmp_path / "bricks.tsv"
    path.write_bytes(b"\xef\xbb\xbf" + HEADER.replace("\n", "\r\n").encode() + b"field-7.1\tyes\tno\r\n")
    assert read_bricks_table(path, survey_names=False) == [BrickRow("field-7.1", True, False)]
    with pytest.raises(SettingsError, match=r"line 2: brick 'field-7\.1'"):
        read_bricks_table(path)


def owner(split: dict[str, list[str]]) -> dict[str, str]:
    return {name: chunk for chunk, names in split.items() for name in names}


brick_names = st.sets(st.from_regex(paths.SURVEY_BRICK, fullmatch=True), max_size=60)


@given(brick_names, st.integers(1, 10))
def test_every_brick_is_in_one_chunk_and_none_is_too_large(names: set[str], size: int) -> None:
    split = chunks(names, size)
    assert sorted(name for chunk in split.values() for name in chunk) == sorted(names)
    assert all(1 <= len(chunk) <= size for chunk in split.values())
    assert all(chunk == sorted(chunk) for chunk in split.values())
    assert all(set(chunk[1:]) <= {"0", "1"} and chunk[0] == "c" for chunk in split)
    assert split == chunks(sorted(names, reverse=True), size)


@given(brick_names, st.from_regex(paths.SURVEY_BRICK, fullmatch=True), st.integers(1, 10))
def test_one_more_brick_changes_its_own_chunk_only(names: set[str], new: str, size: int) -> None:
    before, after = chunks(names - {new}, size), chunks(names | {new}, size)
    own = owner(after)[new]
    untouched = {chunk: members for chunk, members in before.items() if not own.startswith(chunk)}
    assert {chunk: after[chunk] for chunk in untouched} == untouched
    grown = [chunk for chunk in before if own.startswith(chunk)]
    members = {name for chunk in grown for name in before[chunk]} | {new}
    changed = {name for chunk, bricks in after.items() if before.get(chunk) != bricks for name in bricks}
    assert changed <= members


def test_few_bricks_are_one_chunk() -> None:
    assert chunks(["1410m032", "0001p000"], 2) == {"c": ["0001p000", "1410m032"]}
    assert chunks([], 2) == {}
    with pytest.raises(SettingsError, match="at least 1"):
        chunks(["1410m032"], 0)


def test_a_large_survey_is_split_evenly() -> None:
    def survey_names() -> Iterable[str]:
        return (
            f"{ra:04d}{sign}{dec:03d}"
            for ra in range(0, 3600, 7)
            for sign in "mp"
            for dec in range(0, 300, 6)
        )

    split = chunks(survey_names(), 64)
    sizes = [len(chunk) for chunk in split.values()]
    assert sum(sizes) == 51_500
    assert max(sizes) <= 64
    assert np.mean(sizes) > 32
