"""What a run is and what came out of it: `RunSpec` names a run by its content, `RunRecord` holds its results (ours).

Both are checked when they are made, so that whatever exists can be written to disk and read back exactly; `store.py` does that.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from recq_lib.config import PROFILES
from recq_lib.errors import ConfigError, RecordError, one_of
from recq_lib.io.canonical import canonical_json
from recq_lib.io.frozen import FrozenDict

SPEC_FIELDS = ("method", "dataset", "seed", "profile", "params", "data_fingerprint")
Param = bool | int | float | str | None | tuple
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}")  # a folder name on every system
_PARAM = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_ARRAY = re.compile(r"[A-Za-z][A-Za-z0-9_@.-]*")


@dataclass(frozen=True, eq=False)
class RunSpec:
    """What was run. Two specs are equal exactly when their canonical JSON is, so the order of `params` does not matter.

    method, dataset : letters, digits and . _ + - (they name folders); seed : integer ≥ 0; profile : "paper", "quick" or "smoke"
    params : finite numbers, strings, booleans, None, and flat lists of these (kept as tuples). Types count: 1, 1.0 and True are three
        different values, because JSON keeps them apart and a method may too. −0.0 is stored as 0.0. NumPy integers and booleans become
        Python's; NumPy floats other than float64 are refused, since float32(0.1) is not 0.1.
    data_fingerprint : `Interactions.fingerprint` of the data used

    Raises `ConfigError` naming the field, its value and the rule.
    """

    method: str
    dataset: str
    seed: int
    profile: str
    params: Mapping[str, Param] = field(default_factory=dict)
    data_fingerprint: str = ""

    def __post_init__(self) -> None:
        for name in ("method", "dataset"):
            value = getattr(self, name)
            if not isinstance(value, str) or not _NAME.fullmatch(value):
                raise ConfigError(f"{name} is {value!r}; use up to 64 letters, digits and . _ + -, first a letter or digit")
        seed = int(self.seed) if isinstance(self.seed, np.integer) else self.seed
        if type(seed) is not int or seed < 0:
            raise ConfigError(f"seed is {self.seed!r}; it must be an integer of at least 0")
        one_of("profile", self.profile, PROFILES)
        if not isinstance(self.data_fingerprint, str) or not self.data_fingerprint:
            raise ConfigError(f"data_fingerprint is {self.data_fingerprint!r}; pass Interactions.fingerprint of the data of this run")
        if not isinstance(self.params, Mapping):
            raise ConfigError(f"params is {type(self.params).__name__}; it must be a dict of scalars, flat lists and None")
        object.__setattr__(self, "seed", seed)
        object.__setattr__(self, "params", FrozenDict({name: clean_param(name, value) for name, value in self.params.items()}))

    def as_dict(self) -> dict[str, object]:
        """The spec as a plain dict that `RunSpec(**…)` takes back."""
        return {**{name: getattr(self, name) for name in SPEC_FIELDS}, "params": dict(self.params)}

    @property
    def canonical(self) -> str:
        """JSON with sorted keys, no white space and floats as `repr` writes them: equal specs, equal text on every machine."""
        return canonical_json(self.as_dict())

    @property
    def key(self) -> str:
        """First 16 hex digits of the SHA-256 of `canonical`."""
        return hashlib.sha256(self.canonical.encode()).hexdigest()[:16]

    @property
    def setting(self) -> str:
        """Canonical JSON of everything but seed and data: runs with one setting are repetitions of each other."""
        return canonical_json([self.method, self.dataset, self.profile, dict(self.params)])

    def __eq__(self, other: object) -> bool:
        return self.canonical == other.canonical if isinstance(other, RunSpec) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.canonical)


@dataclass(frozen=True, eq=False)
class RunRecord:
    """What came out of a run.

    metrics : "recall@20" → fraction; finite, and not named like a spec field
    per_user : name → array of shape (n_test_users,): "users" (ids), "n_test", "hits@20", …; booleans, integers or floats, equal lengths
    history : one dict per epoch of numbers, strings, None; n_bytes : part → bytes; timings : part → seconds
    provenance : `provenance.collect`

    NumPy numbers become Python's. Raises `RecordError` for anything that could not be read back exactly as it is (nan, inf, objects).
    """

    spec: RunSpec
    metrics: Mapping[str, float]
    per_user: Mapping[str, np.ndarray] = field(default_factory=dict)
    history: Sequence[Mapping[str, object]] = ()
    n_bytes: Mapping[str, int] = field(default_factory=dict)
    timings: Mapping[str, float] = field(default_factory=dict)
    provenance: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if clash := set(self.metrics) & {*SPEC_FIELDS, "key"}:
            raise RecordError(f"metric {sorted(clash)[0]!r} has the name of a spec field; give it another name")
        for part, kinds in (("metrics", (int, float)), ("n_bytes", (int,)), ("timings", (int, float))):
            values = _plain(dict(getattr(self, part)), part)
            for name, value in values.items():
                if type(value) not in kinds:
                    raise RecordError(f"{part}[{name!r}] is {value!r}; it must be {'an integer' if kinds == (int,) else 'a number'}")
            object.__setattr__(self, part, values)
        object.__setattr__(self, "history", [_plain(dict(row), f"history[{i}]") for i, row in enumerate(self.history)])
        object.__setattr__(self, "provenance", _plain(dict(self.provenance), "provenance"))
        object.__setattr__(self, "per_user", {name: _array(name, values) for name, values in self.per_user.items()})
        if len({len(values) for values in self.per_user.values()}) > 1:
            lengths = {name: len(values) for name, values in self.per_user.items()}
            raise RecordError(f"per_user arrays have lengths {lengths}; all must have one entry per test user")


def clean_param(name: object, value: object) -> Param:
    """A hyper-parameter in its stored form; raises `ConfigError` for what JSON cannot keep apart or exactly."""
    if not isinstance(name, str) or not _PARAM.fullmatch(name):
        raise ConfigError(f"parameter name {name!r} is not usable; take letters, digits and _ . -, first a letter or _")
    if isinstance(value, (list, tuple)):
        return tuple(_scalar(f"{name}[{i}]", entry) for i, entry in enumerate(value))
    return _scalar(name, value)


def _scalar(name: str, value: object) -> bool | int | float | str | None:
    if isinstance(value, (np.bool_, np.integer, np.float64)):
        value = value.item()
    if value is not None and type(value) not in (bool, int, float, str):
        raise ConfigError(f"parameter {name} is {value!r} ({type(value).__name__}); use int, float, str, bool, None or a flat list")
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ConfigError(f"parameter {name} is {value}; it must be finite, or None for 'not set'")
        return value + 0.0  # -0.0 becomes 0.0
    return value


def _plain(value: object, where: str) -> object:
    """`value` with NumPy numbers as Python's and tuples as lists, checked for an exact trip through JSON."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        raise RecordError(f"{where} is {value}; a record holds finite numbers, and None for what does not exist")
    if isinstance(value, Mapping):
        for name in value:
            if not isinstance(name, str):
                raise RecordError(f"{where} has the key {name!r}; keys must be strings")
        return {name: _plain(entry, f"{where}[{name!r}]") for name, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(entry, f"{where}[{i}]") for i, entry in enumerate(value)]
    if value is None or type(value) in (bool, int, float, str):
        return value
    raise RecordError(f"{where} is a {type(value).__name__}; a record holds numbers, strings, booleans, None, lists and dicts")


def _array(name: str, values: object) -> np.ndarray:
    """A read-only copy: integers as int64, so that differences cannot wrap around; floats and booleans as they are."""
    if not isinstance(name, str) or not _ARRAY.fullmatch(name):
        raise RecordError(f"per-user array name {name!r} is not usable; take letters, digits and _ @ . -, first a letter")
    array = np.asarray(values)
    if array.ndim != 1 or array.dtype.kind not in "biuf" or array.dtype.itemsize > 8:
        raise RecordError(f"per_user[{name!r}] has shape {array.shape} and dtype {array.dtype}; it must be a flat array of numbers")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise RecordError(f"per_user[{name!r}] holds nan or inf; keep only users who were measured")
    if array.dtype.kind == "u" and array.size and int(array.max()) > np.iinfo(np.int64).max:
        raise RecordError(f"per_user[{name!r}] holds {array.max()}; integers must fit int64")
    array = array.astype(np.int64 if array.dtype.kind in "iu" else array.dtype.newbyteorder("="))
    array.setflags(write=False)
    return array
