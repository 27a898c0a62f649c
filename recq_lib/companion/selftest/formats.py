"""Every format that is read: how a file of it is made, and what its reader gives, as a value that can be compared."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numba
import numpy as np
import torch

from recq_lib.codes.codes import Codes
from recq_lib.codes.packing import pack
from recq_lib.companion import figure_store
from recq_lib.companion.notebook_tools import state
from recq_lib.companion.notebook_tools.end_table import OK, Row
from recq_lib.config import TrainConfig
from recq_lib.data.containers import read_npz, write_npz
from recq_lib.data.interactions import Interactions
from recq_lib.data.loading import load
from recq_lib.kernels import compiled
from recq_lib.parts.model import Recommender
from recq_lib.runs import keeping, rebuildable
from recq_lib.runs import store as results
from recq_lib.runs.records import RunRecord, RunSpec
from recq_lib.runs.registry import build
from recq_lib.sharing import store as sharings
from recq_lib.sharing.sharing import Sharing
from recq_lib.training import checkpoint as checkpoints
from recq_lib.training.trainer import Trainer


@dataclass(frozen=True)
class Format:
    """`make(folder)` gives the path of a good file below `folder`; `read(path)` what is in it, None where it counts as absent."""

    name: str
    make: Callable[[Path], Path]
    read: Callable[[Path], Any]


_SPEC = RunSpec("lightgcn", "synthetic-tiny", 0, "smoke", {"dim": 8, "lr": 1e-3}, "ab" * 32)


def _data() -> Interactions:
    return load("synthetic-tiny")


# ---- records ----------------------------------------------------------------------------------------------------------------


def _make_record(folder: Path) -> Path:
    users = np.arange(200)
    record = RunRecord(
        _SPEC,
        {"recall@20": 0.1 + 0.2, "ndcg@20": 1 / 3},
        {"users": users, "n_test": users % 7 + 1, "hits@20": users % 3},
        [{"epoch": epoch, "loss": 1 / (epoch + 1)} for epoch in range(20)],
        {"stored": 4096},
        {"train_seconds": 12.5},
        {"commit": "0" * 40, "dirty": False, "versions": {"numpy": "2.4.6"}},
    )
    return results.save(record)


def _read_record(_: Path) -> Any:
    record = results.load(_SPEC)
    arrays = {name: values.tobytes() for name, values in record.per_user.items()}
    return [record.metrics, record.history, record.n_bytes, record.timings, record.provenance, arrays]


# ---- training ---------------------------------------------------------------------------------------------------------------


def _make_checkpoint(folder: Path) -> Path:
    data, config = _data(), TrainConfig(dim=8, epochs=4, batch_size=128, eval_every=1, ks=(5,), select_metric="recall@5")
    trainer = Trainer(build("lightgcn", data, config), data, config)
    trainer.step_epoch()
    trainer.save(folder / "run.pt")
    return folder / "run.pt"


def _read_checkpoint(path: Path) -> Any:
    saved = checkpoints.load_or_set_aside(path)
    return None if saved is None else [saved.meta, _bytes(saved.tensors)]


def _make_kept(folder: Path) -> Path:
    tensors = {"table.weight": torch.arange(800, dtype=torch.float32).reshape(100, 8)}
    checkpoints.save(keeping.model_of(_SPEC), tensors, {"key": _SPEC.key, "code": []})
    return keeping.model_of(_SPEC)


def _read_kept(_: Path) -> Any:
    state = keeping.kept_state(_SPEC)
    return None if state is None else _bytes(state)


def _bytes(tensors: dict[str, torch.Tensor]) -> dict[str, Any]:
    return {name: (str(tensor.dtype), tuple(tensor.shape), tensor.numpy().tobytes()) for name, tensor in tensors.items()}


_CODES = [{"commit": "0" * 40, "dirty": False, "library": "1" * 64}, {"commit": "2" * 40, "dirty": True, "library": "3" * 64}]


def _make_note(folder: Path) -> Path:
    (folder / "run.pt").write_bytes(b"")
    for code in _CODES:
        rebuildable.behind_checkpoint(folder / "run.pt", code)
    return folder / "run.json"


def _read_note(path: Path) -> Any:
    checkpoint = path.with_suffix(".pt")
    checkpoint.write_bytes(b"")
    codes = rebuildable.behind_checkpoint(checkpoint, _CODES[1])
    return codes if checkpoint.exists() else None


# ---- shared rows ------------------------------------------------------------------------------------------------------------


def _found() -> Sharing:
    data = _data()
    return Sharing(np.arange(data.n_users) % 9, np.arange(data.n_items) % 7, 9, 7, user_ids=[f"user {n}" for n in range(data.n_users)])


def _make_stored(folder: Path) -> Path:
    sharings.kept(_found, _data(), "selftest", 8, {})
    return sharings.path_of(_data(), "selftest", 8, {}, _found)


def _read_stored(_: Path) -> Any:
    return _rows(sharings.kept(_found, _data(), "selftest", 8, {}))  # a damaged file is found anew


def _make_sharing(folder: Path) -> Path:
    return _found().save(folder / "rows.npz")


def _rows(sharing: Sharing) -> Any:
    ids = None if sharing.user_ids is None else sharing.user_ids.tolist()
    return [sharing.users.tolist(), sharing.items.tolist(), sharing.n_rows, sharing.combine, sharing.found.as_json(), ids]


# ---- the companion's ----------------------------------------------------------------------------------------------------------


def _make_manifest(folder: Path) -> Path:
    for n in range(4):
        entry = figure_store.entry_of("quick", f"dataset {n}", "the protocol of a paper" if n % 2 else "")
        figure_store.save(folder, f"01_notebook/figure_{n}", {"png": b"png", "pdf": b"pdf"}, entry)
    return folder / figure_store.MANIFEST


def _make_state(folder: Path) -> Path:
    for name in ("01_one", "02_two"):
        row = Row(name, "lastfm", 12.5, 800.0, OK, [f"{name}/figure"], [], [])
        state.update(folder, [name], {name: state.Entry({"library": "1" * 64, "cells": "2" * 64}, row)})
    return folder / state.FILE


def _read_state(path: Path) -> Any:
    """What of it is left; an entry that is missing makes its notebook run again."""
    found, whole = state.load(path.parent), {"01_one", "02_two"}
    return {name: dataclasses.asdict(entry) for name, entry in found.items()} if found.keys() == whole else _wrong_or_none(found)


def _wrong_or_none(found: dict[str, state.Entry]) -> Any:
    good = all(entry.row.seconds == 12.5 and entry.row.source == "lastfm" and entry.row.notebook == name for name, entry in found.items())
    return None if good else "wrong"


# ---- kernels, data, codes, models -----------------------------------------------------------------------------------------------


def _kernel(n: int) -> int:
    total = 0
    for i in range(n):
        total += i * i
    return total


def _make_kernel(suffix: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        _run_kernel(folder)
        return next(folder.glob(f"*.{suffix}"))

    return make


def _run_kernel(folder: Path) -> int:
    dispatcher = numba.njit(nogil=True)(_kernel)
    dispatcher._cache = compiled._Cache(_kernel, folder)
    return int(dispatcher(1000))


def _make_dataset(folder: Path) -> Path:
    write_npz(folder / "data.npz", _data())
    return folder / "data.npz"


def _make_codes(folder: Path) -> Path:
    vectors = np.random.default_rng(0).standard_normal((50, 16)).astype(np.float32)
    pack(vectors[:20], vectors[20:]).save(folder / "codes.recq")
    return folder / "codes.recq"


def _make_model(folder: Path) -> Path:
    return build("lightgcn", _data(), TrainConfig(dim=8)).save(folder / "model.safetensors")


def _read_model(path: Path) -> Any:
    model = Recommender.load(path)
    return [_bytes(dict(model.state_dict())), [vectors.numpy().tobytes() for vectors in model.embeddings()], repr(model.config)]


FORMATS = (
    Format("record", _make_record, _read_record),
    Format("arrays of a record", lambda folder: _make_record(folder).with_suffix(".npz"), _read_record),
    Format("checkpoint", _make_checkpoint, _read_checkpoint),
    Format("kept teacher", _make_kept, _read_kept),
    Format("note of code", _make_note, _read_note),
    Format("stored rows", _make_stored, _read_stored),
    Format("rows of a user", _make_sharing, lambda path: _rows(Sharing.load(path))),
    Format("manifest of figures", _make_manifest, lambda path: figure_store.read_manifest(path.parent)),
    Format("state of the runner", _make_state, _read_state),
    Format("index of a kernel", _make_kernel("nbi"), lambda path: _run_kernel(path.parent)),
    Format("code of a kernel", _make_kernel("nbc"), lambda path: _run_kernel(path.parent)),
    Format("dataset", _make_dataset, lambda path: read_npz(path).fingerprint),
    Format("codes", _make_codes, Codes.load),
    Format("model", _make_model, _read_model),
)
