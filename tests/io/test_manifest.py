"""Manifests say what became of each brick; the summary gathers them for a person."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skydenoise.errors import StepError
from skydenoise.io.manifest import (
    Entry,
    bands_of,
    finished,
    forget,
    needed,
    read_manifest,
    skipped_bricks,
    summarise,
    write_manifest,
)

DONE = Entry("1410m032", "done", 7, "ab" * 32, 12.34)
KEPT = Entry("1411m032", "kept", 7, "cd" * 32, 0.5)
BAD = Entry("1416p230", "skipped", reason="brick 1416p230, band r: 404 (ask the survey)")

ENTRIES = st.builds(
    Entry,
    brick=st.from_regex(r"[0-9]{4}[mp][0-9]{3}", fullmatch=True),
    state=st.sampled_from(["done", "kept", "skipped"]),
    files=st.integers(0, 100),
    sha256=st.sampled_from(["", "0f" * 32]),
    seconds=st.integers(0, 10**6).map(lambda hundredths: hundredths / 100),
    reason=st.text(st.characters(codec="utf-8", exclude_categories=["C", "Zl", "Zp"])),
    noise=st.sampled_from(["", "0.0024 0.0055; 0.11 0.12"]),
    foreign=st.sampled_from(["", "g: correlation 0.60 not in 0.01 to 0.21"]),
    bands=st.sampled_from(["", "g z"]),
    unmasked=st.sampled_from(["", "SATUR_I ALLMASK_I"]),
    unverified=st.integers(0, 10),
)


@settings(max_examples=40, deadline=None)
@given(st.lists(ENTRIES, max_size=5, unique_by=lambda entry: entry.brick))
def test_a_manifest_comes_back_sorted(tmp_path_factory: pytest.TempPathFactory, entries: list[Entry]) -> None:
    path = tmp_path_factory.mktemp("manifest") / "c.tsv"
    write_manifest(path, entries)
    assert read_manifest(path) == sorted(entries, key=lambda entry: entry.brick)


def test_a_manifest_is_one_line_per_brick(tmp_path: Path) -> None:
    write_manifest(tmp_path / "c.tsv", [BAD, DONE])
    header, *lines = (tmp_path / "c.tsv").read_text().splitlines()
    assert header.split("\t") == [
        "brick",
        "state",
        "files",
        "sha256",
        "seconds",
        "reason",
        "noise",
        "foreign",
        "bands",
        "unmasked",
        "unverified",
    ]
    assert [line.split("\t")[0] for line in lines] == [DONE.brick, BAD.brick]


def test_finished_bricks_are_those_not_skipped_each_once(tmp_path: Path) -> None:
    write_manifest(tmp_path / "a.tsv", [KEPT, BAD])
    write_manifest(tmp_path / "b.tsv", [DONE, KEPT])
    assert finished([tmp_path / "a.tsv", str(tmp_path / "b.tsv")]) == [DONE.brick, KEPT.brick]
    assert finished([]) == []


def test_a_step_that_needs_a_brick_says_why_there_is_none(tmp_path: Path) -> None:
    write_manifest(tmp_path / "a.tsv", [BAD])
    write_manifest(tmp_path / "b.tsv", [DONE])
    assert needed([tmp_path / "a.tsv", tmp_path / "b.tsv"], "noise") == [DONE.brick]
    with pytest.raises(StepError, match=rf"noise: .* all 1 were skipped, the first: {re.escape(BAD.reason)}"):
        needed([tmp_path / "a.tsv"], "noise")
    with pytest.raises(StepError, match="noise: there is no training brick: none is listed"):
        needed([], "noise")


def gathered(folder: Path, fetched: list[Entry], cut: list[Entry], predicted: list[Entry]) -> tuple[str, str]:
    """Table of skipped bricks and the summary."""
    for step, entries in (("fetch", fetched), ("patches", cut), ("predict", predicted)):
        write_manifest(folder / f"{step}.tsv", entries)
    steps = ([folder / f"{step}.tsv"] for step in ("fetch", "patches", "predict"))
    summarise(*steps, folder / "skipped.tsv", folder / "summary.txt")
    return (folder / "skipped.tsv").read_text(), (folder / "summary.txt").read_text()


def test_the_summary_names_what_was_skipped_and_why(tmp_path: Path) -> None:
    dark = Entry(KEPT.brick, "skipped", reason=f"brick {KEPT.brick}: not one usable pixel")
    skipped, summary = gathered(tmp_path, [DONE, KEPT, BAD], [DONE], [DONE, dark])
    assert skipped.splitlines() == [
        "brick\tstep\treason",
        f"{KEPT.brick}\tpredict\t{dark.reason}",
        f"{BAD.brick}\tfetch\t{BAD.reason}",
    ]
    assert summary.splitlines()[0].startswith("1 bricks denoised, 2 skipped; the reasons stand in ")
    assert f"  fetch: {BAD.reason}" in summary.splitlines()


def test_a_brick_skipped_by_two_steps_is_one_brick(tmp_path: Path) -> None:
    again = Entry(BAD.brick, "skipped", reason="another reason")
    _, summary = gathered(tmp_path, [BAD], [again], [DONE])
    assert summary.startswith("1 bricks denoised, 1 skipped;")


def test_the_summary_counts_in_which_bands_bricks_were_observed(tmp_path: Path) -> None:
    whole, other = replace(DONE, bands="g r z"), replace(KEPT, bands="g z")
    _, summary = gathered(tmp_path, [whole, other, BAD], [], [whole, other, replace(whole, brick="1412m032")])
    assert "Observed: 2 in g r z, 1 in g z.\n" in summary
    write_manifest(tmp_path / "a.tsv", [whole, BAD])
    write_manifest(tmp_path / "b.tsv", [other])
    listed = bands_of([tmp_path / "a.tsv", tmp_path / "b.tsv"])
    assert listed == {DONE.brick: ["g", "r", "z"], KEPT.brick: ["g", "z"]}


def test_the_summary_counts_bricks_whose_mask_lacks_a_bit(tmp_path: Path) -> None:
    _, summary = gathered(tmp_path, [DONE], [], [replace(DONE, unmasked="SATUR_I"), KEPT])
    assert "1 with maskbits that lack a bit of a band" in summary


def test_a_summary_without_skipped_bricks_is_one_line(tmp_path: Path) -> None:
    skipped, summary = gathered(tmp_path, [DONE], [DONE], [DONE, KEPT])
    assert skipped == "brick\tstep\treason\n"
    assert summary == "2 bricks denoised, 0 skipped\n"


def test_a_long_list_of_reasons_is_cut_short_in_the_summary_alone(tmp_path: Path) -> None:
    bad = [Entry(f"{n:04d}p000", "skipped", reason="404") for n in range(30)]
    skipped, summary = gathered(tmp_path, bad, [DONE], [DONE])
    assert len(skipped.splitlines()) == 31
    assert len([line for line in summary.splitlines() if line.startswith("  ")]) == 20


def test_chunks_with_a_skipped_brick_are_forgotten_and_no_others(tmp_path: Path) -> None:
    whole, torn, dark, planned = (
        [tmp_path / f"fetch-{chunk}.tsv", tmp_path / f"predict-{chunk}.tsv"] for chunk in "abcd"
    )
    for path in (*whole, torn[1], dark[0]):
        write_manifest(path, [DONE, KEPT])
    for path in (torn[0], dark[1]):
        write_manifest(path, [DONE, BAD])
    summary = tmp_path / "summary.txt"
    summary.write_text("2 skipped")
    assert skipped_bricks([whole, planned]) == set()
    assert forget(set(), [whole, torn], [summary]) == []
    assert summary.exists()
    bricks = skipped_bricks([whole, torn, dark, planned])
    assert bricks == {BAD.brick}
    assert forget(bricks, [whole, torn, dark, planned], [summary]) == [*torn, *dark]
    assert sorted(tmp_path.iterdir()) == sorted(whole)


def test_a_manifest_of_all_chunks_is_forgotten_once(tmp_path: Path) -> None:
    chunks, cut = [tmp_path / "train-c0.tsv", tmp_path / "train-c1.tsv"], tmp_path / "bricks.tsv"
    write_manifest(chunks[0], [DONE])
    write_manifest(chunks[1], [KEPT])
    write_manifest(cut, [DONE, Entry(KEPT.brick, "skipped", reason="dark")])
    forgotten = forget({KEPT.brick}, [[chunk, cut] for chunk in chunks], [])
    assert forgotten == [chunks[0], cut, chunks[1]]
    assert list(tmp_path.iterdir()) == []


def test_files_that_nothing_vouches_for_are_counted(tmp_path: Path) -> None:
    one = Entry(DONE.brick, "done", 7, unverified=2)
    _, summary = gathered(tmp_path, [one, Entry(KEPT.brick, "kept", 7, unverified=1)], [], [one])
    assert "No checksum vouches for 3 raw files (column unverified in the manifests of fetch)." in summary


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text.replace("\t7\t", "\tseven\t"),
        lambda text: text.replace("brick", "name"),
        lambda text: text[:-5],
        lambda text: text.replace("\t0\n", "\t0\t0\n"),
        lambda text: text.replace("done", '"done'),
        lambda text: text.encode("utf-16").decode("latin-1"),
    ],
)
def test_a_manifest_that_was_edited_wrongly_is_one_line(tmp_path: Path, spoil: Callable[[str], str]) -> None:
    path = tmp_path / "c.tsv"
    write_manifest(path, [DONE])
    path.write_text(spoil(path.read_text()))
    with pytest.raises(
        StepError, match=r"c\.tsv: is no manifest .*; remove it, and the next run makes it"
    ) as caught:
        read_manifest(path)
    assert "\n" not in str(caught.value)
