"""Nothing wrong in silence: a fault is named, costs what it must, and leaves no trace once it is mended."""

import re

import pytest

from .faults import FAULTS, LEFT_OUT, UNHARMED, Fault
from .house import BAD, House
from .table import ELSEWHERE, REPOSITORY, SECTIONS


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.what)
def test_fault(fault: Fault, house: House, clean: House) -> None:
    fault.spoil(house)

    said = house.run()

    assert re.search(fault.said.replace("BAD", BAD), said), said
    assert "Traceback" not in said
    assert not list(house.folder.rglob("*.partial.*"))
    if fault.first == UNHARMED:
        assert house.products() == clean.products()
    elif fault.first == LEFT_OUT:
        others = {name for name in clean.products() if BAD not in name}
        assert others <= set(house.products())
    else:
        assert len(re.findall(" ERROR ", said)) == 1

    fault.mend(house)
    house.run()

    assert house.products() == clean.products()


@pytest.mark.parametrize("row", ELSEWHERE, ids=lambda row: row["test"])
def test_the_table_names_tests_that_are_there(row: dict[str, str]) -> None:
    file, name = row["test"].split("::")
    assert re.search(rf"^def {name}\(", (REPOSITORY / "tests" / file).read_text(), re.MULTILINE)
    assert row["section"] in SECTIONS
