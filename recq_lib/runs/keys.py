"""Which settings a record's key spells out, so that a setting added later leaves every key as it was (ours).

A key is a hash of a run's parameters. The settings that existed when the first records were made are spelled out always, at their default
too: their keys are the names of files. A setting added since is left out while it has its default, so it changes no key, and a record that
does not name it was made with the default. Hence two rules, kept by tests: the names below are frozen, and the default of a setting that
is not among them may never change (give a new behaviour a new name).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from recq_lib.config import OPTION, TrainConfig

# training settings of the first records
_SETTINGS = """dim n_layers readout init_std lr batch_size l2 weight_decay sampling negatives epochs eval_every patience select_metric
    select_on mask_at_selection ks"""
SETTINGS = frozenset(_SETTINGS.split())

# methods -> their own options at that time
_OPTIONS = {
    "lightgcn mf":
        "",
    "l2q-gcn":
        "estimator scaler weighted layers warm_start teacher_epochs teacher_lr",
    "l2q-gcn-anl":
        "estimator scaler weighted layers warm_start teacher_epochs teacher_lr schedule start end hold span "
        "relaxation",
    "bigear":
        "estimator scaler weighted layers teacher_epochs teacher_lr gamma top weight",
    "ptq-sign":
        "teacher_epochs teacher_lr scaler weighted layers",
    "lsh":
        "teacher_epochs teacher_lr bits",
    "hashnet hashrec":
        "schedule start end hold span",
    "gumbelrec":
        "schedule start end hold span gain",
    "hashgnn-hard hashgnn-soft":
        "schedule start end hold span link_weight",
    "bgch":
        "terms dispersion",
    "bgch-plus":
        "terms rate",
    "ngcf":
        "dropout",
    "hq-gnn":
        "encoder dropout bits bounds estimator trace samples refresh scale_lr warm warm_start teacher_epochs "
        "teacher_lr",
    "ptq-bits":
        "encoder dropout bits bounds teacher_epochs teacher_lr",
    "baco":
        "ratio cluster_seed gamma scu user_weight item_weight ghost sweeps tolerance",
    "random-hash frequency-hash legcf":
        "ratio",
    "double-hash hybrid-hash lsh-hash":
        "ratio fair",
    "graphhash doublegraphhash":
        "ratio resolution",
    "lp ebmd scc sbc itcc":
        "ratio cluster_seed",
    "leiden":
        "ratio resolution cluster_seed",
    "infomap bimlpa brim":
        "cluster_seed",
    "cce":
        "ratio normal_start",
}  # fmt: skip
OPTIONS: dict[str, frozenset[str]] = {method: frozenset(names.split()) for methods, names in _OPTIONS.items() for method in methods.split()}


def key_params(method: str, config: TrainConfig, defaults: Mapping[str, Any]) -> dict[str, Any]:
    """`config.params()` without the settings that were added since and have their default.

    Parameters
    ----------
    method : its name
    config : with every option of the method (`registry.resolve`)
    defaults : the method's options and their defaults
    """
    spelled_out = OPTIONS.get(method, frozenset())
    fields = {field.name: field.default for field in dataclasses.fields(config)}
    usual = {name: value for name, value in fields.items() if name not in SETTINGS}
    usual |= {OPTION + name: value for name, value in defaults.items() if name not in spelled_out}
    return {name: value for name, value in config.params().items() if name not in usual or not _same(value, usual[name])}


def _same(value: Any, default: Any) -> bool:
    """1, 1.0 and True are three values to a record."""
    if isinstance(default, tuple):
        return isinstance(value, (list, tuple)) and list(value) == list(default)
    return type(value) is type(default) and value == default
