"""A job that holds a GPU and cannot use it says so."""

import logging

import pytest
import torch

from skydenoise.device import cuda_usable


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
