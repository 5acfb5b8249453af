"""The letters of axes: any order is undone, and what cannot be is refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skydenoise.errors import SettingsError
from skydenoise.stacks.axes import Axes, axes_of


@given(st.permutations("cyxnt"), st.integers(2, 5), st.data())
def test_any_order_of_axes_is_undone(letters: list[str], kept: int, data: st.DataObject) -> None:
    text = "".join(letter for letter in letters if letter in "yx" or letters.index(letter) < kept)
    shape = tuple(data.draw(st.integers(1, 4)) for _ in text)
    axes = Axes(text, shape)
    array = np.arange(np.prod(shape)).reshape(shape)
    index = data.draw(st.integers(0, axes.frames - 1))
    block = array[axes.key(index)]
    image = axes.to_image(block)
    assert image.shape == axes.frame_shape
    np.testing.assert_array_equal(axes.from_image(image), block)
    seen = np.concatenate([array[axes.key(index)].ravel() for index in range(axes.frames)])
    assert sorted(seen) == list(range(array.size))


@pytest.mark.parametrize(
    ("shape", "given_", "own", "text"),
    [
        ((9, 8), "", "", "yx"),
        ((3, 9, 8), "", "", "nyx"),
        ((3, 2, 9, 8), "", "", "ncyx"),
        ((3, 2, 9, 8), "", "tzyx", "tzyx"),
        ((3, 2, 9, 8), "NCYX", "tzyx", "ncyx"),
        ((9, 8), "nyx", "", "yx"),
    ],
)
def test_the_user_s_word_counts_before_the_file_s(
    shape: tuple[int, ...], given_: str, own: str, text: str
) -> None:
    assert axes_of(shape, given_, own).text == text


@pytest.mark.parametrize(
    ("shape", "letters", "message"),
    [
        ((2, 9, 8), "nyq", "axes 'nyq': y and x and any of"),
        ((2, 9, 8), "nny", "axes 'nny': y and x and any of"),
        ((2, 9, 8), "nzcyx", r"axes 'nzcyx' do not fit an array of shape \(2, 9, 8\)"),
        ((2, 0, 8), "nyx", "holds no pixel"),
        ((2, 2, 2, 2, 2), "", "what are the axes of an array of shape"),
    ],
)
def test_axes_that_cannot_be_are_refused(shape: tuple[int, ...], letters: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        axes_of(shape, letters)
