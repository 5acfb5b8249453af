"""The quality benchmark: fair peers, an honest verdict, a table that can be read."""

import json
import math
import sys
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import matplotlib.image as mpimg
import numpy as np
import pytest
import torch
import yaml
from astropy.io import fits
from matplotlib.figure import Figure as Canvas

from benchmarks.quality import classical, noise2self, noise2void, ours, report
from benchmarks.quality.__main__ import Scale, judged, measure_all
from benchmarks.quality.bar import BAR, Line, Verdict, judge, within
from benchmarks.quality.curves import LEFT_OUT, draw, draw_curves
from benchmarks.quality.figures import Figure, Figures
from benchmarks.quality.learned import learn
from benchmarks.quality.lesson import Lesson, sky_lesson
from benchmarks.quality.methods import PRODUCT, REPOSITORY, Entrants, add_ours
from benchmarks.quality.rerun import Remembering, Workload
from benchmarks.quality.sky import SEEDS, make_sky, sky_settings
from benchmarks.quality.told import ToldCourse, job_like, truth_patches
from skydenoise.atomic import write_json
from skydenoise.brick import Brick, read_brick
from skydenoise.bricks_table import read_bricks_table
from skydenoise.model import Network
from skydenoise.model.model import ModelDescription, read_description, save_model
from skydenoise.noise import NoiseModel
from skydenoise.noise.levels import noise_levels
from skydenoise.patches import PatchSet, cut_patches
from skydenoise.settings import Architecture, PatchSettings, PredictSettings, RecoverSettings, TrainSettings
from skydenoise.simulate import BANDS, SimulationSettings, brick_names
from skydenoise.simulate.survey import simulate_brick
from skydenoise.stretch import Stretch
from skydenoise.train.loop import train

SIZE, SIGMA = 72, 0.01
FOLDER = Path(classical.__file__).parent
SMALL = Architecture(levels=2, width=4, bottleneck=8, residual_blocks=0, outputs=1)


def noise_model(neighbour=0.0, bands=("g", "r", "z")):
    correlation = np.zeros((len(bands), 5, 5))
    correlation[:, 2, 1:4] = correlation[:, 1:4, 2] = neighbour
    correlation[:, 2, 2] = 1
    levels = np.stack([noise_levels(each, 5) for each in correlation])
    return NoiseModel(bands, (SIGMA,) * len(bands), (1.0,) * len(bands), correlation, levels)


def brick_of(image):
    image = np.asarray(image, np.float32)
    invvar = np.full(image.shape, SIGMA**-2, np.float32)
    header = fits.Header()
    bands = ("g", "r", "z")[: len(image)]
    return Brick("0001p600", bands, image, invvar, np.zeros(image.shape, bool), (header,) * len(bands))


def noise_image(noise, seed=0):
    return SIGMA * noise.draw((len(noise.bands), SIZE, SIZE), np.random.default_rng(seed))


def star(flux, bands=1):
    rows = np.arange(SIZE) - SIZE // 2
    along = np.exp(-(rows**2) / 8) / np.sqrt(8 * np.pi)
    return np.broadcast_to(flux * np.outer(along, along), (bands, SIZE, SIZE))


PEERS = {
    "Gaussian": (None, lambda noise: partial(classical.gaussian, widths=(1.5,))),
    "starlet": (None, lambda noise: partial(classical.starlet_threshold, noise=noise)),
    "BM3D": ("bm3d", lambda noise: partial(classical.bm3d, noise=noise, correlated=True)),
    "BM3D, white": ("bm3d", lambda noise: partial(classical.bm3d, noise=noise, correlated=False)),
    "NLM": (
        "skimage",
        lambda noise: partial(classical.nonlocal_means, noise=noise, strength=0.6, joint=True),
    ),
    "NLM, single": (
        "skimage",
        lambda noise: partial(classical.nonlocal_means, noise=noise, strength=0.6, joint=False),
    ),
}


@pytest.fixture(params=PEERS)
def peer(request):
    package, make = PEERS[request.param]
    if package and not classical.installed(package):
        pytest.skip(f"{package} is not installed (extra peers)")
    return make


@pytest.mark.filterwarnings("default")  # of the peers' own code
def test_a_constant_stays_constant(peer):
    restored = peer(noise_model(bands=("g",)))(brick_of(np.full((1, SIZE, SIZE), 5 * SIGMA)))
    np.testing.assert_allclose(restored, 5 * SIGMA, rtol=2e-3)


@pytest.mark.filterwarnings("default")
def test_noise_is_reduced_to_less_than_half(peer):
    noise = noise_model(neighbour=0.1, bands=("g",))
    restored = peer(noise)(brick_of(noise_image(noise)))
    assert restored.std() < 0.5 * SIGMA
    assert abs(restored.mean()) < 0.1 * SIGMA


@pytest.mark.filterwarnings("default")
def test_a_bright_star_keeps_its_flux(peer):
    noise = noise_model(bands=("g",))
    image = star(10000 * SIGMA) + noise_image(noise)
    restored = peer(noise)(brick_of(image))
    y, x = np.mgrid[:SIZE, :SIZE] - SIZE // 2
    inside = y**2 + x**2 < 12**2
    np.testing.assert_allclose(restored[:, inside].sum(axis=1), 10000 * SIGMA, rtol=0.02)


def test_a_masked_pixel_does_not_matter():
    noise = noise_model()
    brick = brick_of(noise_image(noise))
    masked = brick.masked.copy()
    masked[:, 20, 20] = True
    wild = brick.image.copy()
    wild[:, 20, 20] = 1e4
    starlet = classical.starlet_threshold
    restored = [starlet(replace(brick, masked=masked, image=image), noise) for image in (brick.image, wild)]
    np.testing.assert_array_equal(*restored)


def test_the_power_spectrum_given_to_bm3d_is_that_of_the_noise():
    power = classical.noise_power(noise_model(neighbour=0.2), 32, 27)
    assert power.shape == (3, 32, 27)
    lags = np.fft.ifft2(power).real / (32 * 27)
    assert lags[0, 0, 0] == pytest.approx(1)
    assert lags[0, 0, 1] == pytest.approx(0.2, abs=1e-6)
    assert lags[0, -1, 0] == pytest.approx(0.2, abs=1e-6)


def test_old_numpy_names_go_again():
    before = hasattr(np, "trapz")
    with classical.old_numpy_names():
        assert np.trapz([1, 1]) == 1
    assert hasattr(np, "trapz") == before


def test_noise2self_never_sees_the_pixel_it_predicts():
    u = np.random.default_rng(1).standard_normal((3, 128, 128)).astype(np.float32)
    other = u.copy()
    other[:, 40, 50] += 100

    def network(tiles):
        return (tiles,)

    before, after = (noise2self.apply_network(network, each) for each in (u, other))
    np.testing.assert_array_equal(before[:, 40, 50], after[:, 40, 50])
    assert np.abs(after - before)[:, 39:42, 49:52].max() > 10


def test_the_grids_of_noise2self_cover_every_pixel_once():
    together = sum(noise2self.phases((8, 9), phase) for phase in range(noise2self.GRID**2))
    assert torch.equal(together, torch.ones(8, 9))


def lesson_of(noise: NoiseModel, seconds: float) -> Lesson:
    images = SIGMA * noise.draw((32, 3, 32, 32), np.random.default_rng(2))
    patches = PatchSet((images,), (np.full_like(images, SIGMA**-2),), np.array(["a"] * 32))
    description = ModelDescription(SMALL, noise.bands, Stretch((10 * SIGMA,) * 3), noise)
    lesson = sky_lesson(patches, description, seconds, seed=1, device="cpu")
    return replace(lesson, network=SMALL, tile=32, overlap=8)


def test_noise2self_trains_for_its_time_removes_noise_and_is_kept(tmp_path):
    lesson = lesson_of(noise_model(), 0.3)
    u = np.random.default_rng(3).standard_normal((3, 48, 48)).astype(np.float32) * SIGMA
    method, how = learn("Noise2Self", lesson, tmp_path)
    restored = method(brick_of(u))
    assert restored.shape == u.shape
    assert restored.std() < 0.5 * SIGMA
    kept, again = learn("Noise2Self", lesson, tmp_path)
    assert again == how
    np.testing.assert_array_equal(kept(brick_of(u)), restored)
    _, other = learn("Noise2Self", replace(lesson, seconds=0.05), tmp_path)
    assert (other["seconds"], other["patches"], other["patch"]) == (0.05, 32, 32)


def test_a_peer_is_not_trained_as_long_as_a_model_was_elsewhere(tmp_path):
    noise = noise_model()
    made: dict[str, str | int | float] = {"seconds": 0.05, "device": "NVIDIA H100 80GB HBM3"}
    description = ModelDescription(SMALL, noise.bands, Stretch((10 * SIGMA,) * 3), noise, made)
    patches = lesson_of(noise, 0.1).patches
    assert sky_lesson(patches, description, 7.0, seed=1, device="cpu").pace == ""
    lesson = replace(sky_lesson(patches, description, None, seed=1, device="cpu"), network=SMALL)
    with pytest.raises(SystemExit, match=r"took 0\.05 s on NVIDIA H100 80GB HBM3, and this is CPU"):
        learn("Noise2Self", lesson, tmp_path)
    learn("Noise2Self", replace(lesson, pace="CPU"), tmp_path)
    learn("Noise2Self", lesson, tmp_path)  # kept, wherever it was trained


def test_a_network_is_told_the_truth_of_its_patches(tmp_path):
    survey = SimulationSettings(size=128, bricks=1, missing=0, seed=3)
    (name,) = brick_names(survey)
    simulate_brick(name, survey, tmp_path / "survey", tmp_path)
    read = partial(read_brick, tmp_path / "survey" / survey.release / survey.region / "coadd", bands=BANDS)
    cut_patches([name], read, PatchSettings(size=16, count=8), tmp_path / "patches")
    noisy, invvar = PatchSet.open(tmp_path / "patches").get(range(8))
    truth = truth_patches(tmp_path, tmp_path / "patches", BANDS, 16)
    assert np.median(np.abs((noisy - truth) * np.sqrt(invvar))[invvar > 0]) == pytest.approx(0.674, abs=0.05)
    settings = TrainSettings(epochs=1, batch_size=4, validation=0)
    noise = noise_model()
    made = {"settings": json.dumps(asdict(settings))}
    description = ModelDescription(SMALL, noise.bands, Stretch((10 * SIGMA,) * 3), noise, made)
    save_model(tmp_path / "model", Network(SMALL), description)
    write_json(tmp_path / "patches/noise.json", noise.to_json())
    train(job_like(tmp_path, tmp_path / "told"), partial(ToldCourse, run=tmp_path))
    told = read_description(tmp_path / "told/model.json")
    assert (told.provenance["target"], told.provenance["steps"]) == ("the truth", 2)
    assert told.stretch.softening == pytest.approx((10 * SIGMA,) * 3)


def test_the_stand_in_for_torchvision_goes_again():
    before = sys.modules.get("torchvision")
    with noise2void.torchvision_to_hand():
        assert "torchvision" in sys.modules
    if before is None:
        assert "torchvision" not in sys.modules or hasattr(sys.modules["torchvision"], "ops")


@pytest.fixture
def model(tmp_path):
    torch.manual_seed(1)
    noise = noise_model()
    description = ModelDescription(SMALL, noise.bands, Stretch((10 * SIGMA,) * 3), noise)
    save_model(tmp_path / "model", Network(SMALL), description)
    return tmp_path / "model"


def test_our_rows_are_the_network_bare_and_with_recover(model):
    entrants = Entrants()
    add_ours(entrants, model, model / "nowhere", "cpu")
    bare, product = entrants.restorers["bare network"], entrants.restorers[PRODUCT]
    assert not bare.denoiser.settings.recover.enabled
    assert product.denoiser.settings == PredictSettings()
    assert any("identity" in note and "no model" in note for note in entrants.notes)
    assert any("no uncertainty.json" in note for note in entrants.notes)
    brick = brick_of(np.kron(star(1000 * SIGMA, bands=3), np.ones((1, 4, 4))))
    assert bare(brick).shape == brick.image.shape


def test_settings_are_those_of_the_measured_uncertainty(model):
    settings = PredictSettings(tile=64, overlap=16, recover=RecoverSettings(growth=2.5))
    conditions = ours.load_denoiser(model, settings, "cpu").conditions
    (model / "uncertainty.json").write_text(json.dumps({"conditions": conditions}))
    assert ours.product_settings(model) == settings


LINE = Line("bias", "< 0.01 mag", within("flux_bias", -0.01, 0.01))


@pytest.mark.parametrize(
    ("values", "holds", "where", "failed"),
    [
        ([(0.001, 0.001), (-0.002, 0.001)], "yes", "r", 0),
        ([(0.001, 0.001), (-0.009, 0.002)], "yes, in doubt", "r", 0),
        ([(0.011, 0.002), (0.0, 0.001)], "no, in doubt", "g", 1),
        ([(0.05, 0.001), (0.0, 0.001)], "no", "g", 1),
        ([(0.05, 0.04), (-0.02, 0.001)], "no", "r", 2),  # the worse one is in doubt, the other is not
        ([(0.001, math.nan), (0.0, 0.001)], "yes, in doubt", "g", 0),
        ([(math.nan, math.nan), (math.nan, 0.1)], "not measured", "", 0),
    ],
)
def test_a_line_of_the_bar_is_judged_by_its_worst_case(values, holds, where, failed):
    figures = Figures(
        Figure("ours", "flux_bias", band, "", *value) for band, value in zip("gr", values, strict=True)
    )
    verdict = judge(figures, "ours", [LINE])[0]
    assert (verdict.holds, verdict.where, verdict.failed) == (holds, where, failed)


def test_errors_are_held_against_the_best_classical_peer_of_each_band():
    figures = Figures(
        Figure(method, "error", band, "", value, 0.001)
        for method, values in {"denoised": (0.06, 0.04), "starlet": (0.1, 0.2), "BM3D": (0.2, 0.1)}.items()
        for band, value in zip("gr", values, strict=True)
    )
    verdict = judge(figures, "denoised", BAR[:2])
    assert verdict[0].got == pytest.approx(0.6)
    assert (verdict[0].where, verdict[0].failed, verdict[0].cases) == ("g, starlet", 1, 2)
    assert verdict[1].holds == "not measured"


def test_false_detections_are_held_against_the_matched_filter():
    figures = Figures(
        Figure(method, "false_detections", "g", "score > 4", value, 0.1)
        for method, value in (("noisy", 1.0), ("denoised", 0.2))
    )
    verdict = next(each for each in judge(figures, "denoised") if each.measure.startswith("false"))
    assert (verdict.holds, verdict.got) == ("yes", pytest.approx(-0.8))


def some_figures():
    return Figures(
        Figure(method, measure, band, bin, 0.0123456789 * number, 0.001)
        for number, method in enumerate(("noisy", "a method with a long name", PRODUCT))
        for measure, bin in (("error", ""), ("sky_rms", ""), *(("flux_bias", bin) for bin in "abcdef"))
        for band in "grz"
    )


def test_the_table_fits_a_terminal_and_loses_nothing():
    figures = some_figures()
    text = report.text(figures, {PRODUCT: judge(figures, PRODUCT)})
    assert max(map(len, text.splitlines())) <= report.WIDTH
    assert text.count("±0.001") == len(figures)
    assert "not measured" in text


def test_the_file_gives_the_same_table_as_markdown(tmp_path):
    figures = some_figures()
    figures.add([Figure("noisy", "seconds", "", "", 0.5, math.nan)])
    verdicts = {PRODUCT: judge(figures, PRODUCT)}
    path = report.write(
        "quality-test", {"command": "run me", "seed": 3}, ["a note"], figures, verdicts, tmp_path
    )
    content = json.loads(path.read_text())
    assert content["seed"] == 3
    assert content["figures"][-1]["error"] is None
    assert "torch" in content["versions"]
    assert [Figure(**each) for each in content["figures"][:3]] == [
        replace(figure, value=float(f"{figure.value:.6g}")) for figure in list(figures)[:3]
    ]
    assert len(content["verdict"][PRODUCT]) == len(BAR)
    page = report.markdown(path)
    assert "* a note" in page
    assert "| method | error g | error r | error z | sky g |" in page
    assert f"| {PRODUCT} | 0.025±0.001 |" in page
    assert f"| {PRODUCT} | 0.025 0.025 0.025 | 0.025 0.025 0.025 | - |" in page
    for field in ("holds", "wanted"):
        assert getattr(Verdict(**content["verdict"][PRODUCT][0]), field) == getattr(
            verdicts[PRODUCT][0], field
        )


def test_curves_are_drawn_from_the_committed_file(tmp_path):
    committed = REPOSITORY / "benchmarks/results/quality-decam-quick.json"
    draw_curves(committed, tmp_path / "curves.png")
    assert mpimg.imread(tmp_path / "curves.png").std() > 0.05
    figure = Canvas()
    bias = [each for each in json.loads(committed.read_text())["figures"] if each["measure"] == "flux_bias"]
    draw(figure.subplots(), [Figure(**each) for each in bias], "flux_bias", "r")
    drawn = {series.get_label(): series for series in figure.axes[0].containers}
    value = next(
        each["value"]
        for each in bias
        if (each["method"], each["band"], each["bin"]) == ("denoised", "r", "10-20")
    )
    assert drawn["denoised"].lines[0].get_ydata()[1] == value
    assert set(drawn) == {each["method"] for each in bias} - set(LEFT_OUT)
    looks = [(line.get_color(), line.get_linestyle()) for line in (drawn[each].lines[0] for each in drawn)]
    assert len(set(looks)) == len(drawn)


def test_a_method_does_not_work_twice_on_the_same_pixels():
    calls = []

    def method(brick):
        calls.append(brick)
        return brick.image

    remembering, brick = Remembering(method), brick_of(np.ones((3, 8, 8)))
    for _ in range(2):
        remembering(brick)
    remembering(replace(brick, image=2 * brick.image))
    assert len(calls) == 2


@pytest.mark.parametrize("name", ["decam", "bass", "identity"])
def test_training_sees_other_skies_than_the_test(name):
    config = yaml.safe_load((FOLDER / f"{name}.yaml").read_text())
    rows = read_bricks_table(FOLDER / Path(config["bricks"]).name)
    assert sum(row.train for row in rows) >= 10
    assert config["simulation"]["seed"] not in SEEDS.values()


@pytest.mark.parametrize("name", ["decam", "bass", "identity"])
def test_the_shipped_models_were_trained_by_their_configurations(name):
    config = yaml.safe_load((FOLDER / f"{name}.yaml").read_text())
    made = read_description(REPOSITORY / f"models/{name}/model.json")
    settings = json.loads(made.provenance["settings"])
    assert {key: settings[key] for key in config["train"]} == config["train"]
    assert made.provenance["patches"] == round(0.95 * config["patches"]["count"])
    assert made.architecture.skips == config.get("model", {}).get("skips", True)
    assert (REPOSITORY / f"models/{name}/model.safetensors").stat().st_size < 8e6


def test_every_figure_of_a_small_sky_is_measured(tmp_path, model):
    sky = make_sky(sky_settings("decam", 1, 256), tmp_path)
    noise = sky.noise
    entrants = Entrants(
        {"noisy": classical.noisy, "starlet": partial(classical.starlet_threshold, noise=noise)}
    )
    add_ours(entrants, model, model, "cpu")
    workload = Workload(cutouts=1, size=256, rounds=3)
    figures = measure_all(sky, entrants, Scale(1, 256, workload, slow_cutouts=0))
    for measure in ("error", "background", "flux_bias", "false_detections", "linearity", "seconds"):
        assert figures.pick("noisy", measure), measure
    assert figures.pick("noisy", "error", "g")[0].value == pytest.approx(0.95, abs=0.05)
    assert figures.pick("noisy", "linearity", "r", "mean")[0].value == pytest.approx(1, abs=0.02)
    assert figures.pick("starlet", "error", "g")[0].value < 0.3
    assert {figure.measure for figure in figures} >= {"dual_scatter", "depth_gain_single", "seam", "leak"}
    verdicts = judged(entrants, figures)[PRODUCT]
    assert verdicts[0].measure == "rms error over the best classical peer"
    assert verdicts[0].cases == 3
