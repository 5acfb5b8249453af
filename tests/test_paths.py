from pathlib import Path

import pytest

from skydenoise import paths
from skydenoise.errors import SettingsError


def test_names_follow_the_survey() -> None:
    cache = Path("raw")
    assert paths.raw_file(cache, "1410m032", "image", "g") == Path(
        "raw/141/1410m032/legacysurvey-1410m032-image-g.fits.fz"
    )
    assert paths.raw_file(cache, "1410m032", "maskbits").name == "legacysurvey-1410m032-maskbits.fits.fz"


def test_names_of_products() -> None:
    root = Path("results/run")
    folder = Path("results/run/coadd/000/0001p002")
    assert paths.coadd_file(root, "0001p002", "sigma", "z") == folder / "skydenoise-0001p002-sigma-z.fits.fz"
    assert paths.coadd_file(root, "0001p002", "flags") == folder / "skydenoise-0001p002-flags.fits.fz"
    assert paths.truth_file(root, "0001p002", "r") == root / "truth/000/0001p002/truth-0001p002-r.fits.fz"
    assert paths.truth_catalogue(root, "0001p002") == root / "truth/000/0001p002/truth-0001p002.ecsv"


def test_addresses_of_a_release() -> None:
    survey = paths.Survey("https://example.org/legacysurvey/", "dr9", "south")
    root = "https://example.org/legacysurvey/dr9"
    folder = f"{root}/south/coadd/141/1410m032"
    assert survey.file("1410m032", "invvar", "r") == f"{folder}/legacysurvey-1410m032-invvar-r.fits.fz"
    assert survey.checksums("1410m032") == f"{folder}/legacysurvey_dr9_south_coadd_141_1410m032.sha256sum"
    assert survey.pipeline_checksums("1410m032") == f"{root}/south/tractor/141/brick-1410m032.sha256sum"
    assert survey.all_bricks == f"{root}/survey-bricks.fits.gz"
    assert survey.region_bricks == f"{root}/south/survey-bricks-dr9-south.fits.gz"


@pytest.mark.parametrize("name", ["1410m032", "0001p002", "3599p900"])
def test_survey_names_pass(name: str) -> None:
    assert paths.check_brick_name(name) == name


@pytest.mark.parametrize(
    "name", ["", "1410x032", "141m032", "1410m0321", "../1410m032", "1410m032\n", " 1410m032"]
)
def test_other_names_never_become_paths(name: str) -> None:
    with pytest.raises(SettingsError, match="is not of the form"):
        paths.check_brick_name(name)


@pytest.mark.parametrize("name", ["A", "sdss-2010H", "NGC_1234+x.y"])
def test_free_names_of_other_images(name: str) -> None:
    assert paths.check_brick_name(name, survey=False) == name


@pytest.mark.parametrize("name", ["..", ".hidden", "a/b", "a b", "a" * 65, "", "a\n", "é"])
def test_free_names_are_harmless(name: str) -> None:
    with pytest.raises(SettingsError, match="is not of the form"):
        paths.check_brick_name(name, survey=False)


@pytest.mark.parametrize("name", ["", "g/r", "-g", "..", "g" * 17, "g\n"])
def test_band_names_are_harmless(name: str) -> None:
    with pytest.raises(SettingsError, match="is not of the form"):
        paths.check_band_name(name)
    for band in ("Y", "u", "N708", "I-A-L427"):
        assert paths.check_band_name(band) == band
    assert paths.column_name("nexp", "I-A-L427") == "nexp_I_A_L427"  # as legacypipe has it
    assert paths.hdu_name("image", "I-A-L427") == "IMAGE_I-A-L427"


@pytest.mark.parametrize("place", ["east", "dr9", "dr9/", "../north", "DR9/north", "north\n", ""])
def test_places_are_regions_or_those_of_another_release(place: str) -> None:
    survey = paths.Survey("https://survey", "dr10", "south")
    with pytest.raises(SettingsError, match="is not of the form north, south or dr9/north"):
        survey.at(place)
    assert survey.at("north").root == "https://survey/dr10/north"
    assert survey.at("dr9/north").place == "dr9/north"


@pytest.mark.parametrize(
    "login", ["me:s3cret@", "s3cret@", "me:s3c/ret@", "me:s3c@ret@", "me:s3c#ret@", "me:s3c?ret@"]
)
def test_a_login_is_refused_and_never_written(login: str) -> None:
    url = f"https://{login}example.org:8080/~survey"
    assert paths.public_url(url) == "https://example.org:8080/~survey"
    with pytest.raises(
        SettingsError, match=r"survey.url: write https://example.org:8080/~survey, without"
    ) as caught:
        paths.Survey(url, "dr9", "south")
    assert "s3c" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org/a@b",
        "http://127.0.0.1:80/a@b",
        "file:///mirror/a%23b",
        "/mirror/a#b",
        "https://h:/x@y",
    ],
)
def test_other_addresses_stay_as_they_are(url: str) -> None:
    assert paths.Survey(url, "dr9", "south").url == url
    assert paths.public_url(url) == url or not url.startswith(("http", "file"))


@pytest.mark.parametrize(
    "url", ["ftp://host/x", "file://host/x", "https://", "https:///x", "ftp://me:s3cret@host"]
)
def test_addresses_of_other_kinds_are_refused(url: str) -> None:
    with pytest.raises(SettingsError, match=r"survey\.url: .* is not https://") as caught:
        paths.Survey(url, "dr9", "south")
    assert "s3cret" not in str(caught.value)


def test_a_token_is_cut_off() -> None:
    assert paths.public_url("https://example.org/a.fits?X-Token=s3cret") == "https://example.org/a.fits"


def test_raw_files_of_a_brick() -> None:
    kinds = [("image", "g"), ("image", "z"), ("invvar", "g"), ("invvar", "z"), ("maskbits", None)]
    assert paths.raw_kinds("gz") == kinds
