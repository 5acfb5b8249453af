import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from skydenoise.config import Architecture
from skydenoise.errors import StepError, disk_full
from skydenoise.network import ModelDescription, Network, adopt_model, load_model, save_model
from skydenoise.noise import NoiseModel, NoiseRange
from skydenoise.stretch import Stretch

SMALL = Architecture(
    bands=2, fold=1, levels=2, width=4, bottleneck=3, residual_blocks=1, outputs=2, skips=False
)
PUBLISHED = Architecture(
    layout="paper", fold=1, levels=5, width=8, bottleneck=64, residual_blocks=16, skips=False
)


def description(architecture: Architecture) -> ModelDescription:
    bands = tuple("grz"[: architecture.bands])
    ones = (1.0,) * len(bands)
    noise = NoiseModel(bands, ones, ones, np.ones((len(bands), 1, 1)), np.ones((len(bands), 5)))
    return ModelDescription(architecture, bands, Stretch(1.0), noise, {"steps": 7, "note": "made by a test"})


@settings(max_examples=20, deadline=None)
@given(
    layout=st.sampled_from(["residual_unet", "paper"]),
    fold=st.integers(1, 3),
    block=st.sampled_from(["gated", "full"]),
    levels=st.integers(1, 3),
    width=st.integers(1, 5),
    bottleneck=st.integers(1, 4),
    skips=st.booleans(),
    cells=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    bands=st.integers(1, 4),
)
def test_any_architecture_takes_any_multiple_of_its_stride(
    layout: str,
    fold: int,
    block: str,
    levels: int,
    width: int,
    bottleneck: int,
    skips: bool,
    cells: tuple[int, int],
    bands: int,
) -> None:
    if layout == "paper":
        fold, skips = 1, False
    architecture = Architecture(
        bands, layout, fold, block, levels, width, bottleneck, residual_blocks=1, skips=skips, outputs=levels
    )
    y, x = (cell * architecture.stride for cell in cells)
    outputs = Network(architecture)(torch.randn(2, bands, y, x))
    assert [tuple(output.shape) for output in outputs] == [
        (2, bands, y // 2**k, x // 2**k) for k in range(levels)
    ]
    assert all(torch.isfinite(output).all() for output in outputs)


def test_the_paper_s_layout_has_the_published_size() -> None:
    with torch.device("meta"):
        count = sum(parameter.numel() for parameter in Network(PUBLISHED).parameters())
    assert 7.3e6 < count < 7.5e6


def test_without_skips_all_goes_through_the_bottleneck() -> None:
    for layout in ("residual_unet", "paper"):
        network = Network(replace(SMALL, layout=layout))
        bottleneck = network.layout.bottleneck[0]
        seen = []
        bottleneck.register_forward_hook(
            lambda module, inputs, output, seen=seen: seen.append(output) or output * 0
        )
        first, second = network(torch.randn(2, 2, 8, 8))[0].detach()
        assert seen[0].shape == (2, 3, 2, 2)
        assert torch.equal(first, second)  # nothing else reached the output


def test_with_skips_training_starts_with_bright_pixels_kept_and_noise_shrunk() -> None:
    u = torch.randn(1, 2, 8, 8)
    u[..., 3, 3] = 9
    finest, coarse = Network(replace(SMALL, skips=True))(u)
    assert float(finest[0, 0, 3, 3].detach()) == pytest.approx(9, abs=1e-4)
    assert (finest.abs() <= u.abs()).all()
    assert coarse.shape == (1, 2, 4, 4)


def test_outputs_stay_float32_under_autocast() -> None:
    with torch.autocast("cpu", torch.bfloat16):
        outputs = Network(SMALL)(torch.randn(1, 2, 8, 8))
    assert {output.dtype for output in outputs} == {torch.float32}


def test_a_saved_model_comes_back(tmp_path: Path) -> None:
    for architecture in (SMALL, replace(SMALL, layout="paper", fold=1), replace(SMALL, skips=True)):
        network = Network(architecture)
        save_model(tmp_path, network, description(architecture))
        loaded, found = load_model(tmp_path)
        u = torch.randn(1, 2, 8, 8)
        assert torch.equal(network.eval()(u)[0], loaded(u)[0])
        assert replace(found, sha256="", noise_range=None) == description(architecture)
        assert not loaded.training


def test_a_damaged_model_is_refused_in_one_line(tmp_path: Path) -> None:
    save_model(tmp_path, Network(SMALL), description(SMALL))
    weights, text = tmp_path / "model.safetensors", tmp_path / "model.json"
    whole, content = weights.read_bytes(), json.loads(text.read_text())

    def refused(match: str) -> None:
        with pytest.raises(StepError, match=match) as error:
            load_model(tmp_path)
        assert "\n" not in str(error.value)
        weights.write_bytes(whole)
        text.write_text(json.dumps(content))

    weights.write_bytes(whole[:-8])
    refused("is not the file")
    text.write_text(text.read_text()[:50])
    refused("cannot be used")
    text.write_text(json.dumps(content | {"format": 99}))
    refused("format 99")
    text.write_text(json.dumps(content | {"architecture": content["architecture"] | {"width": 8}}))
    refused("does not fit the architecture")
    text.write_text(json.dumps(content | {"architecture": content["architecture"] | {"depth": 8}}))
    refused("depth")
    weights.unlink()
    refused("No such file")


def test_weights_of_another_shape_are_refused_even_if_the_digest_fits(tmp_path: Path) -> None:
    save_model(tmp_path, Network(SMALL), description(SMALL))
    state = load_file(tmp_path / "model.safetensors")
    state["heads.0.bias"] = torch.zeros(5)
    save_file(state, tmp_path / "model.safetensors")
    content = json.loads((tmp_path / "model.json").read_text())
    content["sha256"] = hashlib.sha256((tmp_path / "model.safetensors").read_bytes()).hexdigest()
    (tmp_path / "model.json").write_text(json.dumps(content))
    with pytest.raises(StepError, match=r"size mismatch for heads\.0\.bias"):
        load_model(tmp_path)


def test_a_model_is_adopted_whole_and_only_for_its_own_bands(tmp_path: Path) -> None:
    architecture = Architecture(levels=2, width=4, bottleneck=4, outputs=2)
    network = Network(architecture)
    save_model(tmp_path / "made", network, description(architecture))
    adopt_model(tmp_path / "made", tmp_path / "run", description(architecture).bands)
    adopted, about = load_model(tmp_path / "run")
    assert about == load_model(tmp_path / "made")[1]
    for name, value in network.state_dict().items():
        assert torch.equal(adopted.state_dict()[name], value)
    with pytest.raises(StepError, match=r"set survey\.bands, or train"):
        adopt_model(tmp_path / "made", tmp_path / "other", ("u",))
    assert not (tmp_path / "other").exists()


def test_a_full_disk_leaves_no_half_model(tmp_path: Path, full_disk) -> None:
    with full_disk(), pytest.raises(OSError, match="File too large") as caught:
        save_model(tmp_path, Network(SMALL), description(SMALL))
    assert disk_full(caught.value)
    assert not list(tmp_path.iterdir())


def test_the_lean_layout_does_not_depend_on_where_a_tile_is_cut() -> None:
    """Away from the borders, a shift of the sky by a stride shifts the output, whatever else there is."""
    network = Network(
        Architecture(
            bands=2, fold=1, levels=1, width=4, bottleneck=3, residual_blocks=1, outputs=1, skips=False
        )
    )
    sky = torch.randn(1, 2, 48, 80)
    left, right = (network(sky[..., start : start + 64])[0].detach() for start in (0, 16))
    torch.testing.assert_close(left[..., 16:32, 32:48], right[..., 16:32, 16:32], rtol=1e-5, atol=1e-6)


def test_a_level_and_the_noises_that_a_model_holds_for_are_kept(tmp_path: Path) -> None:
    plain = description(SMALL)
    shifted = replace(plain, noise=replace(plain.noise, level=(5, -2)))
    save_model(tmp_path, Network(SMALL), shifted)
    assert load_model(tmp_path)[1].noise == shifted.noise
    assert load_model(tmp_path)[1].noise_range == NoiseRange.around(shifted.noise)
    wide = NoiseRange(((0.1, 10.0),) * 2, (0.0, 0.75))
    save_model(tmp_path, Network(SMALL), replace(shifted, noise_range=wide))
    assert load_model(tmp_path)[1].holds_for == wide


def test_a_model_of_another_format_is_refused_with_its_remedy(tmp_path: Path) -> None:
    save_model(tmp_path, Network(SMALL), description(SMALL))
    file = tmp_path / "model.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"format": 1}))
    with pytest.raises(StepError, match="format 1, this version reads 4: train again"):
        load_model(tmp_path)
