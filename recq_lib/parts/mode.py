"""`evaluating`: a model looked at as it is when it is searched, in the middle of training or after it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """`model` and its parts in evaluation mode inside `with`, and then in the mode of before, also where an error ends it."""
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)
