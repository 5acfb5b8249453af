"""Draw before_after.png from a run of docs/real_pixels.md: `before_after.py raw results/sdss`."""

import sys
from pathlib import Path

from matplotlib import pyplot

from skydenoise.evaluate.figures.bricks import make_views
from skydenoise.io import read_brick, read_denoised

NAME, BANDS = "2010H", ("r", "i", "z")
CENTRES, EDGE = ((451, 440), (68, 868), (290, 148), (584, 750), (504, 676)), 60
"""x, y of what is shown, and the edge of a cut, pixels."""


def main(cache: Path, run: Path, picture: Path) -> None:
    """The same five cuts, above as they are, below denoised."""
    views = make_views(read_brick(cache, NAME, BANDS), read_denoised(run, NAME, BANDS))
    figure, panels = pyplot.subplots(2, len(CENTRES), figsize=(11.5, 4.9), layout="constrained")
    for row, (name, pixels) in zip(panels, views.versions.items(), strict=True):
        row[0].set_ylabel(name)
        for panel, (x, y) in zip(row, CENTRES, strict=True):
            top, left = max(0, y - EDGE // 2), max(0, x - EDGE // 2)
            panel.imshow(pixels[top : top + EDGE, left : left + EDGE], origin="lower")
            panel.set(xticks=(), yticks=())
    figure.savefig(picture, dpi=90)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), Path(__file__).with_suffix(".png"))
