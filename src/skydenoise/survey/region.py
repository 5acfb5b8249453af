"""Regions of the sky to choose bricks in; light enough to import while Snakemake parses."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from skydenoise.errors import SettingsError
from skydenoise.paths import check_brick_name


@dataclass(frozen=True)
class Names:
    """Bricks by name."""

    names: tuple[str, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", tuple(map(check_brick_name, self.names)))
        if not self.names:
            raise SettingsError("choose.names: no brick is named")


@dataclass(frozen=True)
class Box:
    """Bricks that overlap a box in right ascension and declination, in degrees.

    If ra_min > ra_max, the box passes through right ascension 0.
    """

    ra_min: float
    ra_max: float
    dec_min: float
    dec_max: float

    def __post_init__(self) -> None:
        for key in ("ra_min", "ra_max"):
            if not 0 <= getattr(self, key) <= 360:
                raise SettingsError(f"choose.box: {key} {getattr(self, key)} is not in the range [0, 360]")
        if not -90 <= self.dec_min <= self.dec_max <= 90:
            raise SettingsError(
                f"choose.box: dec_min {self.dec_min} and dec_max {self.dec_max} are not in order in [-90, 90]"
            )


@dataclass(frozen=True)
class Cone:
    """Bricks that come nearer than `radius` to a position; all in degrees."""

    ra: float
    dec: float
    radius: float

    def __post_init__(self) -> None:
        if not (0 <= self.ra <= 360 and -90 <= self.dec <= 90):
            raise SettingsError(f"choose.cone: ({self.ra}, {self.dec}) is no position on the sky")
        if not 0 <= self.radius <= 180:
            raise SettingsError(f"choose.cone: radius {self.radius} is not in the range [0, 180]")


Region = Names | Box | Cone


def region_of(settings: Mapping[str, Any]) -> Region | None:
    """Region that `names`, `box` or `cone` give, if any; raises SettingsError for several or a wrong one."""
    given = [kind for kind in ("names", "box", "cone") if kind in settings]
    if len(given) > 1:
        raise SettingsError(f"choose: {' and '.join(given)} are given, one of them is possible")
    if not given:
        return None
    values = settings[given[0]]
    return Names(tuple(values)) if given == ["names"] else {"box": Box, "cone": Cone}[given[0]](*values)
