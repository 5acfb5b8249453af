"""A file is complete under its own name, or it is not there."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skydenoise.io.atomic import atomic_path, write_json, write_text


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_nothing_has_the_name_until_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.fits.fz"
    with atomic_path(path) as partial:
        partial.write_bytes(b"half")
        assert not path.exists()
        assert partial.parent == path.parent  # a rename is one step on one file system alone
        assert partial.suffixes[-2:] == [".fits", ".fz"]  # writers choose by suffix
    assert path.read_bytes() == b"half"
    assert names(path.parent) == ["a.fits.fz"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_a_failure_leaves_the_earlier_file_and_no_rest(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "a.txt"
    path.write_text("earlier")

    def write() -> None:
        with atomic_path(path) as partial:
            partial.write_text("hal")
            raise error

    with pytest.raises(error):
        write()
    assert path.read_text() == "earlier"
    assert names(tmp_path) == ["a.txt"]


def test_two_writers_do_not_disturb_each_other(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    with atomic_path(path) as one, atomic_path(path) as two:
        one.write_text("one")
        two.write_text("two")
    assert path.read_text() == "one"  # the outer block ends last
    assert names(tmp_path) == ["a.txt"]


def test_a_block_that_writes_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), atomic_path(tmp_path / "a.txt"):
        pass
    assert names(tmp_path) == []


def test_text_is_utf_8(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "½ µJy\n")
    assert (tmp_path / "a.txt").read_bytes() == "½ µJy\n".encode()


@settings(max_examples=20, deadline=None)
@given(
    st.dictionaries(
        st.text(max_size=5), st.lists(st.floats(allow_nan=False, allow_infinity=False) | st.text())
    )
)
def test_json_comes_back_as_it_was(tmp_path_factory: pytest.TempPathFactory, content: dict) -> None:
    path = tmp_path_factory.mktemp("json") / "a.json"
    write_json(path, content)
    assert json.loads(path.read_text(encoding="utf-8")) == content


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_json_refuses_what_json_does_not_know(tmp_path: Path, value: float) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(tmp_path / "a.json", {"value": value})
    assert names(tmp_path) == []
