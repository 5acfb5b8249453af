"""tiles: they lie where reproject.hips has them, pixel by pixel."""

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from builders import make_header
from reproject import reproject_interp
from reproject.hips import reproject_to_hips

from skydenoise.sky.tiles import (
    parent_of,
    pixels_of_tile,
    read_key,
    read_tile,
    tile_path,
    tiles_of_image,
    write_tile,
)

ORDER = 11


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(300, 200)).astype(np.float32)


@pytest.mark.parametrize(("ra", "dec"), [(150.03, 60.01), (0.0, -0.01), (45.0, 41.81), (200.0, -89.99)])
def test_tiles_and_their_parents_are_those_of_reproject(
    image: np.ndarray, ra: float, dec: float, tmp_path: Path
) -> None:
    header = make_header()
    header["CRVAL1"], header["CRVAL2"] = ra, dec
    wcs, folder = WCS(header), tmp_path / "hips"
    reproject_to_hips(
        (image, wcs),
        coord_system_out="equatorial",
        level=ORDER,
        reproject_function=reproject_interp,
        output_directory=folder,
        order="nearest-neighbor",
    )
    theirs = sorted(int(path.stem[4:]) for path in folder.glob(f"Norder{ORDER}/*/*.fits"))
    assert tiles_of_image(ORDER, wcs, image.shape).tolist() == theirs
    for tile in theirs:
        x, y = (np.rint(at).astype(int) for at in pixels_of_tile(ORDER, tile, wcs))
        inside = (x >= 0) & (x < 200) & (y >= 0) & (y < 300)
        mine = np.where(inside, image[np.clip(y, 0, 299), np.clip(x, 0, 199)], np.nan)
        other = fits.getdata(tile_path(folder, ORDER, tile, "fits"))
        assert (
            np.mean(np.isclose(mine, other, equal_nan=True)) > 0.999
        )  # middles on a pixel's edge round apart
    above = theirs[0] // 4
    paths = [tile_path(folder, ORDER, 4 * above + number, "fits") for number in range(4)]
    parent = parent_of([read_tile(path) if path.exists() else None for path in paths])
    expected = fits.getdata(tile_path(folder, ORDER - 1, above, "fits"))
    np.testing.assert_allclose(parent[0], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("name", "planes"), [("a.fits", 1), ("a.png", 3)])
def test_a_tile_is_read_as_it_was_written(name: str, planes: int, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (planes, 512, 512)).astype(np.float32)
    pixels[:, 100:200] = np.nan
    write_tile(tmp_path / name, pixels, "made of this")
    np.testing.assert_array_equal(read_tile(tmp_path / name), pixels)
    assert planes == 1 or read_key(tmp_path / name) == "made of this"
