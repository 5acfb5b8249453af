"""What every rule and script promises its reader."""

import re
from pathlib import Path

import pytest

WORKFLOW = Path(__file__).parents[2] / "workflow"
RULE_FILES = sorted(WORKFLOW.glob("rules/*.smk"))
RULES = {
    f"{file.name}: {name}": text
    for file in RULE_FILES
    for name, text in re.findall(
        r"^ *rule (\w+):\n(.*?)(?=^ *rule |^PRODUCTS|\Z)", file.read_text(), re.MULTILINE | re.DOTALL
    )
}


@pytest.mark.parametrize("text", RULES.values(), ids=RULES)
def test_a_rule_says_what_it_does_and_leaves_a_log_and_a_benchmark(text: str) -> None:
    assert text.lstrip().startswith('"""')
    for directive in ("log:", "benchmark:", "conda:", "version=VERSION"):
        assert directive in text or ("On demand" in text and "version" in directive), directive


@pytest.mark.parametrize("file", RULE_FILES, ids=lambda file: file.name)
def test_a_file_of_rules_is_short_and_opens_with_what_goes_in_and_comes_out(file: Path) -> None:
    text = file.read_text()
    assert len(text.splitlines()) <= 150
    assert file.name == "common.smk" or ("\nin   " in text and "\nout  " in text)


def test_the_workflow_is_a_table_of_contents() -> None:
    assert len((WORKFLOW / "Snakefile").read_text().splitlines()) <= 40
    assert len((WORKFLOW.parent / "Snakefile").read_text().splitlines()) <= 10
