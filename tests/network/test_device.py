"""A job that holds a GPU and cannot use it says so; kernels are fused only where they can be compiled."""

import importlib.util
import logging
import sysconfig
from pathlib import Path

import numpy as np
import pytest
import torch

from skydenoise.network.device import can_compile, cuda_usable, fuses, multiplies_bfloat16, to_numpy


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


@pytest.mark.usefixtures("no_gpu")
@pytest.mark.parametrize(("cuda", "reason"), [(None, "was built without CUDA"), ("12.8", "finds no driver")])
def test_an_idle_gpu_is_reported(
    cuda: str | None, reason: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(torch.version, "cuda", cuda)
    with caplog.at_level(logging.WARNING):
        assert not cuda_usable({"CUDA_VISIBLE_DEVICES": "0,1"})
    assert f"this job has GPU 0,1, but torch {torch.__version__} {reason}" in caplog.text


@pytest.mark.usefixtures("no_gpu")
@pytest.mark.parametrize("environment", [{}, {"CUDA_VISIBLE_DEVICES": ""}, {"CUDA_VISIBLE_DEVICES": "-1"}])
def test_without_a_gpu_there_is_nothing_to_say(
    environment: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    assert not cuda_usable(environment)
    assert caplog.text == ""


def test_a_cpu_that_does_not_tell_does_not_multiply_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    for told in ({"avx512_bf16": True}, {"avx512_bf16": False}, {}):
        monkeypatch.setattr(torch.cpu, "get_capabilities", told.copy, raising=False)
        assert multiplies_bfloat16() is told.get("avx512_bf16", False)
    monkeypatch.delattr(torch.cpu, "get_capabilities")
    assert not multiplies_bfloat16()


@pytest.mark.parametrize(
    ("cuda", "capability", "compiles", "expected"),
    [
        ("12.8", (9, 0), True, True),
        ("12.8", (8, 0), True, True),
        ("12.8", (7, 5), True, False),
        ("12.8", (9, 0), False, False),
        (None, (9, 4), True, False),  # AMD's, which torch calls "cuda", too
    ],
)
def test_kernels_are_fused_on_recent_gpus_of_nvidia(
    cuda: str | None,
    capability: tuple[int, int],
    compiles: bool,
    expected: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.version, "cuda", cuda)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    monkeypatch.setattr("skydenoise.network.device.can_compile", lambda: compiles)
    assert fuses("cuda:1") is expected


def test_numbers_on_the_cpu_stay_where_they_are() -> None:
    values = torch.arange(6.0).view(2, 3)
    array = to_numpy(values)
    array[1, 2] = 7
    assert values[1, 2] == 7


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bool, torch.int64])
def test_numbers_from_a_gpu_are_a_copy(dtype: torch.dtype) -> None:
    values = (torch.arange(12, device="cuda") % 5).to(dtype).view(3, 4).T
    array = to_numpy(values)
    np.testing.assert_array_equal(array, values.cpu().numpy())
    again = to_numpy(values + 1)  # memory that is given out again is not this array's
    np.testing.assert_array_equal(array, values.cpu().numpy())
    assert not np.shares_memory(array, again)


@pytest.mark.parametrize("missing", ["triton", "compiler", "headers"])
def test_kernels_are_compiled_only_where_all_is_there(
    missing: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    here = {"triton", "compiler", "headers"}
    assert can_compile_with(here, monkeypatch, tmp_path)
    assert not can_compile_with(here - {missing}, monkeypatch, tmp_path)


def can_compile_with(found: set[str], monkeypatch: pytest.MonkeyPatch, folder: Path) -> bool:
    """`can_compile` on a machine that has these."""
    (folder / "bin").mkdir(exist_ok=True)
    compiler, headers = folder / "bin/gcc", folder / "Python.h"
    for name, file in (("compiler", compiler), ("headers", headers)):
        file.unlink(missing_ok=True)
        if name in found:
            file.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(folder / "bin"))
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(folder))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object() if name in found else None)
    return can_compile()
