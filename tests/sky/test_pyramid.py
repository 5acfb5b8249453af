"""The sky of bricks: each makes its own tiles and those above, whatever comes first, changes or goes."""

import numpy as np
import pytest
from astropy.wcs import WCS
from small_sky import ORDER, SIZE, Sky, finest

from skydenoise.io import read_brick
from skydenoise.sky.bricks import all_tiles, bricks_of
from skydenoise.sky.tiles import pixels_of_tile, read_tile, tile_path, tiles_of_image


def test_a_value_is_that_of_the_brick_and_overlaps_take_the_deeper_one(sky: Sky) -> None:
    sky.add(sky.brick("0001p600"), sky.brick("0002p600", 150, seed=1))
    bricks = [read_brick(sky.folder / "raw", name, ("r",)) for name in ("0001p600", "0002p600")]
    for tile, pixels in finest(sky, "input-r").items():
        values, depth = np.full((512, 512), np.nan), np.zeros((512, 512))
        for brick in bricks:
            x, y = pixels_of_tile(ORDER, tile, WCS(brick.headers[0]))
            inside = np.min([x, y, SIZE - 1 - x, SIZE - 1 - y], axis=0) + 0.5
            chosen = inside > depth
            values[chosen] = brick.image[0, np.rint(y[chosen]).astype(int), np.rint(x[chosen]).astype(int)]
            depth[chosen] = inside[chosen]
        np.testing.assert_array_equal(pixels[0], values.astype(np.float32))


def test_a_list_that_another_job_is_writing_is_not_read(sky: Sky) -> None:
    sky.add(sky.brick("0001p600"))
    for cell in (sky.root / "bricks").iterdir():
        (cell / ".host-1-a.partial.0002p600.json").touch()
    assert len(all_tiles(sky.root)) == len(finest(sky, "input"))
    assert bricks_of(sky.root, all_tiles(sky.root)[0]).keys() == {"0001p600"}


def test_what_is_unchanged_is_not_made_again(sky: Sky) -> None:
    first, second = sky.brick("0001p600"), sky.brick("0009p600", 1500)
    sky.add(first)
    before = sky.tiles("denoised-r")
    sky.add(first, second)
    after = sky.tiles("denoised-r")
    wcs = WCS(read_brick(sky.folder / "raw", "0009p600", ("r",)).headers[0])
    own = tiles_of_image(ORDER, wcs, (SIZE, SIZE))
    mine = {
        str(tile_path(sky.root, ORDER - up, int(tile) // 4**up, "fits").relative_to(sky.root))
        for tile in own
        for up in range(ORDER + 1)
    }
    assert {name for name in after if after[name] != before.get(name)} == mine
    assert sky.add(first, second)[0]["input"] > 0
    assert sky.tiles("denoised-r") == after


def test_the_order_of_the_jobs_does_not_matter(sky: Sky, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = Sky(tmp_path_factory.mktemp("other"))
    for each, order in ((sky, (0, 1)), (other, (1, 0))):
        entries = [each.brick("0001p600"), each.brick("0002p600", 150, seed=1)]
        for number in order:
            each.add(entries[number], chunk=str(number))
    for survey in ("input", "flags", "sigma-r"):
        mine, theirs = finest(sky, survey), finest(other, survey)
        assert mine.keys() == theirs.keys()
        for tile, pixels in mine.items():
            np.testing.assert_array_equal(pixels, theirs[tile])


def test_a_changed_brick_replaces_its_pixels_at_every_order(sky: Sky) -> None:
    sky.add(sky.brick("0001p600"))
    sky.add(sky.brick("0001p600", level=7.0))
    for order in (ORDER, 3, 0):
        (path, *_) = (sky.root / f"denoised-r/Norder{order}").glob("*/*.fits")
        assert np.nanmin(read_tile(path)) >= 6.9


def test_a_brick_that_is_gone_leaves_the_sky(sky: Sky) -> None:
    first, second = sky.brick("0001p600"), sky.brick("0009p600", 1500)
    sky.add(first)
    alone = sky.tiles("denoised").keys()
    sky.add(first, second)
    sky.add(first)
    shown = sky.finish()
    assert sky.tiles("denoised").keys() == alone
    assert [brick["brick"] for brick in shown["bricks"]] == ["0001p600"]


def test_a_brick_that_cannot_be_read_stops_no_other(sky: Sky, caplog: pytest.LogCaptureFixture) -> None:
    first, second = sky.brick("0001p600"), sky.brick("0002p600", 150)
    (sky.folder / "raw/000/0002p600/legacysurvey-0002p600-image-r.fits.fz").write_bytes(b"")
    assert [record["brick"] for record in sky.add(first, second)] == ["0001p600"]
    assert "0002p600" in caplog.text
