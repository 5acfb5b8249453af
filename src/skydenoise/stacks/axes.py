"""Which axis of an array is what: frames, channels, rows and columns in any order."""

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skydenoise.errors import SettingsError

Array = NDArray[Any]
Key = tuple[int | slice, ...]

FRAME_LETTERS = "ntz"
"""Axes along which frames are counted: number, time, depth."""
BY_DIMENSIONS = {2: "yx", 3: "nyx", 4: "ncyx"}
"""What an array's axes are if nobody says it."""


@dataclass(frozen=True)
class Axes:
    """The meaning of an array's axes, one letter each.

    text : letters out of n, t, z (frames), c (channels), y, x; y and x are needed, none stands twice
    shape : of the array

    Raises SettingsError for other letters, y or x missing, or another number of axes than the array has.
    """

    text: str
    shape: tuple[int, ...]

    def __post_init__(self) -> None:
        letters = set(self.text)
        if letters - set(f"{FRAME_LETTERS}cyx") or not {"y", "x"} <= letters or len(letters) < len(self.text):
            raise SettingsError(
                f"axes {self.text!r}: y and x and any of n, t, z (frames) and c (channels) are expected, "
                "each once, such as nyx or ncyx"
            )
        if len(self.text) != len(self.shape):
            raise SettingsError(f"axes {self.text!r} do not fit an array of shape {self.shape}")
        if not all(self.shape):
            raise SettingsError(f"an array of shape {self.shape} holds no pixel")

    @property
    def frames(self) -> int:
        """How many frames."""
        return prod(self._counted)

    @property
    def frame_shape(self) -> tuple[int, int, int]:
        """(channel, y, x) of a frame."""
        sizes = dict(zip(self.text, self.shape, strict=True))
        return sizes.get("c", 1), sizes["y"], sizes["x"]

    @property
    def _counted(self) -> tuple[int, ...]:
        """Lengths of the axes along which frames are counted; empty for a single frame."""
        pairs = zip(self.text, self.shape, strict=True)
        return tuple(size for letter, size in pairs if letter in FRAME_LETTERS)

    @property
    def _inner(self) -> str:
        """Letters of what lies at a frame's key."""
        return self.text.translate(dict.fromkeys(map(ord, FRAME_LETTERS)))

    def key(self, index: int) -> Key:
        """Index of frame `index` (from 0) in the array; frames count along the last frame axis first.

        Raises IndexError if there is no such frame.
        """
        if not 0 <= index < self.frames:
            raise IndexError(f"frame {index} of {self.frames}")
        places = iter(np.unravel_index(index, self._counted) if self._counted else ())
        return tuple(int(next(places)) if letter in FRAME_LETTERS else slice(None) for letter in self.text)

    def to_image(self, block: Array) -> Array:
        """(channel, y, x) of what lies in the array at a frame's key."""
        if "c" in self._inner:
            return np.einsum(f"{self._inner}->cyx", block)
        return np.einsum(f"{self._inner}->yx", block)[None]

    def from_image(self, image: Array) -> Array:
        """Inverse of `to_image`."""
        if "c" in self._inner:
            return np.einsum(f"cyx->{self._inner}", image)
        return np.einsum(f"yx->{self._inner}", image[0])


def axes_of(shape: tuple[int, ...], given: str = "", own: str = "") -> Axes:
    """Axes of an array: those that the user gave, else the file's own, else by the number of dimensions.

    given : as in Axes, upper or lower case, or empty. A leading axis of frames may be missing in the array: a
        stack of one frame often is stored so
    own : what the file says, or empty

    Raises SettingsError as Axes does, or if nothing is said about an array of other than 2 to 4 dimensions.
    """
    text = (given or own).lower() or BY_DIMENSIONS.get(len(shape), "")
    if not text:
        raise SettingsError(f"what are the axes of an array of shape {shape}? Give them, such as nyx or ncyx")
    if given and text[0] in FRAME_LETTERS and len(shape) == len(text) - 1:
        text = text[1:]
    return Axes(text, shape)
