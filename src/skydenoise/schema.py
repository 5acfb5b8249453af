"""Settings as a YAML file holds them: their keys, meanings, units, defaults and ranges.

All of that stands in one place, config.schema.yaml beside this file.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import jsonschema
import yaml

from skydenoise.errors import SettingsError
from skydenoise.paths import LOGIN

Schema = Mapping[str, Any]

SCHEMA: Schema = yaml.load(
    Path(__file__).with_name("config.schema.yaml").read_bytes(), getattr(yaml, "CSafeLoader", yaml.SafeLoader)
)


def schema_of(key: str) -> Schema:
    """Part of the schema for a dotted key, such as "predict.tile"; "mosaics.*" stands for any mosaic."""
    part = SCHEMA
    for name in key.split("."):
        part = part["additionalProperties"] if name == "*" else part["properties"][name]
    return part


def default(key: str) -> Any:
    """Default of a setting by its dotted key; a list as a tuple."""
    value = schema_of(key)["default"]
    return tuple(value) if isinstance(value, list) else value


def with_defaults(content: Mapping[str, Any], part: Schema = SCHEMA) -> dict[str, Any]:
    """`content`, and the defaults of all that it leaves out."""
    known = part.get("properties", {})
    filled = {key: value["default"] for key, value in known.items() if "default" in value} | dict(content)
    for key, value in filled.items():
        below = known.get(key, part.get("additionalProperties"))
        if isinstance(value, Mapping) and isinstance(below, Mapping):
            filled[key] = with_defaults(value, below)
    return filled


def check(content: Any, key: str = "") -> None:
    """Refuse what the schema, or its part for a dotted key, refuses.

    Raises
    ------
    SettingsError : in one line with the key and the reason
    """
    error = jsonschema.exceptions.best_match(_checker(key).iter_errors(content))
    if error is not None:
        raise SettingsError(_refusal(error, key))


_Checker = jsonschema.validators.extend(  # to JSON 8.0 is an integer; nothing here can count with it
    jsonschema.Draft202012Validator,
    type_checker=jsonschema.Draft202012Validator.TYPE_CHECKER.redefine(
        "integer", lambda _, value: isinstance(value, int) and not isinstance(value, bool)
    ),
)
EXPONENT = re.compile(r"([-+]?[0-9]+)(?:\.([0-9]*))?(?:[eE]([-+]?)([0-9]+))?")
"""Numbers; YAML 1.1 takes one with an exponent for text unless it has a point and a sign: 1.0e-4."""


@cache
def _checker(key: str) -> jsonschema.Draft202012Validator:
    return _Checker(schema_of(key) if key else SCHEMA)


def _refusal(error: jsonschema.ValidationError, above: str) -> str:
    """An objection in one line; for an unknown key those that are known.

    above : key of the part of the schema that objects
    """
    below = error.json_path.removeprefix("$").lstrip(".")
    key, given = ".".join(filter(None, [above.replace("*", "<name>"), below])), error.instance
    where = f"{key}: " if key else ""
    if error.validator == "additionalProperties":
        known = sorted(error.schema["properties"])
        unknown = next(name for name in given if name not in known)
        return f"{key}{'.' if key else ''}{unknown}: there is no such key, only {', '.join(known)}"
    wanted, number = error.validator_value, EXPONENT.fullmatch(str(given))
    if error.validator == "type" and wanted in ("integer", "number") and number:
        whole, part, sign, power = number.groups()
        better = f"{whole}.{part or 0}e{sign or '+'}{power or 0}"
        better = f"{float(given):.0f}" if wanted == "integer" else better
        kind = "text" if isinstance(given, str) else "a fraction"
        return f"{where}{given} is {kind} in YAML; write {better}"
    return f"{where}{LOGIN.sub('', error.message)}"


def require(condition: bool, message: str) -> None:
    """Raise SettingsError with `message` unless `condition` holds."""
    if not condition:
        raise SettingsError(message)


class Settings:
    """Base of dataclasses: each field that its section of the schema knows is checked by that.

    section : dotted key in the schema
    """

    section: ClassVar[str]

    def __post_init__(self) -> None:
        known = schema_of(self.section)["properties"]
        for field in fields(self):  # type: ignore[arg-type]
            value, key = getattr(self, field.name), f"{self.section}.{field.name}"
            if isinstance(value, float):
                require(math.isfinite(value), f"{key}: {value} is not a finite number")
            if isinstance(value, list | tuple):
                object.__setattr__(self, field.name, tuple(value))
                value = list(value)
            if field.name in known and not is_dataclass(value):
                check(value, key)
