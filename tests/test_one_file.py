"""A method is one file: this one defines a 1-bit readout and a way to share rows, and touches nothing else.

Both get the command line, studies, packing, bytes, files, colours and reports from their `Method` entries alone.
"""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import torch

from recq_lib.cli.main import main
from recq_lib.codes.codes import Codes
from recq_lib.companion import plotting, published, report
from recq_lib.companion.studies import study
from recq_lib.config import TrainConfig, protocol
from recq_lib.data.interactions import Interactions
from recq_lib.data.loading import load
from recq_lib.evaluation.ranking import evaluate
from recq_lib.parts.building import recommender, sharing_method
from recq_lib.parts.estimators import sign
from recq_lib.parts.method import Method
from recq_lib.parts.model import Recommender
from recq_lib.parts.protocols import Readout
from recq_lib.runs import registry, store
from recq_lib.runs.records import RunRecord, RunSpec
from recq_lib.runs.run import Plan, identity_of, run
from recq_lib.sharing.sharing import Sharing


class MedianBits(Readout):
    """One bit per column: is the mean of the layers above `shift`?"""

    def __init__(self, shift: float) -> None:
        super().__init__()
        self.shift = shift

    def forward(self, layers: torch.Tensor, rows: torch.Tensor | None = None) -> torch.Tensor:
        x = layers.mean(dim=0) - self.shift
        return x + (sign(x) - x).detach()

    def n_bytes(self, n_nodes: int, dim: int, n_layers: int) -> int:
        return n_nodes * 8 * -(-dim // 64)

    def codes(self, layers: torch.Tensor, n_users: int) -> Codes:
        return Codes.from_signs((layers.mean(dim=0) - self.shift)[None], n_users=n_users)


def every_few(data: Interactions, config: TrainConfig) -> Sharing:
    """Neighbours by number share a row."""
    step = config.options["step"]
    users, items = np.arange(data.n_users) // step, np.arange(data.n_items) // step
    return Sharing(users, items, int(users[-1]) + 1, int(items[-1]) + 1)


def _bits(data: Interactions, config: TrainConfig, teacher: Recommender | None) -> Recommender:
    return recommender(data, config, MedianBits(config.options["shift"]))


METHODS = (
    Method("toy-bits", "Toy bits", "one bit", "trained", _bits, {"shift": 0.0}, marker="*"),
    sharing_method("toy-rows", "Toy rows", every_few, {"step": 3}, marker="P", published={"baco": "random"}),
)
NAMES = [entry.name for entry in METHODS]


@pytest.fixture(autouse=True)
def toys(monkeypatch, tmp_path):
    monkeypatch.setenv("RECQ_RESULTS_DIR", str(tmp_path / "results"))
    for entry in METHODS:
        registry.register(entry)
    yield
    for name in NAMES:
        del registry.METHODS[name]


def trained(name: str) -> Recommender:
    return registry.build(name, load("synthetic-smoke"), TrainConfig(dim=8, n_layers=2))


@pytest.mark.parametrize("name, option", [("toy-bits", "shift=0.5"), ("toy-rows", "step=4")])
def test_command_line(name, option, capsys):
    settings = ["--dataset", "synthetic-smoke", "--profile", "smoke", "--epochs", "2", "--dim", "8", "--set", option]
    assert main(["train", name, *settings, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["method"] == name and 0 <= answer["metrics"]["recall@20"] <= 1
    assert store.load(answer["key"]).spec.method == name


def test_command_line_for_rows_alone(capsys):
    assert main(["compress", "toy-rows", "--dataset", "synthetic-smoke", "--json"]) == 0
    answer, data = json.loads(capsys.readouterr().out), load("synthetic-smoke")
    assert (answer["user_rows"], answer["item_rows"]) == (-(-data.n_users // 3), -(-data.n_items // 3))


def test_study(monkeypatch, capsys):
    config = TrainConfig(dim=8, n_layers=2, epochs=2, eval_every=1)
    monkeypatch.setitem(study.STUDIES, "toys", lambda profile: [Plan(name, "synthetic-smoke", profile, config) for name in NAMES])
    assert main(["study", "toys", "--profile", "smoke"]) == 0
    assert [record.spec.method for record in study.recorded("toys", "smoke")] == NAMES
    printed = capsys.readouterr().out
    assert all(name in printed for name in NAMES)


def test_packing_and_bytes(tmp_path):
    model, data = trained("toy-bits"), load("synthetic-smoke")
    codes = model.codes()
    path = codes.save(tmp_path / "codes")
    header = len(b"".join(path.read_bytes().splitlines(keepends=True)[:3]))
    assert header + model.n_bytes()["stored"] == path.stat().st_size and Codes.load(path) == codes
    float_lists, bit_lists = (evaluate(scorer, data, ks=(20,)).top for scorer in (model, codes))
    assert np.array_equal(float_lists, bit_lists)


@pytest.mark.parametrize("name", NAMES)
def test_files(name, tmp_path):
    model = trained(name)
    back = Recommender.load(model.save(tmp_path / "model"))
    assert all(torch.equal(a, b) for a, b in zip(model.embeddings(), back.embeddings(), strict=True))


def test_colours_and_marks():
    assert plotting.method_colour("toy-bits") == plotting.method_colour("l2q-gcn") != plotting.method_colour("toy-rows")
    assert plotting.method_colour("toy-rows") == plotting.method_colour("scc")
    assert [plotting.method_marker(name) for name in NAMES] == ["*", "P"]


def test_report():
    """Beside the number that the paper prints under the name that the entry gives, once the run follows the paper's protocol."""
    config = registry.resolve("toy-rows", protocol("baco"))
    seed, params = identity_of(Plan("toy-rows", "beauty", "paper", config))
    spec = RunSpec("toy-rows", "beauty", seed, "paper", params, "0" * 64)
    record = RunRecord(spec, {"recall_min@10": 0.03}, history=[{"epoch": 0}])
    table = report.against_published([record, dataclasses.replace(record, spec=dataclasses.replace(spec, seed=1))])
    row = table[table["metric"] == "recall_min@10"].iloc[0]
    assert row["method"] == "toy-rows" and row["ours"] == pytest.approx(3.0)
    assert row["published"] == published.value(paper="baco", dataset="beauty", method="random", metric="recall_min@10")


def test_records_repeat(capsys):
    plan = Plan("toy-bits", "synthetic-smoke", "smoke", TrainConfig(dim=8, n_layers=2, epochs=2, eval_every=1))
    assert run(plan).spec.key == run(plan).spec.key
    assert "option.shift" not in run(plan).spec.params  # at its default: keys do not spell out what came later


def test_a_name_that_is_taken_is_refused():
    from recq_lib.errors import ConfigError

    with pytest.raises(ConfigError, match="'toy-bits' is registered already"):
        registry.register(METHODS[0])
