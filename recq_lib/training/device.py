"""Which device training uses, found out before any work."""

from __future__ import annotations

import torch

from recq_lib.errors import ConfigError


def default_device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


def usable_device(name: str | torch.device | None) -> str:
    """`name` ("cpu", "cuda", "cuda:1"), if PyTorch can compute on it here; None: `default_device()`.

    Raises `ConfigError` for a name that is no device and for a device that is not there.
    """
    if name is None:
        return default_device()
    name = str(name)
    here = " or ".join(["cpu", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))])
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ConfigError(f"device is {name!r}, which PyTorch does not know; choose {here}") from None
    try:
        torch.ones(1, device=device).add(1).item()
    except (RuntimeError, AssertionError, NotImplementedError) as error:  # an AssertionError from a PyTorch without CUDA
        reason = str(error).strip().splitlines()[0].rstrip(".")
        raise ConfigError(f"device is {name!r}, which cannot be used here ({reason}); choose {here}") from None
    return name
