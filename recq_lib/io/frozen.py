"""Values that stay as they are: arrays that nobody can write to, and dicts that refuse changes (ours)."""

from __future__ import annotations

import numpy as np


def fixed(values: np.ndarray) -> np.ndarray:
    """`values` where neither it nor an array that it is a view of can be written to; else a read-only copy.

    So what was made read-only on purpose is not copied again, and a view of somebody's array is.
    """
    link = values
    while isinstance(link, np.ndarray) and not link.flags.writeable:
        link = link.base
    if link is None:
        return values
    copy = values.copy()
    copy.setflags(write=False)
    return copy


class FrozenDict(dict):
    """A dict that cannot be changed: settings that name a run, or that a whole process shares.

    >>> settings = FrozenDict(gamma=1.0)
    >>> settings["gamma"], {**settings, "gamma": 2.0}
    (1.0, {'gamma': 2.0})
    """

    def _refuse(self, *_: object, **__: object) -> None:
        raise TypeError("these settings cannot be changed; make others with dataclasses.replace")

    __setitem__ = __delitem__ = __ior__ = update = setdefault = pop = popitem = clear = _refuse  # type: ignore[assignment]

    def __reduce__(self) -> tuple:
        return type(self), (dict(self),)
