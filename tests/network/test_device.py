"""A job that holds a GPU and cannot use it says so."""

import logging

import numpy as np
import pytest
import torch

from skydenoise.network.device import cuda_usable, to_numpy


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
