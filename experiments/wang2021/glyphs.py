"""Chinese, Japanese and Korean glyphs under the noise of Figs 4 and 5: simple shapes, worse than -9 dB."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from experiments.wang2021.frames import Data
from experiments.wang2021.settings import FONT_REMEDY, GlyphSettings
from skydenoise.errors import StepError

Array = NDArray[Any]

CODE_POINTS = (*range(0x4E00, 0x9FA6), *range(0x3400, 0x4DB6), *range(0xAC00, 0xD7A4))
"""Unified ideographs, extension A, Hangul: 38,656, all in WenQuanYi Zen Hei (the paper has 38,631)."""

AMPLITUDE = 2.0
"""The noise is uniform in [-2, 2], strokes are 1 (Fig. 4)."""
SCALE = 1 + AMPLITUDE
"""Brightest noisy pixel before all is rescaled to [0, 1]."""

EM = 7 / 8
"""Edge of a glyph's square in that of the image, so that no stroke is cut off."""
MEASURED, FOLLOWED, PANEL = 500, 100, 8
"""Frames that are measured, measured after many an epoch, and shown, the synthetic glyph among them."""
STROKES = 5
"""Of the synthetic glyph (Fig. 4)."""
FINER = 8
"""The synthetic glyph is drawn this much larger, for smooth edges."""


def simulate(settings: GlyphSettings, generator: np.random.Generator) -> Data:
    """Glyphs of the font, at random, and at the end a synthetic one that no training sees.

    Returns Data in the unit [0, 1] of the noisy images, where a stroke without noise is 1 / SCALE.

    Raises
    ------
    StepError : the font is missing or cannot be read, or holds fewer glyphs than are asked for
    """
    font = open_font(Path(settings.font), round(EM * settings.size))
    drawn = list(draw_glyphs(font, settings, generator))
    if not drawn or len(drawn) < settings.count:
        raise StepError(
            f"frames.count: {settings.count} glyphs are asked for, {settings.font} holds {len(drawn)}"
        )
    glyphs = np.stack([*drawn, synthetic_glyph(settings.size)])
    noisy, total = add_noise(glyphs, generator), len(glyphs)
    return Data(noisy, glyphs / np.float32(SCALE), min(total, MEASURED), min(total, FOLLOWED), 1)


def open_font(path: Path, size: int) -> ImageFont.FreeTypeFont:
    """Font at `size` pixels per em; raises StepError with the remedy if it is not there."""
    try:
        return ImageFont.truetype(str(path), size)
    except OSError as error:
        raise StepError(f"frames.font: {path} cannot be read: {error} ({FONT_REMEDY})") from None


def draw_glyphs(
    font: ImageFont.FreeTypeFont, settings: GlyphSettings, generator: np.random.Generator
) -> Iterator[Array]:
    """Images of characters, (y, x) float32 in [0, 1], in random order, but for blank ones.

    Ends after `settings.count` of them; a count of 0 gives all.
    """
    given = 0
    for code in generator.permutation([ord(each) for each in settings.characters] or CODE_POINTS):
        image = draw_glyph(chr(code), font, settings.size)
        if image.any():
            yield image
            given += 1
        if given == settings.count > 0:
            return


def draw_glyph(character: str, font: ImageFont.FreeTypeFont, size: int) -> Array:
    """White character in the middle of a black square: (size, size) float32 in [0, 1]."""
    canvas = Image.new("L", (size, size))
    ImageDraw.Draw(canvas).text((size / 2, size / 2), character, fill=255, font=font, anchor="mm")
    return np.asarray(canvas, dtype=np.float32) / np.float32(255)


def synthetic_glyph(size: int) -> Array:
    """Five parallel strokes from lower left to upper right, in a square like a glyph's: as `draw_glyph`."""
    canvas = Image.new("L", (FINER * size, FINER * size))
    pen = ImageDraw.Draw(canvas)
    middle, reach = FINER * size / 2, FINER * size * EM / 2
    for shift in np.linspace(-0.7, 0.7, STROKES) * reach:
        half = reach - abs(shift)
        x, y = (middle + shift - half, middle + shift + half), (middle + shift + half, middle + shift - half)
        pen.line([*zip(x, y, strict=True)], fill=255, width=round(FINER * size / 16))
    reduced = canvas.resize((size, size), Image.Resampling.BOX)
    return np.asarray(reduced, dtype=np.float32) / np.float32(255)


def add_noise(glyphs: Array, generator: np.random.Generator) -> Array:
    """The paper's recipe: uniform noise added, negative values set to 0, all rescaled to [0, 1].

    After that the noise has no zero mean: of black pixels the median is 0 and the mean 0.50 / SCALE, of white
    ones 1 / SCALE and 1.125 / SCALE.

    glyphs : float32 in [0, 1]
    """
    noise = generator.uniform(-AMPLITUDE, AMPLITUDE, glyphs.shape).astype(np.float32)
    return np.maximum(glyphs + noise, 0) / np.float32(SCALE)


def in_strokes(glyphs: Array) -> tuple[Array, Array]:
    """Pixels all inside strokes and all outside, bool of the same shape; glyphs in [0, 1]."""
    return glyphs > 1 - 1e-3, glyphs < 1e-3
