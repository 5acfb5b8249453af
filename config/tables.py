"""Write the tables of all settings into config/README.md, from the schema: `python config/tables.py`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from skydenoise.schema import SCHEMA, Schema

README = Path(__file__).with_name("README.md")
BEGIN = "<!-- The rest is made from src/skydenoise/config.schema.yaml by `make config/README.md`. -->\n"
HEADER = "key | values | meaning\n---|---|---"


def tables() -> str:
    """One table for each section, of its keys, their values and meaning."""
    return "\n".join(_table(*section) for section in _sections(SCHEMA, ""))


def _sections(part: Schema, name: str) -> Iterator[tuple[str, dict[str, Schema]]]:
    """Name and keys of each section, the sections in it after it."""
    keys, below = {}, []
    for key, content in part["properties"].items():
        if "properties" in content:
            below.append((content, f"{name}{key}."))
        elif "properties" in content.get("additionalProperties", {}):
            below.append((content["additionalProperties"], f"{name}{key}.<name>."))
        else:
            keys[name + key] = content
    yield name.strip("."), keys
    for content, prefix in below:
        yield from _sections(content, prefix)


def _table(name: str, keys: dict[str, Schema]) -> str:
    rows = [f"`{key}` | {_values(part)} | {part['description']}" for key, part in keys.items()]
    return "\n".join([f"### `{name or 'run'}`\n", HEADER, *rows]) + "\n"


def _values(part: Schema) -> str:
    """The default, its unit, and what else the value may be."""
    default = f"`{_yaml(part['default'], part)}`" if "default" in part else "-"
    others = _others(part)
    return f"{default} {part.get('unit', '')}".strip() + (f", {others}" if others else "")


def _yaml(value: Any, part: Schema) -> str:
    """A value as YAML writes it in one line."""
    if isinstance(value, list):
        return f"[{', '.join(_yaml(item, part['items']) for item in value)}]"
    if isinstance(value, bool):
        return str(value).lower()
    return '""' if value == "" else str(float(value)) if part.get("type") == "number" else str(value)


def _others(part: Schema) -> str:
    if "enum" in part:
        return ", ".join(f"`{value}`" for value in part["enum"] if value != part.get("default"))
    if several := part.get("oneOf", part.get("anyOf")):
        return " or ".join(_others(one) for one in several if one.get("const") != part.get("default"))
    if part["type"] == "array":
        least, most = part.get("minItems"), part.get("maxItems")
        count = f" of {least}" if least == most else f" of {least}–{most}"
        return ", ".join(filter(None, [f"list{count if most else ''}", _range(part["items"])]))
    return _range(part)


def _range(part: Schema) -> str:
    least, above = part.get("minimum"), part.get("exclusiveMinimum")
    most, below = part.get("maximum"), part.get("exclusiveMaximum")
    if least is not None and most is not None:
        return f"{least}–{most}"
    bounds = (("≥", least), (">", above), ("≤", most), ("<", below))
    return ", ".join(f"{sign}{bound}" for sign, bound in bounds if bound is not None)


def readme() -> str:
    """The page with tables that fit the schema."""
    return README.read_text(encoding="utf-8").split(BEGIN)[0] + BEGIN + "\n" + tables()


if __name__ == "__main__":
    README.write_text(readme(), encoding="utf-8")
