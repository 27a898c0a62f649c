"""Models as files: what is read ranks as what was written, whatever the method; damaged and foreign files are refused in one line."""

from __future__ import annotations

import json
import math
from datetime import timedelta

import numpy as np
import pytest
import torch
from helpers import random_interactions
from safetensors import torch as safetensors

from recq_lib.codes.packing import pack
from recq_lib.config import TrainConfig
from recq_lib.data.splits import with_validation
from recq_lib.errors import ConfigError, RecordError
from recq_lib.graph.adjacency import Graph
from recq_lib.papers.baco.method import baco
from recq_lib.papers.l2q_gcn import LayerwiseSign
from recq_lib.parts.embedding import SharedEmbedding
from recq_lib.parts.encoders import LightGCN, NoPropagation
from recq_lib.parts.model import Recommender
from recq_lib.parts.protocols import Readout
from recq_lib.parts.readouts import MeanPool
from recq_lib.parts.tables import FullTable, SharedTable
from recq_lib.runs.registry import METHODS, build, method, resolve, teacher_of
from recq_lib.sharing.sharing import Sharing
from recq_lib.training.trainer import fit


@pytest.fixture(scope="module")
def data():
    return random_interactions(n_users=50, n_items=40, n_pairs=600, seed=3)


def made(name: str, data, config: TrainConfig | None = None) -> Recommender:
    if config is None:
        options = {"ratio": 0.5} if "ratio" in method(name).options else {}
        options |= {"gamma": 1.0} if name == "baco" else {}
        config = TrainConfig(dim=8, n_layers=2, options=options)
    teacher = teacher_of(name, config)
    return build(name, data, config, None if teacher is None else made(teacher[0], data, teacher[1]))


def same(a: Recommender, b: Recommender) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a.embeddings(), b.embeddings(), strict=True))


@pytest.mark.parametrize("name", [name for name, entry in METHODS.items() if entry.kind != "closed_form"])
def test_every_method_comes_back(data, name, tmp_path):
    model = made(name, data)
    with torch.no_grad():
        for parameter in model.parameters():  # away from the start, which reading could draw again
            parameter.add_(0.01)
    back = Recommender.load(model.save(tmp_path / "model.safetensors"))
    assert same(model, back) and not back.training
    assert back.n_bytes()["stored"] == model.n_bytes()["stored"] and back.n_bytes()["table"] == model.n_bytes()["table"]


def test_parts_put_together_by_hand_come_back(data, tmp_path):
    """BACO's rows under L²Q-GCN's readout: no method of that name is needed."""
    config = resolve("baco", TrainConfig(dim=8, options={"gamma": 1.0}))
    table = SharedTable(baco(data, config), 8)
    model = Recommender(Graph.from_interactions(data), table, LightGCN(2), LayerwiseSign(layers="all"))
    back = Recommender.load(model.save(tmp_path / "new folder" / "model"))
    assert same(model, back) and back.table.sharing.n_extra == table.sharing.n_extra
    assert (back.graph.interactions() != data.train).nnz == 0


def test_own_ids_come_back(data, tmp_path):
    model = made("mf", data)
    model.user_ids = np.array([f"kund·{u}" for u in range(50)], object)
    model.item_ids = np.arange(40) * 10**12
    back = Recommender.load(model.save(tmp_path / "m"))
    assert back.user_ids.tolist() == model.user_ids.tolist() and back.item_ids.tolist() == model.item_ids.tolist()
    assert back.item_ids.dtype == np.int64
    model.user_ids = np.array([np.datetime64("2020-01-01", "D").item() + timedelta(n) for n in range(50)], object)
    with pytest.raises(ConfigError, match="user_ids has dtype object of date, which cannot be written"):
        model.save(tmp_path / "m")


def test_reading_leaves_the_random_state_alone(data, tmp_path):
    path = made("hq-gnn", data).save(tmp_path / "m")
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    Recommender.load(path)
    assert torch.equal(torch.rand(3), expected)


class Halved(Readout):
    """A part of this file alone."""

    def __init__(self, inner: Readout, by: float = 2.0) -> None:
        super().__init__()
        self.inner, self.by = inner, by

    def forward(self, layers, rows=None):
        return self.inner(layers, rows) / self.by

    def n_bytes(self, n_nodes, dim, n_layers):
        return self.inner.n_bytes(n_nodes, dim, n_layers)


def model_with(readout: Readout, data) -> Recommender:
    return Recommender(Graph.from_interactions(data), FullTable(data.n_nodes, 4), NoPropagation(), readout)


def test_a_part_defined_elsewhere_comes_back(data, tmp_path):
    model = model_with(Halved(MeanPool(), by=3.0), data)
    back = Recommender.load(model.save(tmp_path / "m"))
    assert same(model, back) and back.readout.by == 3.0


@pytest.mark.parametrize(
    "by, what",
    [
        (object(), "a object"),
        (np.array(["a"]), "an array of <U1"),
        ({1: "x"}, "a dict with other keys than texts"),
    ],
)
def test_what_cannot_be_written_is_named(data, tmp_path, by, what):
    with pytest.raises(ConfigError, match=f"Halved was made from {what}, which cannot"):
        model_with(Halved(MeanPool(), by=by), data).save(tmp_path / "m")
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize("by", [math.inf, -math.inf, math.nan, np.float64("inf"), {"a": [1, (math.inf,)]}])
def test_numbers_that_json_lacks_come_back(data, tmp_path, by):
    again = Recommender.load(model_with(Halved(MeanPool(), by=by), data).save(tmp_path / "m")).readout.by
    assert repr(again) == repr(by.item() if isinstance(by, np.float64) else by)


def test_the_settings_come_back_and_training_goes_on(data, tmp_path):
    config = TrainConfig(dim=8, n_layers=1, epochs=1, eval_every=1, ks=(5, 10), select_metric="recall@10", seed=7)
    model = build("lightgcn", with_validation(data, fraction=0.2, seed=0), config)
    back = Recommender.load(model.save(tmp_path / "m"))
    assert back.config == model.config and back.config.ks == (5, 10)
    assert len(fit(back, with_validation(data, fraction=0.2, seed=0)).history) == 1
    helped = build("bgch", data, TrainConfig(dim=8))  # its loss has a part that is not in the file
    assert helped.auxiliary is not None and Recommender.load(helped.save(tmp_path / "m")).config is None
    assert Recommender.load(model_with(MeanPool(), data).save(tmp_path / "m")).config is None


def test_a_path_that_cannot_be_a_file_is_refused_by_every_save(data, tmp_path):
    rows = Sharing([0, 0], [0], 1, 1)
    (tmp_path / "file").write_text("")
    for thing in (made("mf", data), rows, SharedEmbedding(rows, 2), pack(np.ones((1, 2)), np.ones((1, 2)))):
        with pytest.raises(ConfigError, match="is a folder; give") as caught:
            thing.save(tmp_path)
        assert "\n" not in str(caught.value)
        with pytest.raises(ConfigError, match="leads through .*file, which is a file"):
            thing.save(tmp_path / "file" / "deeper" / "thing")
        assert thing.save(tmp_path / type(thing).__name__ / "new" / "thing").is_file()


# ---- damage -----------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def content(data, tmp_path_factory):
    return made("l2q-gcn", data).save(tmp_path_factory.mktemp("models") / "m").read_bytes()


def check_refused(path, content: bytes) -> str:
    path.write_bytes(content)
    with pytest.raises(RecordError) as error:
        Recommender.load(path)
    assert "\n" not in str(error.value) and str(path) in str(error.value)
    return str(error.value)


def test_every_flipped_bit_is_noticed(content, tmp_path, rng):
    places = np.unique(np.concatenate([np.arange(0, 1200, 7), rng.integers(0, len(content), 200)]))
    for place in places:
        bad = bytearray(content)
        bad[place] ^= 1 << int(rng.integers(8))
        check_refused(tmp_path / "m", bytes(bad))


def test_cut_files_are_refused(content, tmp_path):
    for length in (0, 1, 8, 100, len(content) // 2, len(content) - 1):
        check_refused(tmp_path / "m", content[:length])


def rewritten(content: bytes, change) -> bytes:
    """The file with a changed header and a digest that fits it, as an attacker would write it."""
    from recq_lib.parts.tensor_file import _digest

    tensors = safetensors.load(content)
    header = json.loads(json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])["__metadata__"]["recq.model"])
    change(header)
    text = json.dumps(header)
    return safetensors.save(tensors, {"recq.model": text, "sha256": _digest(text, tensors)})


def name_class(part: str, name: str):
    return lambda header: header["parts"][part].update({"class": name})


@pytest.mark.parametrize(
    "change, why",
    [
        (name_class("readout", "os:system"), "not defined in this process"),
        (name_class("readout", "recq_lib.runs.run:execute"), "no readout"),
        (name_class("readout", "recq_lib.parts.encoders:LightGCN"), "no readout"),
        (name_class("readout", "recq_lib.nowhere:Part"), "damaged"),
        (lambda header: header.update(format=2), "format 2"),
        (lambda header: header.update(shape=[3, 4]), "damaged"),
        (lambda header: header["parts"].pop("encoder"), "damaged"),
        (lambda header: header["parts"]["encoder"].update(args=[10**9, 5, 5]), "damaged"),
    ],
)
def test_foreign_headers_are_refused(content, tmp_path, change, why):
    assert why in check_refused(tmp_path / "m", rewritten(content, change))


def with_graph(content: bytes, change) -> bytes:
    """The file with other arrays of its graph, and the digest that fits them."""
    from recq_lib.parts.tensor_file import _digest

    tensors = safetensors.load(content)
    text = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])["__metadata__"]["recq.model"]
    change(tensors)
    return safetensors.save(tensors, {"recq.model": text, "sha256": _digest(text, tensors)})


def put(name: str, place: int, value: int):
    return lambda tensors: tensors[f"graph.{name}"].__setitem__(place, value)


def of_type(name: str, dtype: torch.dtype):
    return lambda tensors: tensors.update({f"graph.{name}": tensors[f"graph.{name}"].to(dtype)})


@pytest.mark.parametrize(
    "change",
    [
        put("indices", 0, 10**6), put("indices", 5, -1), put("indptr", 3, 10**6), put("indptr", -1, 0), put("indptr", 0, 1),
        of_type("indices", torch.float32), of_type("indptr", torch.float64), of_type("indices", torch.int64),
        lambda tensors: tensors["graph.indices"][:2].copy_(tensors["graph.indices"][:2].flip(0).clone()),  # not sorted
        lambda tensors: tensors["graph.indices"][:2].fill_(int(tensors["graph.indices"][0])),  # one pair twice
    ],
)  # fmt: skip
def test_a_graph_that_is_none_is_refused(content, tmp_path, change):
    assert "damaged" in check_refused(tmp_path / "m", with_graph(content, change))


def test_other_files_are_refused(tmp_path):
    assert "holds no recq.model" in check_refused(tmp_path / "m", safetensors.save({"a": torch.zeros(2)}))
    with pytest.raises(RecordError, match="does not exist"):
        Recommender.load(tmp_path / "none")
