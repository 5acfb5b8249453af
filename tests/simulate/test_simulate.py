import hashlib
import sys
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS
from hypothesis import given, settings
from hypothesis import strategies as st
from photutils.aperture import CircularAperture, aperture_photometry

from skydenoise.errors import SettingsError
from skydenoise.io import read_brick
from skydenoise.io.maskbits import band_values, named_values
from skydenoise.paths import Survey, check_brick_name, truth_catalogue, truth_file
from skydenoise.simulate import BANDS, SimulationSettings, brick_field, brick_names
from skydenoise.simulate.camera import (
    LAGS,
    exposure_maps,
    noise_field,
    noise_kernel,
    observe,
    pass_map,
    saturate,
)
from skydenoise.simulate.plan import NOISES, nanomaggies
from skydenoise.simulate.releases import BITS
from skydenoise.simulate.scene import draw_scene, full_well, sky_noise, sources_of
from skydenoise.simulate.sky import DISC, SOURCE, SPHEROID, STAR
from skydenoise.simulate.survey import maskbits, simulate_brick, truth_table, write_survey_tables

ROW = SimulationSettings(seed=5, bricks=2, size=320, dec=80.0, faint_limit=24.0)
"""Two neighbours that share 81 columns."""
EMPTY = SimulationSettings(
    size=256, galaxies=0, stars=0, missing=0, cosmics=0, stripes=0, gradient=0, passes=(4,)
)


def source(profile, magnitude, **shape):
    one = np.zeros(1, SOURCE)
    one["profile"], one["flux"], one["axis_ratio"] = profile, nanomaggies(magnitude), 1
    for key, value in shape.items():
        one[key] = value
    return one


def middle(size):
    return np.array([[size / 2 + 0.3, size / 2 - 0.2]])


@pytest.fixture(scope="module")
def row(tmp_path_factory):
    root = tmp_path_factory.mktemp("survey")
    for name in brick_names(ROW):
        simulate_brick(name, ROW, root / "mirror", root)
    return root


def files(root, name):
    return sorted(Path(Survey(str(root / "mirror"), ROW.release, ROW.region).folder(name)).iterdir())


def test_names_are_the_survey_s_and_all_different():
    names = brick_names(replace(ROW, bricks=40, ra=358.05))
    assert len(set(names)) == 40
    assert names[0] == "3580p800"
    assert names[20] == "0000p800"
    assert [check_brick_name(name) for name in names] == names


def test_a_southern_brick_has_an_m():
    assert brick_names(replace(ROW, ra=141.05, dec=-3.25, bricks=1)) == ["1410m032"]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("bricks", 0),
        ("size", 8),
        ("dec", 89),
        ("noise", "pink"),
        ("fwhm", (1.0, 1.0)),
        ("missing", 2),
        ("passes", ()),
        ("passes", (2, 0)),
        ("ra", -1),
    ],
)
def test_impossible_settings_are_refused_with_their_key(key, value):
    with pytest.raises(SettingsError, match=rf"simulation\.{key}: "):
        SimulationSettings(**{key: value})


def test_an_unknown_brick_is_refused(tmp_path):
    with pytest.raises(SettingsError, match="1410m032"):
        simulate_brick("1410m032", ROW, tmp_path, tmp_path)


def test_the_same_seed_gives_the_same_bytes_and_another_seed_another_sky(row, tmp_path):
    name = brick_names(ROW)[1]
    simulate_brick(name, ROW, tmp_path / "mirror", tmp_path)
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    first = {path.name: path.read_bytes() for path in row.rglob("*") if path.is_file()}
    assert len(written) == 7 + 1 + 4
    assert all(path.read_bytes() == first[path.name] for path in written)
    field = brick_field(0, ROW)
    other = sources_of(field, replace(ROW, seed=6))[0]
    assert not np.isin(other["ra"], sources_of(field, ROW)[0]["ra"]).any()


def test_every_file_verifies_against_the_sha256sum_file(row):
    for name in brick_names(ROW):
        (sums,) = [path for path in files(row, name) if path.suffix == ".sha256sum"]
        images = [path for path in files(row, name) if path != sums]
        lines = dict(reversed(line.split("  ")) for line in sums.read_text().splitlines())
        assert lines == {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in images}
        assert sorted(lines) == sorted(
            [f"legacysurvey-{name}-{kind}-{band}.fits.fz" for kind in ("image", "invvar") for band in BANDS]
            + [f"legacysurvey-{name}-maskbits.fits.fz"]
        )


def test_neighbours_show_the_same_sources_in_their_overlap(row):
    left, right = brick_names(ROW)
    tables = [Table.read(truth_catalogue(row, name)) for name in (left, right)]
    shared = sorted(set(tables[0]["id"]) & set(tables[1]["id"]))
    assert len(shared) > 10
    tables = [
        table[np.searchsorted(table["id"], shared)]
        for table in (table[table.argsort("id")] for table in tables)
    ]
    for column in ("ra", "dec", "flux_g", "flux_r", "flux_z"):
        assert np.array_equal(tables[0][column], tables[1][column])
    fluxes = []
    for name, table in zip((left, right), tables, strict=True):
        with fits.open(truth_file(row, name, "r")) as hdus:
            x, y = WCS(hdus[1].header).world_to_pixel_values(table["ra"], table["dec"])
            assert np.allclose([x, y], [table["x"], table["y"]], atol=1e-6)
            aperture = CircularAperture(np.transpose([x, y]), 8)
            fluxes.append(aperture_photometry(hdus[1].data.astype(float), aperture)["aperture_sum"])
    within = np.all([(t["x"] > 10) & (t["x"] < 309) & (t["y"] > 10) & (t["y"] < 309) for t in tables], axis=0)
    assert within.sum() > 5
    assert np.allclose(fluxes[0][within], fluxes[1][within], rtol=2e-3, atol=2 * sky_noise(1, ROW) * 0.01)


def test_neighbours_share_noise_and_exposures():
    survey = replace(ROW, missing=1.0, passes=(1, 2, 3, 7), pass_cell=100)
    west, east = brick_field(0, survey), brick_field(1, survey)
    shift = west.origin[0] - east.origin[0]
    assert 0 < shift < ROW.size
    assert np.array_equal(noise_field(east, 0, survey)[:, shift:], noise_field(west, 0, survey)[:, :-shift])
    for there, here in zip(exposure_maps(east, 0, survey), exposure_maps(west, 0, survey), strict=True):
        assert np.array_equal(there[:, shift:], here[:, :-shift])


@pytest.mark.parametrize("noise", NOISES)
def test_the_noise_has_the_claimed_strength_and_correlation(noise):
    survey = replace(EMPTY, noise=noise)
    field = brick_field(0, survey)
    sources, position = sources_of(field, survey)
    assert sources.size == 0
    seen = observe(draw_scene(sources, position, field.size, 2, survey), field, 2, survey)
    whitened = seen.image * np.sqrt(seen.invvar)
    assert whitened.std() == pytest.approx(NOISES[noise].scale, rel=0.02)
    unit = (whitened - whitened.mean()) / whitened.std()
    for lag, rho in zip(LAGS, NOISES[noise].correlation, strict=False):
        assert (unit * np.roll(unit, lag, (0, 1))).mean() == pytest.approx(rho, abs=0.02)
    _, good = exposure_maps(field, 2, survey)
    assert np.allclose(1 / np.sqrt(seen.invvar), sky_noise(2, survey) * np.sqrt(2 / good))


def test_depth_changes_in_steps():
    survey = replace(EMPTY, passes=(1, 2, 3, 7), pass_cell=128)
    field = brick_field(0, survey)
    passes = pass_map(field, survey)
    assert np.unique(passes[::128, ::128]).tolist() == [1, 2, 3, 7]
    seen, (_, good) = observe(np.zeros((256, 256)), field, 1, survey), exposure_maps(field, 1, survey)
    for depth in survey.passes:
        part = passes == depth
        assert part.sum() == 128**2
        assert np.median(good[part]) == depth
        whole = part & (good == depth)
        assert seen.image[whole].std() == pytest.approx(sky_noise(1, survey) * np.sqrt(2 / depth), rel=0.04)


@pytest.mark.parametrize("noise", NOISES)
def test_the_kernel_of_the_noise_is_valid_and_as_correlated_as_claimed(noise):
    kernel = noise_kernel(NOISES[noise].correlation)
    assert (kernel**2).sum() == pytest.approx(1)
    np.testing.assert_array_equal(kernel, kernel.T)
    np.testing.assert_array_equal(kernel, kernel[::-1])
    wide = np.pad(kernel, len(kernel))
    power = np.abs(np.fft.fft2(wide)) ** 2
    own = np.fft.ifft2(power).real
    for lag, rho in zip(LAGS, NOISES[noise].correlation, strict=False):
        assert own[lag] == pytest.approx(rho, abs=0.01)
    assert power[0, 0] > 0.5  # large scales have noise, as a sky has


def test_a_correlation_that_no_noise_can_have_is_refused():
    with pytest.raises(ValueError, match="noise correlation"):
        noise_kernel((0.9, 0.0, 0.0))


def test_the_depth_is_that_of_a_matched_filter():
    star = draw_scene(source(STAR, 23.9), middle(96), 96, 1, EMPTY)
    significance = np.sqrt((star**2).sum()) / sky_noise(1, EMPTY)
    assert significance == pytest.approx(5, rel=0.03)


@pytest.mark.parametrize("band", range(3))
def test_a_star_holds_its_catalogue_flux(band):
    scene = draw_scene(source(STAR, 18.0), middle(300), 300, band, EMPTY)
    assert scene.sum() == pytest.approx(nanomaggies(18.0), rel=5e-3)
    y, x = np.indices(scene.shape)
    assert [(x * scene).sum() / scene.sum(), (y * scene).sum() / scene.sum()] == pytest.approx(
        middle(300)[0], abs=0.02
    )


@pytest.mark.parametrize("profile", [DISC, SPHEROID])
@pytest.mark.parametrize(("magnitude", "radius"), [(17.0, 3.0), (21.0, 0.8), (24.0, 0.4), (25.5, 0.3)])
def test_a_galaxy_holds_its_catalogue_flux(profile, magnitude, radius):
    galaxy = source(profile, magnitude, radius=radius, axis_ratio=0.4, angle=0.7, knots=0.2, id=77)
    scene = draw_scene(galaxy, middle(300), 300, 1, EMPTY)
    assert scene.sum() == pytest.approx(nanomaggies(magnitude), rel=0.015)


def test_a_galaxy_below_the_limit_looks_as_its_true_profile_would():
    shape = {"radius": 0.5, "axis_ratio": 0.5, "angle": 1.0}
    quick = draw_scene(source(DISC, 25.0, **shape), middle(64), 64, 1, EMPTY)
    exact = (
        draw_scene(source(DISC, 20.0, **shape), middle(64), 64, 1, EMPTY) * nanomaggies(25) / nanomaggies(20)
    )
    assert np.abs(quick - exact).max() < 0.04 * exact.max()


def test_a_saturated_star_is_clipped_bleeds_and_is_flagged():
    field = brick_field(0, EMPTY)
    star = source(STAR, 13.5)
    scene = draw_scene(star, middle(256), 256, 1, EMPTY)
    seen = observe(scene, field, 1, EMPTY)
    well = full_well(1, EMPTY)
    assert seen.image.max() <= well + 10 * sky_noise(1, EMPTY) + 0.1
    full = seen.saturated & (seen.invvar == 0)
    assert np.array_equal(seen.image[full], np.full(full.sum(), well))
    rows, columns = np.ptp(np.nonzero(full), axis=1)
    assert rows > 2 * columns
    assert (seen.saturated & (seen.invvar > 0)).any()  # the rim: flagged, although invvar is not 0
    assert ((scene > well) <= full).all()
    bits = maskbits(field, dict.fromkeys(BANDS, seen), star, middle(256))
    assert (bits[seen.saturated] & 0b11100 == 0b11100).all()
    assert (bits[~seen.saturated] & 0b11100 == 0).all()
    assert bits[127, 127] & BITS["MEDIUM"]
    assert not bits[127, 127] & BITS["BRIGHT"]
    assert list(truth_table(field, dict.fromkeys(BANDS, seen), star, middle(256))["saturated"]) == [True]


@settings(max_examples=30, deadline=None)
@given(st.integers(40, 60), st.integers(0, 8), st.floats(1.5, 12.0))
def test_bleeding_keeps_the_charge(y, x, peak):
    scene = np.full((101, 9), 0.01)
    scene[y, x] = peak
    image, full = saturate(scene, 1.0)
    assert image.max() <= 1
    assert full[y, x]
    assert (image[full] == 1).all()
    assert image.sum() == pytest.approx(scene.sum(), abs=2)  # whole pixels fill on both sides
    assert not full[:, np.arange(9) != x].any()


def test_at_the_edge_charge_is_lost_but_nothing_else_breaks():
    scene = np.zeros((20, 3))
    scene[0, 1], scene[19, 2] = 500, 500
    image, full = saturate(scene, 1.0)
    assert full[:, 1:].all()
    assert not full[:, 0].any()
    assert image.max() == 1


def test_uncovered_and_bad_pixels():
    survey = replace(EMPTY, size=512, missing=1.0, cosmics=500, passes=(1,))
    found = np.zeros(3, bool)
    for place in range(4):
        field = brick_field(place, survey)
        seen = observe(np.zeros((512, 512)), field, 0, survey)
        covered, good = exposure_maps(field, 0, survey)
        assert (seen.image[covered == 0] == 0).all()
        assert np.array_equal(seen.invvar > 0, good > 0)
        assert np.array_equal(seen.allmask, (covered > 0) & (good == 0))
        found |= [(covered == 0).any(), seen.allmask.any(), (seen.image[seen.allmask] != 0).any()]
    assert found.all()


def test_images_carry_the_survey_s_cards(row):
    name = brick_names(ROW)[0]
    survey = Survey(str(row / "mirror"), ROW.release, ROW.region)
    header = fits.getheader(survey.file(name, "image", "g"), 1)
    expected = {"BRICKNAM": name, "FILTER": "g", "MAGZERO": 22.5, "BUNIT": "nanomaggy", "CRPIX1": 160.5}
    assert {key: header[key] for key in expected} == expected
    assert header["RAMIN"] < header["CRVAL1"] < header["RAMAX"]
    mask = fits.getheader(survey.file(name, "maskbits"), 1)
    assert mask["MB_SAT_G"] == 4
    assert mask["MB_ALL_Z"] == 128
    assert mask["MBIT_7"] == "ALLMASK_Z"
    assert band_values(named_values(mask), "r") == (8 + 64, ())
    bits = fits.getdata(survey.file(name, "maskbits"), 1)
    assert bits.dtype.kind == "i"
    assert np.array_equal(bits & 1 == 0, brick_field(0, ROW).primary())
    image, invvar = (fits.getdata(survey.file(name, kind, "g"), 1) for kind in ("image", "invvar"))
    assert image.shape == invvar.shape == (320, 320)
    assert np.isfinite(image).all()
    assert (invvar >= 0).all()


def test_every_place_belongs_to_one_brick():
    fields = [brick_field(row, ROW) for row in range(2)]
    x, y = fields[0].wcs.world_to_pixel_values(
        *fields[1].wcs.pixel_to_world_values(*np.indices((320, 320))[::-1])
    )
    column, line = np.rint(x).astype(int), np.rint(y).astype(int)
    inside = (column >= 1) & (column < 319) & (line >= 1) & (line < 319)
    both = fields[1].primary()[inside] & fields[0].primary()[line[inside], column[inside]]
    assert both.mean() < 0.01  # rounding along the border alone


def test_survey_tables_have_the_survey_s_columns(tmp_path):
    write_survey_tables(tmp_path, ROW)
    paths = "dr9/survey-bricks.fits.gz", "dr9/south/survey-bricks-dr9-south.fits.gz"
    sky, region = (Table.read(tmp_path / path) for path in paths)
    expected = [
        "BRICKNAME",
        "BRICKID",
        "BRICKQ",
        "BRICKROW",
        "BRICKCOL",
        "RA",
        "DEC",
        "RA1",
        "RA2",
        "DEC1",
        "DEC2",
    ]
    assert sky.colnames == expected
    assert list(sky["BRICKNAME"]) == brick_names(ROW)
    assert list(region["brickname"]) == brick_names(ROW)
    for k, band in enumerate(BANDS):
        assert (region[f"nexp_{band}"] > 0).all()
        assert np.allclose(region[f"psfsize_{band}"], ROW.fwhm[k])
        assert (np.abs(region[f"psfdepth_{band}"] - ROW.depth[k]) < 0.4).all()
        assert (
            region[f"nexphist_{band}"].sum(axis=1) == [brick_field(j, ROW).primary().sum() for j in (0, 1)]
        ).all()


def test_the_program_reads_what_is_simulated_and_its_noise_is_what_invvar_says(row):
    survey = Survey(str(row / "mirror"), ROW.release, ROW.region)
    bricks = [read_brick(Path(survey.root) / "coadd", name, BANDS) for name in brick_names(ROW)]
    for brick in bricks:
        truth = np.stack([fits.getdata(truth_file(row, brick.name, band), 1) for band in BANDS])
        whitened = ((brick.image - truth) * np.sqrt(brick.invvar))[brick.usable]
        assert whitened.std() == pytest.approx(1, abs=0.01)
        assert whitened.mean() == pytest.approx(0, abs=0.03)


def test_without_galsim_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "galsim", None)
    monkeypatch.delitem(sys.modules, "skydenoise.simulate.scene")
    with pytest.raises(SettingsError, match=r"pip install 'skydenoise\[simulate\]'"):
        import_module("skydenoise.simulate.scene")
