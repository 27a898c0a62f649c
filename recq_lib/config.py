"""`TrainConfig`: everything that decides a training run, with the reason beside each field, and the papers' protocols."""

from __future__ import annotations

import dataclasses
import numbers
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from recq_lib.errors import ConfigError, number, one_of, whole
from recq_lib.io.frozen import FrozenDict

READOUTS = ("mean", "concat", "last")
CONVENTIONS = ("per_interaction", "per_user", "uniform_user")  # what an epoch is; see `training.sampling`
NEGATIVES = ("unobserved", "uniform", "in_batch")
LOSSES = ("bpr", "softmax")
DECAYS = ("none", "linear")
STARTS = ("normal", "spectral", "rotated")
SELECTIONS = ("val", "test", "none")
PROFILES = ("paper", "quick", "smoke")  # sizes of a run, best first
METRICS = ("recall", "recall_min", "precision", "ndcg", "ndcg_authors")
OPTION = "option."  # how a record names a method's own settings
_LEAST = {"dim": 1, "n_layers": 0, "batch_size": 1, "epochs": 1, "eval_every": 1, "patience": 0, "seed": 0}  # whole numbers


@dataclass(frozen=True)
class TrainConfig:
    """Hyper-parameters of one run; `dataclasses.replace(config, …)` makes variants. Raises `ConfigError` on unusable values.

    >>> import recq_lib as recq
    >>> recq.TrainConfig(dim=32, epochs=10).lr
    0.001
    >>> recq.TrainConfig(dim=0)
    Traceback (most recent call last):
    ...
    recq_lib.errors.ConfigError: dim is 0, but must be a whole number of at least 1
    """

    # model
    dim: int = 64  # width d of the table
    n_layers: int = 3  # propagation depth L; ignored by MF
    readout: str = "mean"  # "mean" (LightGCN), "concat" with w_l (L²Q-GCN family), "last"
    init_std: float = 0.1  # std of the table's normal initialisation

    # optimisation
    lr: float = 1e-3  # Adam; all three papers use it without decay
    batch_size: int = 2048  # triples per step
    l2: float = 1e-4  # λ of ½λΣ‖e‖²/B over the batch's layer-0 rows
    weight_decay: float = 0.0  # Adam's own L2 on all parameters (BACO: 1e-8)
    sampling: str = "uniform_user"  # what an epoch is: "uniform_user" (LightGCN), "per_user" (L²Q-GCN family), "per_interaction" (BACO)
    # "unobserved"; "uniform": positives may be drawn as negatives (BACO); "in_batch": the positive of the batch's triple before
    negatives: str = "unobserved"

    # length and selection
    epochs: int = 1000  # upper bound
    eval_every: int = 10  # epochs between evaluations; epoch 0 is evaluated too
    patience: int = 5  # evaluations without improvement before stopping; 0 never stops
    select_metric: str = "recall@20"  # decides the epoch that is kept; recall, recall_min, precision, ndcg or ndcg_authors, at any K
    # "val"; "test": the authors' protocol of L²Q-GCN's family, named so in every record; "none": no evaluation, the last epoch is kept
    select_on: str = "val"
    mask_at_selection: tuple[str, ...] = ("train",)  # splits (train, val, test) whose items are never recommended while validating
    ks: tuple[int, ...] = (10, 20, 50)  # cutoffs of the final evaluation; the largest defines ndcg_authors
    seed: int = 0  # table, triples; ties have their own fixed seed

    # settings since the first records; at their defaults they change no record's key (`runs.keys`)
    loss: str = "bpr"  # "bpr", or "softmax": over the batch's items, as `training.objectives` says (the fast recipe, ours)
    temperature: float = 0.1  # τ of the softmax; BPR has none
    lr_decay: str = "none"  # "linear": falls to 0 over all steps of `epochs`
    # the table's: N(0, init_std²); "spectral": singular vectors of the training matrix; "rotated": these in a random basis (`parts.start`)
    start: str = "normal"

    options: Mapping[str, Any] = field(default_factory=dict, hash=False)  # what only this method has, read-only; see `runs.registry`

    def __post_init__(self) -> None:
        one_of("readout", self.readout, READOUTS)
        one_of("sampling", self.sampling, CONVENTIONS)
        one_of("negatives", self.negatives, NEGATIVES)
        one_of("select_on", self.select_on, SELECTIONS)
        one_of("loss", self.loss, LOSSES)
        one_of("lr_decay", self.lr_decay, DECAYS)
        one_of("start", self.start, STARTS)
        for name, least in _LEAST.items():
            object.__setattr__(self, name, whole(name, getattr(self, name), least))
        if isinstance(self.lr, numbers.Real) and self.lr <= 0:
            raise ConfigError(f"lr is {self.lr}, but must be positive")
        if isinstance(self.temperature, numbers.Real) and self.temperature <= 0:
            raise ConfigError(f"temperature is {self.temperature}, but must be positive")
        for name in ("init_std", "lr", "l2", "weight_decay", "temperature"):
            given, value = getattr(self, name), number(name, getattr(self, name), 0)
            object.__setattr__(self, name, given if type(given) is int else value)  # 0 and 0.0 have two keys
        if self.loss == "softmax" and self.batch_size < 2:
            raise ConfigError(f"batch_size is {self.batch_size}, but loss 'softmax' compares the items of a batch; take 2 or more")
        if self.seed >= 2**63:
            raise ConfigError(f"seed is {self.seed}, but must be below 2**63")
        object.__setattr__(self, "ks", _cutoffs(self.ks))
        object.__setattr__(self, "mask_at_selection", _splits(self.mask_at_selection))
        metric, _, k = self.select_metric.partition("@") if isinstance(self.select_metric, str) else ("", "", "")
        if metric not in METRICS or not (k.isascii() and k.isdigit() and int(k) >= 1):
            rule = f"one of {', '.join(METRICS)}, and a K of 1 or more"
            raise ConfigError(f"select_metric is {self.select_metric!r}, but must be like 'recall@20': {rule}")
        if not isinstance(self.options, Mapping) or not all(isinstance(name, str) for name in self.options):
            raise ConfigError(f"options is {self.options!r}, but must be a dict of a method's own settings by name, or {{}}")
        object.__setattr__(self, "options", FrozenDict(self.options))

    def params(self) -> dict[str, Any]:
        """Plain types for a record; the seed has its own place there."""
        values = dataclasses.asdict(self)
        values.pop("seed")
        options = {OPTION + name: value for name, value in values.pop("options").items()}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in (values | options).items()}

    @classmethod
    def from_params(cls, params: dict[str, Any], seed: int) -> TrainConfig:
        """Inverse of `params`; unknown names raise `ConfigError`."""
        known = {f.name for f in dataclasses.fields(cls)}
        plain = {name: tuple(v) if isinstance(v, list) else v for name, v in params.items()}
        options = {name.removeprefix(OPTION): plain.pop(name) for name in list(plain) if name.startswith(OPTION)}
        for name in plain:
            one_of("hyper-parameter", name, sorted(known))
        return cls(**plain, seed=seed, options=options)


def _cutoffs(ks: object) -> tuple[int, ...]:
    """Distinct cutoffs, rising."""
    if isinstance(ks, str) or not isinstance(ks, Iterable):
        raise ConfigError(f"ks is {ks!r}, but must be a tuple of cutoffs such as (10, 20)")
    ks = tuple(ks)
    if not ks:
        raise ConfigError("ks is (), but needs at least one cutoff of 1 or more")
    return tuple(sorted({whole("a cutoff in ks", k, 1) for k in ks}))


def _splits(names: object) -> tuple[str, ...]:
    names = names if isinstance(names, str) or not isinstance(names, Iterable) else tuple(names)
    if not isinstance(names, tuple) or any(name not in ("train", "val", "test") for name in names):
        raise ConfigError(f"mask_at_selection is {names!r}, but must be a tuple of split names such as ('train',)")
    return names


PROTOCOLS: dict[str, TrainConfig] = {
    # He et al. 2020 and LightGCN-PyTorch, with a validation split for choosing instead of the test set
    "lightgcn": TrainConfig(),
    # NGCF's published command for Gowalla (official code), chosen on validation
    "ngcf": TrainConfig(lr=1e-4, batch_size=1024, l2=1e-5, epochs=400),
    # official BACO code: per-interaction epochs, uniform negatives, N(0, 1) start, two layers, every 10 epochs, stop after 50
    "baco": TrainConfig(
        n_layers=2, init_std=1.0, batch_size=1024, l2=0.0, weight_decay=1e-8, sampling="per_interaction", negatives="uniform",
        select_metric="recall_min@20",
    ),
    # official BiGeaR code, the nearest public relative of L²Q-GCN: concatenated layers, chosen on the test set by its authors
    "l2q-authors": TrainConfig(
        dim=256, n_layers=2, readout="concat", sampling="per_user", epochs=100, eval_every=1, patience=0, select_on="test",
        ks=(20, 40, 60, 80, 100),
    ),
    # the same model and optimiser, chosen on a validation split
    "l2q": TrainConfig(
        dim=256, n_layers=2, readout="concat", sampling="per_user", epochs=100, eval_every=2, patience=10, ks=(20, 40, 60, 80, 100),
    ),
    # ours, for short trainings: what the papers' protocols need hundreds of epochs for, in minutes (README, "The fast recipe")
    "fast": TrainConfig(
        lr=5e-3, sampling="per_interaction", negatives="in_batch", epochs=10, eval_every=1, patience=0,
        loss="softmax", temperature=0.13, lr_decay="linear", start="spectral",
    ),
}  # fmt: skip


def protocol(name: str, **changes: Any) -> TrainConfig:
    """A named protocol with some fields changed."""
    config = PROTOCOLS[one_of("protocol", name, tuple(PROTOCOLS))]
    for name_of_field in changes:
        one_of("hyper-parameter", name_of_field, [f.name for f in dataclasses.fields(TrainConfig)])
    return dataclasses.replace(config, **changes)
