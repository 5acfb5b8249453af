"""Patches: reproducible, covered, never twice, and the bricks' own pixels."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from hypothesis import given
from hypothesis import strategies as st

from skydenoise.config import PatchSettings
from skydenoise.errors import BrickError, SettingsError, disk_full
from skydenoise.fill import fill
from skydenoise.io import Brick
from skydenoise.patches import PatchSet, allot, cut_patches, draw_corners, possible_corners

SETTINGS = PatchSettings(size=16, count=50, min_coverage=0.9, seed=3)
NAMES = ("0010p000", "0020p000", "0030m010")


def brick(name: str, height: int = 60, width: int = 70) -> Brick:
    """Pixels that tell brick, band and place; an uncovered corner, a saturated patch, scattered defects."""
    generator = np.random.default_rng(list(name.encode()))
    image = generator.standard_normal((3, height, width)).astype(np.float32)
    invvar = generator.uniform(1, 2, image.shape).astype(np.float32)
    invvar[:, : height // 3, : width // 4] = 0
    invvar[generator.random(image.shape) < 0.02] = 0
    image[invvar == 0] = 0
    masked = np.zeros(image.shape, dtype=bool)
    masked[1, 40:46, 40:46] = True
    return Brick(name, ("g", "r", "z"), image, invvar, masked, (fits.Header(),) * 3)


def without_coverage(name: str) -> Brick:
    whole = brick(name)
    return replace(whole, invvar=np.zeros_like(whole.invvar))


def positions(folder: Path) -> list[tuple]:
    return [tuple(row) for row in Table.read(folder / "positions.ecsv", format="ascii.ecsv")]


def reader(**special: Callable[[str], Brick]) -> Callable[[str], Brick]:
    """Read a brick; those named in `special` (with a leading b) in their own way."""
    return lambda name: special.get(f"b{name}", brick)(name)


def broken(name: str) -> Brick:
    raise BrickError("truncated", brick=name, band="r")


def test_same_seed_same_patches_whatever_the_order(tmp_path: Path) -> None:
    cut_patches(NAMES, brick, SETTINGS, tmp_path / "first")
    cut_patches(NAMES[::-1] + NAMES[:1], brick, SETTINGS, tmp_path / "second")
    files = sorted(path.name for path in (tmp_path / "first").iterdir())
    assert files == sorted(path.name for path in (tmp_path / "second").iterdir())
    for name in files:
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()


def test_another_seed_gives_other_patches(tmp_path: Path) -> None:
    cut_patches(NAMES, brick, SETTINGS, tmp_path / "first")
    cut_patches(NAMES, brick, replace(SETTINGS, seed=4), tmp_path / "second")
    assert not set(positions(tmp_path / "first")) & set(positions(tmp_path / "second"))


def test_patches_are_the_bricks_own_pixels_filled(tmp_path: Path) -> None:
    cut_patches(NAMES, brick, SETTINGS, tmp_path)
    arrays = [np.load(tmp_path / f"{kind}.npy") for kind in ("image", "invvar")]
    assert [(array.shape, array.dtype) for array in arrays] == [((50, 3, 16, 16), np.float32)] * 2
    for place, name, y, x in positions(tmp_path):
        source = brick(name)
        cut = (slice(None), slice(y, y + 16), slice(x, x + 16))
        image, invvar = (array[place] for array in arrays)
        np.testing.assert_array_equal(invvar, np.where(source.usable, source.invvar, 0)[cut])
        np.testing.assert_array_equal(image[invvar > 0], source.image[cut][invvar > 0])
        np.testing.assert_array_equal(image, fill(source.image, source.usable)[cut])


def test_no_patch_twice_each_row_once_and_covered(tmp_path: Path) -> None:
    cut_patches(NAMES, brick, SETTINGS, tmp_path)
    rows = positions(tmp_path)
    assert len({row[1:] for row in rows}) == SETTINGS.count
    assert [row[0] for row in rows] == list(range(SETTINGS.count))
    for _, name, y, x in rows:
        assert brick(name).usable[:, y : y + 16, x : x + 16].mean(axis=(1, 2)).min() >= 0.9


def test_the_bricks_are_mixed(tmp_path: Path) -> None:
    cut_patches(NAMES, brick, SETTINGS, tmp_path)
    names = [row[1] for row in positions(tmp_path)]
    assert all(set(names[start : start + 15]) == set(NAMES) for start in (0, 15, 30))


def test_every_possible_position_can_be_asked_for(tmp_path: Path) -> None:
    total = sum(int(possible_corners(brick(name).usable, SETTINGS).sum()) for name in NAMES)
    cut_patches(NAMES, brick, replace(SETTINGS, count=total), tmp_path)
    assert len({row[1:] for row in positions(tmp_path)}) == total


def test_too_many_patches_says_how_many_are_possible(tmp_path: Path) -> None:
    total = sum(int(possible_corners(brick(name).usable, SETTINGS).sum()) for name in NAMES[:2])
    read = reader(b0030m010=without_coverage)
    with pytest.raises(SettingsError, match=rf"{total} are possible.* in 2 of 3 readable") as caught:
        cut_patches(NAMES, read, replace(SETTINGS, count=total + 1), tmp_path / "patches")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "patches").exists()


def test_a_bad_brick_is_skipped_and_recorded(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    skipped = cut_patches(NAMES, reader(b0020p000=broken), SETTINGS, tmp_path)
    assert skipped == {"0020p000": "brick 0020p000, band r: truncated"}
    rows = positions(tmp_path)
    assert len(rows) == SETTINGS.count
    assert {row[1] for row in rows} == {"0010p000", "0030m010"}
    assert "left out of patches: brick 0020p000, band r: truncated" in caplog.text


def test_a_brick_without_coverage_gives_none(tmp_path: Path) -> None:
    cut_patches(NAMES, reader(b0010p000=without_coverage), SETTINGS, tmp_path)
    rows = positions(tmp_path)
    assert len(rows) == SETTINGS.count
    assert {row[1] for row in rows} == set(NAMES[1:])


def test_a_brick_smaller_than_a_patch_gives_none(tmp_path: Path) -> None:
    cut_patches(NAMES, reader(b0010p000=lambda name: brick(name, 60, 15)), SETTINGS, tmp_path)
    assert {row[1] for row in positions(tmp_path)} == set(NAMES[1:])


def test_only_bad_bricks_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"no training brick can be read.*truncated"):
        cut_patches(NAMES, broken, SETTINGS, tmp_path)
    with pytest.raises(SettingsError, match="none is marked for training"):
        cut_patches([], brick, SETTINGS, tmp_path)


def test_bricks_with_other_bands_are_refused(tmp_path: Path) -> None:
    def two_bands(name: str) -> Brick:
        whole = brick(name)
        return Brick(name, ("g", "r"), whole.image[:2], whole.invvar[:2], whole.masked[:2], whole.headers[:2])

    with pytest.raises(SettingsError, match="g r and g r z"):
        cut_patches(NAMES, reader(b0010p000=two_bands), SETTINGS, tmp_path)


def test_an_interrupted_cut_leaves_nothing_that_looks_complete(tmp_path: Path) -> None:
    cut_patches(NAMES, brick, SETTINGS, tmp_path)
    reads = []

    def fails_later(name: str) -> Brick:
        reads.append(name)
        if len(reads) > 4:
            raise BrickError("disk went away", brick=name)
        return brick(name)

    with pytest.raises(BrickError, match="disk went away"):
        cut_patches(NAMES, fails_later, SETTINGS, tmp_path)
    assert not list(tmp_path.iterdir())
    with pytest.raises(SettingsError, match=r"positions\.ecsv is missing"):
        PatchSet.open(tmp_path)


def test_a_full_disk_is_met_before_the_first_patch(tmp_path: Path, full_disk) -> None:
    with full_disk(), pytest.raises(OSError, match="File too large") as caught:
        cut_patches(NAMES, brick, SETTINGS, tmp_path)
    assert disk_full(caught.value)
    assert not list(tmp_path.iterdir())


def test_fewer_patches_than_before_leave_no_old_ones(tmp_path: Path) -> None:
    cut_patches(NAMES, brick, SETTINGS, tmp_path)
    cut_patches(NAMES, brick, replace(SETTINGS, count=10), tmp_path)
    assert len(PatchSet.open(tmp_path)) == 10


def test_patch_set_gives_the_patches_by_number(tmp_path: Path) -> None:
    cut_patches(NAMES, brick, SETTINGS, tmp_path)
    patches = PatchSet.open(tmp_path)
    assert len(patches) == 50
    assert patches.shape == (3, 16, 16)
    assert isinstance(patches.images, np.memmap)
    image, invvar = patches.get([49, 0, 20, 19])
    assert image.shape == invvar.shape == (4, 3, 16, 16)
    for found, kind in ((image, "image"), (invvar, "invvar")):
        np.testing.assert_array_equal(found, np.load(tmp_path / f"{kind}.npy")[[49, 0, 20, 19]])
        assert not isinstance(found, np.memmap)
    assert list(patches.bricks) == [row[1] for row in positions(tmp_path)]
    with pytest.raises(IndexError):
        patches.get([50])


@pytest.mark.parametrize("shape", [(50, 3, 16, 16), (49, 3, 16, 16)])
def test_patch_set_refuses_patches_that_do_not_belong(shape: tuple[int, ...], tmp_path: Path) -> None:
    cut_patches(NAMES, brick, SETTINGS, tmp_path)
    np.save(tmp_path / "image.npy", np.zeros(shape, dtype=np.float32))
    with pytest.raises(SettingsError, match=r"image\.npy is damaged .*has changed since it was cut"):
        PatchSet.open(tmp_path)


def test_patch_set_refuses_an_index_that_does_not_fit_or_has_no_digests(tmp_path: Path) -> None:
    cut_patches(NAMES, brick, SETTINGS, tmp_path)
    index = tmp_path / "positions.ecsv"
    table = Table.read(index, format="ascii.ecsv")
    table[:-1].write(index, format="ascii.ecsv", overwrite=True)
    with pytest.raises(SettingsError, match="do not agree"):
        PatchSet.open(tmp_path)
    del table.meta["sha256"]
    table.write(index, format="ascii.ecsv", overwrite=True)
    with pytest.raises(SettingsError, match=r"positions\.ecsv is damaged \(it has no sha256"):
        PatchSet.open(tmp_path)


@given(
    seed=st.integers(0, 2**32 - 1),
    size=st.integers(1, 9),
    height=st.integers(1, 20),
    width=st.integers(1, 20),
    coverage=st.sampled_from([0.1, 0.5, 0.9, 1.0]),
)
def test_possible_corners_are_those_with_coverage(
    seed: int, size: int, height: int, width: int, coverage: float
) -> None:
    usable = np.random.default_rng(seed).random((2, height, width)) < 0.9
    settings = PatchSettings(size=size, min_coverage=coverage)
    expected = [
        [
            usable[:, y : y + size, x : x + size].mean(axis=(1, 2)).min() >= coverage - 1e-9
            for x in range(width - size + 1)
        ]
        for y in range(height - size + 1)
    ]
    found = possible_corners(usable, settings)
    assert found.shape == (max(0, height - size + 1), max(0, width - size + 1))
    np.testing.assert_array_equal(found, np.reshape(expected, found.shape))


@given(st.dictionaries(st.sampled_from("abcdefgh"), st.integers(0, 50), min_size=1), st.data())
def test_allotment_is_whole_possible_and_proportional(possible: dict[str, int], data: st.DataObject) -> None:
    total = sum(possible.values())
    if total == 0:
        return
    count = data.draw(st.integers(1, total))
    found = allot(possible, count)
    assert sum(found.values()) == count
    for name, number in possible.items():
        assert 0 <= found[name] <= number
        assert abs(found[name] - count * number / total) < 1


def test_corners_of_a_brick_do_not_depend_on_the_other_bricks() -> None:
    assert draw_corners(brick(NAMES[0]), 7, SETTINGS) == draw_corners(brick(NAMES[0]), 7, SETTINGS)
    assert draw_corners(brick(NAMES[0]), 7, SETTINGS) != draw_corners(brick(NAMES[1]), 7, SETTINGS)
