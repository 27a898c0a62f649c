"""The examples in the docstrings are true, and the names of the front door have two or more each."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import recq_lib.data as room
from recq_lib.data import Interactions, load

MODULES = sorted(module.name for module in pkgutil.iter_modules(room.__path__))


@pytest.mark.parametrize("module", MODULES)
def test_examples_hold(module, monkeypatch):
    monkeypatch.setenv("RECQ_OFFLINE", "1")
    monkeypatch.delenv("RECQ_DATA_DIR", raising=False)
    found = doctest.testmod(importlib.import_module(f"recq_lib.data.{module}"), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert found.failed == 0


FRONT = (Interactions, Interactions.from_pairs, Interactions.from_pandas, load)


@pytest.mark.parametrize("thing", FRONT, ids=lambda thing: thing.__qualname__)
def test_the_front_door_has_examples(thing):
    assert len(doctest.DocTestParser().get_examples(thing.__doc__)) >= 2
