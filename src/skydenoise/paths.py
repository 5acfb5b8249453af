"""Names: the survey's files and addresses, and ours. A name is checked before it becomes a path."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

from skydenoise.errors import SettingsError

SURVEY_BRICK = re.compile(r"[0-9]{4}[mp][0-9]{3}")
"""RRRr[pm]DDd: right ascension and declination of the centre in tenths of a degree, truncated."""

FREE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}")
"""Names of images that are no survey bricks."""

BAND_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,15}")
"""g, r, i, z, Y, u; IBIS's M411; Suprime-Cam's I-A-L427."""


def check_brick_name(name: str, *, survey: bool = True) -> str:
    """Return `name` if it is a brick's name (`survey`) or at least harmless as a file name.

    Raises
    ------
    SettingsError : otherwise
    """
    pattern, form = (
        (SURVEY_BRICK, "RRRr[pm]DDd, such as 1410m032") if survey else (FREE_NAME, FREE_NAME.pattern)
    )
    if not pattern.fullmatch(name):
        raise SettingsError(f"brick {name!r} is not of the form {form}")
    return name


def check_band_name(name: str) -> str:
    """Return `name` if it is harmless as a part of a file name; raises SettingsError otherwise."""
    if not BAND_NAME.fullmatch(name):
        raise SettingsError(f"band {name!r} is not of the form {BAND_NAME.pattern}")
    return name


def column_name(quantity: str, band: str) -> str:
    """Column of a band in the survey's tables: nexp_g, nexp_I_A_L427."""
    return f"{quantity}_{band.replace('-', '_')}"


def hdu_name(kind: str, band: str | None = None) -> str:
    """EXTNAME of an image, as the survey gives it since DR11: IMAGE_g, INVVAR_I-A-L427, MASKBITS."""
    return kind.upper() + (f"_{band}" if band else "")


def sky_folder(brick: str) -> str:
    """First three characters of a brick's name: the survey's AAA, which keeps folders small."""
    return brick[:3]


def _survey_name(brick: str, kind: str, band: str | None) -> str:
    return f"legacysurvey-{brick}-{kind}" + (f"-{band}" if band else "") + ".fits.fz"


def raw_file(cache: Path, brick: str, kind: str, band: str | None = None) -> Path:
    """Local copy of a survey file; `kind` is image, invvar (with a band) or maskbits (without)."""
    return cache / sky_folder(brick) / brick / _survey_name(brick, kind, band)


def raw_kinds(bands: Iterable[str]) -> list[tuple[str, str | None]]:
    """(kind, band) of each raw file of a brick, images first, maskbits last."""
    return [*product(("image", "invvar"), bands), ("maskbits", None)]


def coadd_file(root: Path, brick: str, kind: str, band: str | None = None) -> Path:
    """Denoised product under the run's folder; `kind` is image, sigma (with a band) or flags (without)."""
    name = f"skydenoise-{brick}-{kind}" + (f"-{band}" if band else "") + ".fits.fz"
    return root / "coadd" / sky_folder(brick) / brick / name


def truth_file(root: Path, brick: str, band: str) -> Path:
    """Noise-free image of a simulated brick."""
    return root / "truth" / sky_folder(brick) / brick / f"truth-{brick}-{band}.fits.fz"


def truth_catalogue(root: Path, brick: str) -> Path:
    """Sources of a simulated brick."""
    return root / "truth" / sky_folder(brick) / brick / f"truth-{brick}.ecsv"


REGION = re.compile(r"(?:(dr[0-9]+)/)?(north|south)")
"""A region of the survey, and its release if that is another one: DR10 has no north of its own."""

LOGIN_REMEDY = "a login belongs into ~/.netrc, or as SKYDENOISE_LOGIN=<name>:<password> into the environment"

LOGIN = re.compile(r"(?<=//)(?:[^/]*@|[^/:@]*:(?!\d*(?:[/?#]|$)).*@)")
"""Name and password in an address; a password may hold a slash that should have been written %2F."""


def public_url(url: str) -> str:
    """`url` as it may be written down: without login, query (it may hold a token) and fragment."""
    return re.sub(r"[?#].*", "", LOGIN.sub("", url))


@dataclass(frozen=True)
class Survey:
    """Where a data release lies.

    url : https://.../legacysurvey, or file:///... of a mirror on disk, or a mirror's folder
    release : dr8, dr9, dr10, ...
    region : north or south

    Raises
    ------
    SettingsError : `url` is of another form; or it holds a login or a token, which records would spread
    """

    url: str
    release: str
    region: str

    def __post_init__(self) -> None:
        if "://" not in self.url:
            return
        if not re.match(r"https?://[^/]|file:///", self.url):
            raise SettingsError(f"survey.url: {public_url(self.url)!r} is not https://... or file:///...")
        if public_url(self.url) != self.url:
            raise SettingsError(
                f"survey.url: write {public_url(self.url)}, without login or query; {LOGIN_REMEDY}"
            )

    def absolute(self) -> "Survey":
        """The same; a url that is a folder's path, as of a simulated survey, as file:///..."""
        return self if "://" in self.url else replace(self, url=Path(self.url).resolve().as_uri())

    def at(self, place: str) -> "Survey":
        """The same address at another region of it, such as north or dr9/north; raises SettingsError."""
        match = REGION.fullmatch(place)
        if match is None:
            raise SettingsError(f"region {place!r} is not of the form north, south or dr9/north")
        return replace(self, release=match[1] or self.release, region=match[2])

    @property
    def place(self) -> str:
        """Release and region: dr9/south."""
        return f"{self.release}/{self.region}"

    @property
    def root(self) -> str:
        """Address of the release's region."""
        return f"{self.url.rstrip('/')}/{self.place}"

    def folder(self, brick: str) -> str:
        """Address of a brick's coadds."""
        return f"{self.root}/coadd/{sky_folder(brick)}/{brick}"

    def file(self, brick: str, kind: str, band: str | None = None) -> str:
        """Address of one file of a brick."""
        return f"{self.folder(brick)}/{_survey_name(brick, kind, band)}"

    def checksums(self, brick: str) -> str:
        """Address of the brick's sha256sum file beside its coadds."""
        name = f"legacysurvey_{self.release}_{self.region}_coadd_{sky_folder(brick)}_{brick}.sha256sum"
        return f"{self.folder(brick)}/{name}"

    def pipeline_checksums(self, brick: str) -> str:
        """Address of the sha256sum file that legacypipe itself writes, of all files of the brick."""
        return f"{self.root}/tractor/{sky_folder(brick)}/brick-{brick}.sha256sum"

    @property
    def all_bricks(self) -> str:
        """Address of the table of every brick of the sky: names, centres, borders."""
        return f"{self.url.rstrip('/')}/{self.release}/survey-bricks.fits.gz"

    @property
    def region_bricks(self) -> str:
        """Address of the table of the bricks observed in this region: exposures and depths per band."""
        return f"{self.root}/survey-bricks-{self.release}-{self.region}.fits.gz"
