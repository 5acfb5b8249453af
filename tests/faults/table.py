"""Run every fault and write what was survived into docs/reliability.md: `make docs/reliability.md`.

Faults that the tests of one room make stand in elsewhere.tsv, so that none is written twice.
"""

import csv
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest

from .faults import CHANGES, CONTENT, LINES, UNHARMED

REPOSITORY = Path(__file__).parents[2]
PAGE = REPOSITORY / "docs/reliability.md"
MARK = "<!-- the campaign's table, by `make docs/reliability.md` -->\n"
FAILED, SKIPPED = "NOT SURVIVED", "not tried here"
CAMPAIGN = "faults/test_campaign.py::test_fault"
SECTIONS = {
    "content": ("Content is verified wherever it is read", CONTENT),
    "changes": ("What changed is noticed", CHANGES),
    "numbers": ("Numbers that look right and are not", ()),
    "lines": ("Clear lines, and nothing let in", LINES),
}
COLUMNS = ("what goes wrong", "first run", "next run", "outcome")
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
            found = {"passed": "survived", "failed": FAILED}.get(report.outcome, SKIPPED)
            self.of[address] = found


def outcome(test: str, of: Mapping[str, str]) -> str:
    """Outcome of a test, the worst of its parameters; empty if none ran."""
    found = {result for address, result in of.items() if address == test or address.startswith(f"{test}[")}
    return next((each for each in (FAILED, "survived", SKIPPED) if each in found), "")


def rows(of: Mapping[str, str]) -> list[tuple[str, ...]]:
    """Rows of the table, sections among them as one cell."""
    table: list[tuple[str, ...]] = []
    for section, (title, own) in SECTIONS.items():
        table.append((title,))
        for fault in own:
            result = of.get(f"{CAMPAIGN}[{fault.what}]", "")
            table.append((fault.what, fault.first, UNHARMED, result))
        for other in (row for row in ELSEWHERE if row["section"] == section):
            table.append((*(other[column] for column in COLUMNS[:-1]), outcome(other["test"], of)))
    return table


def markdown(table: Iterable[tuple[str, ...]]) -> str:
    """The table, a heading over each section."""
    lines = []
    for row in table:
        if len(row) == 1:
            lines += ["", f"### {row[0]}", "", f"| {' | '.join(COLUMNS)} |", "|---|---|---|---|"]
        else:
            lines.append(f"| {' | '.join(row)} |")
    return "\n".join(lines) + "\n"


def print_survived(
    reporter: pytest.TerminalReporter, reports: Mapping[str, Iterable[pytest.TestReport]]
) -> None:
    """Print the rows that were tried. reports : by outcome, the worse ones later."""
    texts = {"passed": "survived", "skipped": SKIPPED, "failed": FAILED, "error": FAILED}
    of = {
        report.nodeid.removeprefix("tests/"): text
        for kind, text in texts.items()
        for report in reports.get(kind, ())
    }
    reporter.section("faults: what was survived")
    reporter.write(markdown(row for row in rows(of) if row[-1]))


def main() -> int:
    """Run all; the page is written if every row has an outcome."""
    outcomes = Outcomes()
    tests = {row["test"] for row in ELSEWHERE}
    paths = [str(REPOSITORY / "tests" / test) for test in (CAMPAIGN, *sorted(tests))]
    code = pytest.main(["-q", *paths], [outcomes])
    table = rows(outcomes.of)
    if code == 0 and all(row[-1] for row in table):
        text = PAGE.read_text(encoding="utf-8")
        PAGE.write_text(text[: text.index(MARK) + len(MARK)] + markdown(table), encoding="utf-8")
    return int(code)


if __name__ == "__main__":
    sys.exit(main())
