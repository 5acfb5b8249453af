from pathlib import Path

import pytest

from skydenoise.errors import SettingsError
from skydenoise.image_table import ListedImage, files_of, read_table


def test_a_table_is_read_with_paths_relative_to_it(tmp_path: Path) -> None:
    table = tmp_path / "images.tsv"
    table.write_text(
        "# made by hand\nbrick\tband\timage\thdu\tplane\tunits\tinvvar\n"
        "NGC-1\tr\tr.fits\t\t\t\t\nNGC-1\tz\tsub/z.fits\t1\t2\tuJy\tweight.fits\n"
    )
    assert read_table(table) == [
        ListedImage("NGC-1", "r", tmp_path / "r.fits"),
        ListedImage("NGC-1", "z", tmp_path / "sub/z.fits", 1, 2, "uJy", tmp_path / "weight.fits"),
    ]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("brick\tband\n", "column image is missing"),
        ("brick\timage\nx\ta.fits\n", "a.fits: column band is missing or empty; or, if this is a stack"),
        ("brick\tband\timage\nx\t\ta.fits\n", "column band is missing or empty"),
        (
            "brick\timage\nx\ta.emd\n",
            "a.emd is of no known kind; known are images of the sky (FITS) and",
        ),
        ("brick\tband\timage\nx\tr\ta.emd\n", "a.emd is of no known kind"),
        ("brick\timage\nx\ta.tif\nx\tb.tif\n", "stack x is listed twice"),
        ("brick\tband\timage\tunit\n", "unknown column unit"),
        ("brick\tband\timage\n../x\tr\ta.fits\n", "'../x' is not of the form"),
        ("brick\tband\timage\nx\tr/z\ta.fits\n", "'r/z' is not of the form"),
        ("brick\tband\timage\nx\tr\t\n", "path is missing"),
        ("brick\tband\timage\thdu\nx\tr\ta.fits\t-1\n", "hdu '-1' is not a number"),
        ("brick\tband\timage\nx\tr\ta.fits\nx\tr\tb.fits\n", "brick x has band r twice"),
        ('brick\tband\timage\nx\tr\t"a.fits\nx\ti\tb.fits\n', "is a quote not closed?"),
        ("", "column brick, image is missing"),
    ],
)
def test_a_wrong_table_is_refused_in_one_line(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "t.tsv").write_text(text)
    with pytest.raises(SettingsError) as caught:
        read_table(tmp_path / "t.tsv")
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path: Path) -> None:
    (tmp_path / "t.tsv").write_text("\ufeffbrick\tband\timage\r\nA\tr\ta.fits\r\n", encoding="utf-8")
    assert read_table(tmp_path / "t.tsv") == [ListedImage("A", "r", tmp_path / "a.fits")]


def test_what_is_no_table_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "latin.tsv").write_bytes(b"brick\tband\timage\nA\tr\t\xe9.fits\n")
    for path, cause in (
        (tmp_path, "Is a directory"),
        (tmp_path / "none.tsv", "there is no such table"),
        (tmp_path / "latin.tsv", "no text in UTF-8"),
    ):
        with pytest.raises(SettingsError, match=f"survey.files: {path}: .*{cause}") as caught:
            read_table(path)
        assert "\n" not in str(caught.value)


def test_the_files_that_decide_on_a_brick(tmp_path: Path) -> None:
    for name in ("a", "b", "w"):
        (tmp_path / f"{name}.fits").touch()
    (tmp_path / "t.tsv").write_text(
        "brick\tband\timage\tinvvar\nA\tr\ta.fits\tw.fits\nA\tz\tgone.fits\tw.fits\nB\tr\tb.fits\t\n"
    )
    images = read_table(tmp_path / "t.tsv")
    assert files_of(images, ["A"]) == [tmp_path / "a.fits", tmp_path / "w.fits"]
