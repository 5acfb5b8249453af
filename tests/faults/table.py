"""Run every fault and write what was survived into docs/reliability.md: `make docs/reliability.md`.

Faults that the tests of one room make stand in elsewhere.tsv, so that none is written twice.
"""

import csv
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from .faults import CHANGES, CONTENT, LINES, UNHARMED

REPOSITORY = Path(__file__).parents[2]
PAGE = REPOSITORY / "docs/reliability.md"
MARK = "<!-- the campaign's lists, by `make docs/reliability.md` -->\n"
SURVIVED, FAILED, SKIPPED = "survived", "NOT SURVIVED", "not tried here"
CAMPAIGN = "faults/test_campaign.py::test_fault"
SECTIONS = {
    "content": ("Content is verified wherever it is read", CONTENT),
    "changes": ("What changed is noticed", CHANGES),
    "numbers": ("Numbers that look right and are not", ()),
    "lines": ("Clear lines, and nothing let in", LINES),
}
COLUMNS = ("what goes wrong", "what is seen")
MANY = 3
"""Lines that get one for what is seen in all of them."""
with Path(__file__).with_name("elsewhere.tsv").open(encoding="utf-8", newline="") as stream:
    ELSEWHERE = list(csv.DictReader(stream, delimiter="\t"))


class Outcomes:
    """Plugin that notes how each test ended, by its address under tests/."""

    def __init__(self) -> None:
        self.of: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note a test that ended; one that failed stays so."""
        address = report.nodeid.removeprefix("tests/")
        if report.when == "call" or report.outcome != "passed":
            found = {"passed": SURVIVED, "failed": FAILED}.get(report.outcome, SKIPPED)
            self.of[address] = found


def outcome(test: str, of: Mapping[str, str]) -> str:
    """Outcome of a test, the worst of its parameters; empty if none ran."""
    found = {result for address, result in of.items() if address == test or address.startswith(f"{test}[")}
    return next((each for each in (FAILED, SURVIVED, SKIPPED) if each in found), "")


@dataclass(frozen=True)
class Row:
    """One fault: its section, what goes wrong, what is seen, how its test ended (empty if it did not run)."""

    section: str
    what: str
    seen: str
    outcome: str


def rows(of: Mapping[str, str]) -> list[Row]:
    """All faults, those of a section together."""
    table: list[Row] = []
    for section, (_, own) in SECTIONS.items():
        for fault in own:
            seen = fault.first if fault.first == UNHARMED else f"{fault.first}, then {UNHARMED}"
            table.append(Row(section, fault.what, seen, of.get(f"{CAMPAIGN}[{fault.what}]", "")))
        for other in (row for row in ELSEWHERE if row["section"] == section):
            table.append(Row(section, *(other[column] for column in COLUMNS), outcome(other["test"], of)))
    return table


def markdown(table: Iterable[Row]) -> str:
    """The lists: the faults of each section by what is seen, which stands once where many share it."""
    lines = []
    seen_in: dict[str, dict[str, list[Row]]] = {}
    for row in table:
        seen_in.setdefault(row.section, {}).setdefault(row.seen, []).append(row)
    for section, groups in seen_in.items():
        many: list[str] = []
        few: list[str] = []
        for seen, group in groups.items():
            faults = _faults(group)
            if len(faults) < MANY:
                few += [f"- {fault}: {seen}" for fault in faults]
            else:
                many += ["", f"**{seen.capitalize()}:**", "", *(f"- {fault}" for fault in faults)]
        rest = ["", *(("**Otherwise:**", "") if many else ()), *few] if few else []
        lines += ["", f"### {SECTIONS[section][0]}", *many, *rest]
    return "\n".join(lines) + "\n"


def _faults(group: Iterable[Row]) -> list[str]:
    """What goes wrong; variants of one subject in one line, and those that were not survived marked."""
    lines: dict[str, list[str]] = {}
    for row in group:
        mark = "" if row.outcome == SURVIVED else f" **{row.outcome}**"
        subject, _, variant = row.what.partition(": ")
        if variant:
            lines.setdefault(subject, []).append(variant + mark)
        else:
            lines[subject + mark] = []
    return [f"{what} ({', '.join(variants)})" if variants else what for what, variants in lines.items()]


def print_survived(
    reporter: pytest.TerminalReporter, reports: Mapping[str, Iterable[pytest.TestReport]]
) -> None:
    """Print the rows that were tried. reports : by outcome, the worse ones later."""
    texts = {"passed": SURVIVED, "skipped": SKIPPED, "failed": FAILED, "error": FAILED}
    of = {
        report.nodeid.removeprefix("tests/"): text
        for kind, text in texts.items()
        for report in reports.get(kind, ())
    }
    reporter.section("faults: what was survived")
    reporter.write(markdown(row for row in rows(of) if row.outcome))


def main() -> int:
    """Run all; the page is written if every row has an outcome."""
    outcomes = Outcomes()
    tests = {row["test"] for row in ELSEWHERE}
    paths = [str(REPOSITORY / "tests" / test) for test in (CAMPAIGN, *sorted(tests))]
    code = pytest.main(["-q", *paths], [outcomes])
    table = rows(outcomes.of)
    if code == 0 and all(row.outcome for row in table):
        text = PAGE.read_text(encoding="utf-8")
        PAGE.write_text(text[: text.index(MARK) + len(MARK)] + markdown(table), encoding="utf-8")
    return int(code)


if __name__ == "__main__":
    sys.exit(main())
