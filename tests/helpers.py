"""Small data and slow, obvious re-implementations that the tests compare against."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch

from recq_lib.config import protocol
from recq_lib.data.interactions import Interactions
from recq_lib.runs.records import RunRecord, RunSpec
from recq_lib.runs.registry import resolve
from recq_lib.training.trainer import fit


def random_interactions(n_users=40, n_items=30, n_pairs=300, seed=0, *, val=0, test=60, name="random") -> Interactions:
    """Distinct random pairs cut into train, val and test; every user may or may not occur in each."""
    rng = np.random.default_rng(seed)
    keys = rng.choice(n_users * n_items, n_pairs, replace=False)
    users, items = np.divmod(keys, n_items)

    def part(a, b):
        return users[a:b], items[a:b]

    return Interactions.from_pairs(
        part(val + test, n_pairs), part(0, test), part(test, test + val) if val else None, n_users=n_users, n_items=n_items, name=name
    )


def write_lightgcn(path: Path, pairs: tuple[np.ndarray, np.ndarray], n_users: int | None = None) -> None:
    """(users, items) as LightGCN text, one line per user in order; users below `n_users` without items get a bare line."""
    users, items = (np.asarray(side).tolist() for side in pairs)
    rows: dict[int, list[int]] = {user: [] for user in range(max(users, default=-1) + 1 if n_users is None else n_users)}
    for user, item in sorted(zip(users, items, strict=True)):
        rows[user].append(item)
    path.write_text("".join(" ".join(map(str, [user, *its])) + "\n" for user, its in rows.items()), encoding="ascii")


def dense_normalised(data: Interactions) -> np.ndarray:
    """D^-1/2 A D^-1/2 by loops over pairs, float64."""
    n = data.n_users + data.n_items
    adjacency = np.zeros((n, n))
    for user, item in zip(*data.pairs("train"), strict=True):
        adjacency[user, data.n_users + item] = adjacency[data.n_users + item, user] = 1.0
    degree = adjacency.sum(axis=1)
    out = np.zeros_like(adjacency)
    for i in range(n):
        for j in range(n):
            if adjacency[i, j]:
                out[i, j] = 1.0 / np.sqrt(degree[i] * degree[j])
    return out


def naive_ranking(scores: np.ndarray, banned: set[int], k: int, position_of: np.ndarray) -> list[int]:
    """Sort all allowed items by (score descending, position ascending)."""
    allowed = [item for item in range(scores.size) if item not in banned]
    allowed.sort(key=lambda item: (-scores[item], position_of[item]))
    return allowed[:k]


class Killed(Exception):
    """Stands for whatever ends a process in the middle of a run."""


def check_resumed_run(model_of, data: Interactions, config, path: Path, killed_after: int) -> None:
    """A run killed after an epoch and resumed from `path` is, bit for bit, the run that was not; `model_of()` builds the model anew."""

    def kill(trainer):
        if trainer.epoch == killed_after:
            raise Killed

    whole, resumed = model_of(), model_of()
    expected = fit(whole, data, config)
    with pytest.raises(Killed):
        fit(model_of(), data, config, checkpoint=path, checkpoint_seconds=0, on_epoch=kill)
    torch.randn(100)  # another random state must not matter
    got = fit(resumed, data, config, checkpoint=path, checkpoint_seconds=0)
    assert got.history == expected.history
    assert (got.best_epoch, got.best_value) == (expected.best_epoch, expected.best_value)
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[name]), name
    for a, b in zip(whole.embeddings(), resumed.embeddings(), strict=True):
        assert torch.equal(a, b)
    assert torch.equal(whole.table(), resumed.table())


def baco_record(method, seed=0, *, dataset="beauty", recall=0.06, config=None, **options) -> RunRecord:
    """A record made by hand, of BACO's protocol with these options of the method, or of another `config`."""
    params = resolve(method, protocol("baco", options=options) if config is None else config).params()
    return RunRecord(spec=RunSpec(method, dataset, seed, "paper", params, "f"), metrics={"recall_min@10": recall})


def git(folder: Path, *arguments: str) -> str:
    """What a git command says in `folder`, under a name of the tests' own."""
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    done = subprocess.run(["git", "-C", str(folder), *identity, *arguments], check=True, capture_output=True, text=True, env=environment)
    return done.stdout.strip()
