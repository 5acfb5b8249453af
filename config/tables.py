"""Write the tables of all settings into config/README.md, from the schema: `python config/tables.py`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from skydenoise.schema import SCHEMA, Schema

README = Path(__file__).with_name("README.md")
BEGIN = "<!-- The rest is made from src/skydenoise/config.schema.yaml by `make config/README.md`. -->\n"


def tables() -> str:
    """One table for each section, of its keys, values, defaults and meaning."""
    return "\n".join(_table(*section) for section in _sections(SCHEMA, "", "settings of the run"))


def _sections(part: Schema, name: str, about: str) -> Iterator[tuple[str, str, dict[str, Schema]]]:
    """Name, description and keys of each section, the sections in it after it."""
    keys, below = {}, []
    for key, content in part["properties"].items():
        if "properties" in content:
            below.append((content, f"{name}{key}."))
        elif "properties" in content.get("additionalProperties", {}):
            below.append(
                (
                    content["additionalProperties"] | {"description": content["description"]},
                    f"{name}{key}.<name>.",
                )
            )
        else:
            keys[name + key] = content
    yield name.strip("."), about, keys
    for content, prefix in below:
        yield from _sections(content, prefix, content["description"])


def _table(name: str, about: str, keys: dict[str, Schema]) -> str:
    rows = [
        f"| `{key}` | {_values(part)} | {_default(part)} | {part['description']} |"
        for key, part in keys.items()
    ]
    heading = f"### {name or 'run'}\n\n{about[0].upper()}{about[1:]}.\n"
    return "\n".join([heading, "| key | values | default | what it is |", "|---|---|---|---|", *rows]) + "\n"


def _default(part: Schema) -> str:
    if "default" not in part:
        return "-"
    value = part["default"]
    return f"`{_yaml(value)}`"


def _yaml(value: Any) -> str:
    """A value as YAML writes it in one line."""
    if isinstance(value, list):
        return f"[{', '.join(map(_yaml, value))}]"
    if isinstance(value, bool):
        return str(value).lower()
    return '""' if value == "" else f"{value:g}" if isinstance(value, float) else str(value)


def _values(part: Schema) -> str:
    """What a value may be: its kind, range and unit."""
    unit = f", {part['unit']}" if "unit" in part else ""
    if "enum" in part:
        return ", ".join(f"`{value}`" for value in part["enum"])
    for several in ("oneOf", "anyOf"):
        if several in part:
            return " or ".join(map(_values, part[several])) + unit
    if "const" in part:
        return f"`{part['const']}`"
    if part["type"] == "array":
        least, most = part.get("minItems", 0), part.get("maxItems")
        count = str(least) if least == most else f"{least} to {most}" if most else f"{least} or more"
        return f"list of {count}: {_values(part['items'])}{unit}"
    names = {"integer": "whole number", "number": "number", "string": "text", "boolean": "`true`, `false`"}
    return " ".join(filter(None, [names[part["type"]], _range(part)])) + unit


def _range(part: Schema) -> str:
    least = f"from {part['minimum']}" if "minimum" in part else ""
    if "exclusiveMinimum" in part:
        least = f"above {part['exclusiveMinimum']}"
    most = f"to {part['maximum']}" if "maximum" in part else ""
    if "exclusiveMaximum" in part:
        most = f"to below {part['exclusiveMaximum']}"
    return " ".join(filter(None, [least, most]))


def readme() -> str:
    """The page with tables that fit the schema."""
    return README.read_text(encoding="utf-8").split(BEGIN)[0] + BEGIN + "\n" + tables()


if __name__ == "__main__":
    README.write_text(readme(), encoding="utf-8")
