"""What the pages name exists: commands, modules, files, settings. `make docs` checks their links."""

import re
import tomllib
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
FOLDERS = ("", "config", "models", "docs", "docs/decisions", "docs/notebook", "experiments/wang2021")
PAGES = [page for folder in FOLDERS for page in (ROOT / folder).glob("*.md")]
SCHEMA = yaml.safe_load((ROOT / "src/skydenoise/config.schema.yaml").read_text())
CODE = re.compile(r"^ *```\w*\n(.*?)^ *```$|`([^`\n]+)`", re.MULTILINE | re.DOTALL)


def is_target(name: str) -> bool:
    return re.search(rf"^{name}:", (ROOT / "Makefile").read_text(), re.MULTILINE) is not None


def is_rule(name: str) -> bool:
    rules = [*ROOT.glob("workflow/**/*.smk"), *ROOT.glob("experiments/**/*.smk")]
    return any(re.search(rf"^ *rule {name}:", path.read_text(), re.MULTILINE) for path in rules)


def is_extra(name: str) -> bool:
    return name in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]


def is_setting(name: str) -> bool:
    section, key = name.split(".")
    return key in SCHEMA["properties"][section].get("properties", {})


@pytest.mark.parametrize(
    ("pattern", "exists"),
    [
        (r"^ *make ([\w./-]+)", is_target),
        (r"snakemake (?:--cores \w+ )?([a-z]\w*)", is_rule),
        (r"python -m (?!pip)([\w.]+)", find_spec),
        (r"'(?:[./]*)\[(\w+)\]'", is_extra),
        (rf"^((?:{'|'.join(SCHEMA['properties'])})\.(?!json|safetensors)[a-z_]+)$", is_setting),
        (r"(?<![\w/.])((?:benchmarks|config|docs|src|tests|workflow|profiles|envs)/[\w/.-]+\.\w+)", None),
    ],
)
def test_what_the_pages_name_exists(pattern: str, exists: Callable[[str], object] | None) -> None:
    names = [
        (page.relative_to(ROOT), name)
        for page in PAGES
        for fence, span in CODE.findall(page.read_text(encoding="utf-8"))
        for name in re.findall(pattern, fence or span, re.MULTILINE)
    ]
    assert names, "the pages name none"

    def there(page: Path, name: str) -> object:
        return exists(name) if exists else (ROOT / name).exists() or (ROOT / page.parent / name).exists()

    assert [f"{page}: {name}" for page, name in names if not there(page, name)] == []


def test_rules_and_functions_stand_where_the_page_on_code_says() -> None:
    row = re.compile(r"^[^|\n]+\| `(\w+)` \| `(\w+)` \| `(\S+)`$", re.MULTILINE)
    rows = row.findall((ROOT / "docs/code.md").read_text())
    assert len(rows) >= 8
    assert [name for name, _, _ in rows if not is_rule(name)] == []
    assert [row for row in rows if f"def {row[1]}(" not in (ROOT / row[2]).read_text()] == []
