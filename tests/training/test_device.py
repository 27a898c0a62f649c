from __future__ import annotations

import pytest
import torch

from recq_lib.errors import ConfigError
from recq_lib.training.device import usable_device


def test_what_can_compute_is_taken():
    assert usable_device("cpu") == "cpu"
    assert usable_device(None) == ("cuda" if torch.cuda.is_available() else "cpu")


def test_names_that_are_no_device():
    for name in ("banana", "", "cpu:x"):
        with pytest.raises(ConfigError, match="which PyTorch does not know; choose cpu"):
            usable_device(name)


def test_device_that_does_not_compute(monkeypatch):
    def refuse(*_, device, **__):
        raise AssertionError("Torch not compiled with CUDA enabled\nmore")

    monkeypatch.setattr(torch, "ones", refuse)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    text = r"^device is 'cuda:7', which cannot be used here \(Torch not compiled with CUDA enabled\); choose cpu or cuda:0 or cuda:1$"
    with pytest.raises(ConfigError, match=text):
        usable_device("cuda:7")


def test_torch_devices_are_taken_as_well():
    assert usable_device(torch.device("cpu")) == "cpu"
    with pytest.raises(ConfigError, match="device is 'meta', which cannot be used here"):
        usable_device(torch.device("meta"))
