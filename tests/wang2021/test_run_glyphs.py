"""An experiment of the paper at toy size, by its one target."""

from pathlib import Path

import pytest
from astropy.table import Table

from .conftest import Experiment

TOY = """
run: toy
frames: {count: 24, size: 32}
variants: {l2: null, l2_single: null}
patches: {size: 32, count: 24}
model: {layout: lean, width: 2, residual_blocks: 0}
train: {epochs: 2, snapshots: 2, batch_size: 8}
predict: {tile: 32}
"""


@pytest.mark.workflow
@pytest.mark.usefixtures("glyph_font")
def test_the_glyphs_are_run_by_one_command(tmp_path: Path, experiment: Experiment) -> None:
    (tmp_path / "toy.yaml").write_text(TOY)
    arguments = ("--configfile", "config/glyphs.yaml", "toy.yaml")

    experiment(tmp_path, "--cores", "1", *arguments)

    results = tmp_path / "results/toy"
    table = Table.read(results / "measures.ecsv")
    methods = [str(method) for method in table["method"]]
    assert methods == ["noisy", "l1", "l1_single", "Noise2Self"]
    assert list(table["glyphs"]) == [24] * len(table)
    assert table["psnr"][1] > table["psnr"][0]
    seconds = dict(zip(methods, table["seconds"], strict=True))
    assert seconds["Noise2Self"] == pytest.approx(seconds["l1"])
    for name in ("panel", "convergence", "contrast"):
        assert (results / f"figure-{name}.png").stat().st_size > 1000
    assert not (results / "l1_single/patches").exists()  # those of l1 are the same
    again = experiment(tmp_path, "--dry-run", *arguments)
    assert "Nothing to be done" in again.stdout
