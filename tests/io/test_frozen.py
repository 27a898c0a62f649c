"""Arrays and dicts that nobody can change."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

from recq_lib.io.frozen import FrozenDict, fixed


def test_an_array_that_somebody_can_write_to_is_copied():
    own = np.arange(6)
    view = own[:]
    view.setflags(write=False)  # but `own` still writes to it
    for values in (own, view, np.frombuffer(bytearray(8), np.uint8)):
        again = fixed(values)
        assert not again.flags.writeable and not np.shares_memory(again, values) and np.array_equal(again, values)


def test_an_array_that_nobody_can_write_to_is_kept():
    own = np.arange(6)
    own.setflags(write=False)
    assert fixed(own) is own
    view = own.reshape(2, 3)
    assert fixed(view) is view


def test_a_frozen_dict_refuses_every_change_and_copies():
    settings = FrozenDict(a=1)
    for change in (
        lambda: settings.__setitem__("a", 2), lambda: settings.pop("a"), lambda: settings.update(a=2), settings.clear,
        lambda: settings.setdefault("b", 2), settings.popitem, lambda: settings.__delitem__("a"), lambda: settings.__ior__({"b": 1}),
    ):  # fmt: skip
        with pytest.raises(TypeError, match="cannot be changed"):
            change()
    assert settings == {"a": 1}
    for twin in (copy.copy(settings), copy.deepcopy(settings), pickle.loads(pickle.dumps(settings))):
        assert type(twin) is FrozenDict and twin == settings
    assert type(settings | {"b": 2}) is dict
