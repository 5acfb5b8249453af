"""Tables of users: what their editors do to them, and one clear line for what is wrong."""

from pathlib import Path

import pytest

from skydenoise.errors import SettingsError
from skydenoise.io.tables import read_table


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return tmp_path / "table.tsv"


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_rows_come_with_their_lines_and_without_empty_cells(mark: str, end: str, table: Path) -> None:
    lines = [
        "# ours",
        "brick\timage\thdu",
        "",
        "a\t a.fits \t1",
        "# no",
        'b\t"b c.fits"\t',
        "c\tc.fits\t\t\t",
    ]
    table.write_bytes((mark + end.join(lines)).encode())
    assert read_table(table, ["brick"]) == {
        4: {"brick": "a", "image": "a.fits", "hdu": "1"},
        6: {"brick": "b", "image": "b c.fits"},
        7: {"brick": "c", "image": "c.fits"},
    }


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the table is empty"),
        (b"# brick\n", "the table is empty"),
        (b'brick\timage\na\t"a.fits\nb\tb.fits\n', "line 2: a quote is not closed"),
        (b"brick\timage\na\ta.fits\tno\n", "line 2: 3 cells for 2 columns"),
        (b"brick\tbrick\na\ta\n", "column brick stands twice"),
        (b"brick\t\timage\na\t\ta\n", "a column has no name"),
        (b"brick image\na a.fits\n", "column brick, image is missing; columns are separated by tabs"),
        ("brick\timage\na\tü.fits\n".encode("latin-1"), "is no text in UTF-8"),
    ],
)
def test_a_wrong_table_is_refused_in_one_line(content: bytes, message: str, table: Path) -> None:
    table.write_bytes(content)
    with pytest.raises(SettingsError, match=message) as refused:
        read_table(table, ["brick", "image"])
    assert str(refused.value).startswith(str(table))
    assert "\n" not in str(refused.value)


def test_a_folder_and_a_missing_file_are_no_tables(table: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read as a table: No such file"):
        read_table(table)
    table.mkdir()
    with pytest.raises(SettingsError, match="cannot be read as a table: Is a directory"):
        read_table(table)
