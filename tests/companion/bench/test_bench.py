import dataclasses

import numpy as np
import pytest
import torch
from helpers import dense_normalised, random_interactions

from recq_lib.companion.bench import contenders, parts, recipe
from recq_lib.companion.bench import run as bench
from recq_lib.companion.bench.timing import Timing, table, take_turns
from recq_lib.config import protocol
from recq_lib.data import load
from recq_lib.data.splits import with_validation
from recq_lib.errors import ConfigError
from recq_lib.evaluation.ranking import evaluate
from recq_lib.graph.adjacency import Graph
from recq_lib.runs import registry
from recq_lib.training.bpr_step import BprStep
from recq_lib.training.steps import AutogradStep
from recq_lib.training.trainer import Trainer


@pytest.fixture(scope="module")
def data():
    return random_interactions(n_users=60, n_items=50, n_pairs=700, test=100, seed=6)


def test_contenders_do_the_same_mathematics(data):
    config = dataclasses.replace(protocol("lightgcn"), batch_size=64, l2=1e-2)
    trainer = parts._trainer(data, config)
    weight, graph = trainer.model.table.weight.detach().clone(), trainer.model.graph
    products = (contenders.coo_product(graph), contenders.csr_product(graph), contenders.pyg_product(data))
    models = [contenders.PlainLightGCN(weight, product, data.n_users, config) for product in products]
    for batch in [b for epoch in range(3) for b in trainer.sampler.epoch(epoch).batches(64)][:20]:
        losses = [parts._our_step(trainer, batch), *(model.step(*batch) for model in models)]
        assert losses == pytest.approx([losses[0]] * 4, rel=1e-4)
    for model in models:
        assert (model.table - trainer.model.table.weight).norm() / model.table.norm() < 1e-5


def test_contenders_on_shared_rows_do_the_same_mathematics(data):
    config = registry.resolve("baco", protocol("baco", dim=8, batch_size=64, options={"gamma": 1.0}))
    fused, plain = (Trainer(registry.build("baco", data, config), data, config) for _ in range(2))
    plain.step = AutogradStep(plain)
    weight, sharing = fused.model.table.weight.detach().clone(), fused.model.table.sharing
    rival = contenders.PlainShared(weight, sharing, contenders.csr_product(fused.model.graph), data.n_users, config)
    assert isinstance(fused.step, BprStep) and sharing.n_extra > 0
    for batch in [b for epoch in range(3) for b in fused.sampler.epoch(epoch).batches(64)][:20]:
        losses = [parts._our_step(fused, batch), parts._our_step(plain, batch), rival.step(*batch)]
        assert losses == pytest.approx([losses[0]] * 3, rel=1e-4)
    for table_ in (plain.model.table.weight, rival.table):
        assert (table_ - fused.model.table.weight).norm() / weight.norm() < 1e-5


def test_the_softmax_written_out_is_the_same_mathematics(data):
    config = protocol("fast", dim=8, batch_size=64)
    trainer = parts._trainer(data, config)
    weight = trainer.model.table.weight.detach().clone()
    rival = contenders.PlainSoftmax(weight, contenders.coo_product(trainer.model.graph), data.n_users, config)
    rival.log_weights = trainer.objective.log_weights.float()
    for batch in [b for epoch in range(3) for b in trainer.sampler.epoch(epoch).batches(64)][:20]:
        assert rival.step(*batch) == pytest.approx(parts._our_step(trainer, batch), rel=1e-4)
    assert (rival.table - trainer.model.table.weight).norm() / weight.norm() < 1e-4


def test_scipy_graph_is_the_same_matrix(data):
    np.testing.assert_allclose(contenders.scipy_graph(data).toarray(), dense_normalised(data), atol=1e-7)
    np.testing.assert_allclose(Graph.from_interactions(data).to_scipy().toarray(), contenders.scipy_graph(data).toarray(), atol=1e-7)


def test_loop_sampling_is_valid(data):
    triples = contenders.loop_sampling(data)
    known = data.train.toarray()
    assert known[triples[:, 0], triples[:, 1]].all() and not known[triples[:, 0], triples[:, 2]].any()


def test_blocked_topk_is_the_same_ranking(data):
    from recq_lib.evaluation.ranking import rank

    generator = torch.Generator().manual_seed(0)
    users, items = (torch.randn(n, 5, generator=generator) for n in (data.n_users, data.n_items))
    ours = rank((users, items), np.arange(data.n_users, dtype=np.int32), data.n_items, 7, [data.train])
    np.testing.assert_array_equal(ours, contenders.blocked_topk(users, items, data, 7, block=17))


def test_turns_and_ratios():
    calls = []
    timings = take_turns({"recq": lambda: calls.append("a"), "b": lambda: calls.append("b")}, 3, slow=("b",))
    assert calls == ["a", "a", "b", "a", "a"]
    assert timings["recq"].repeats == 3 and timings["b"].repeats == 1
    rows = table("x", {"recq": Timing.of([1.0, 2.0, 3.0]), "b": Timing.of([8.0])})
    assert [row["ratio"] for row in rows] == [1.0, 4.0] and rows[0]["low"] == 1.5


def test_benchmarks_run_and_print():
    only = ["step", "shared-step", "softmax-step", "agreement", "sampling", "graph", "evaluation"]
    outcome = bench.run_benchmarks("synthetic-tiny", only=only, repeats=1)
    rows = {row["part"]: row for row in outcome["rows"]}
    steps = {"training step", "training step, shared rows", "softmax step"}
    assert set(rows) == steps | {"agreement", "epoch sampling", "graph build", "full ranking"}
    assert rows.pop("agreement")["relative_distance"] < 1e-5
    assert all(row["median"] > 0 and row["ratio"] > 0 for row in rows.values())
    assert len(bench.as_text(outcome).splitlines()) == 1 + len(outcome["rows"])


def test_time_to_quality_of_both_recipes(monkeypatch):
    monkeypatch.setattr(recipe, "BPR_TIME", 1.0)
    outcome = bench.run_benchmarks("synthetic-smoke", only=["recipe"], repeats=1)
    fast, bpr = outcome["rows"]
    epochs = protocol("fast").epochs
    assert [point["epoch"] for point in fast["curve"]] == list(range(epochs + 1))
    assert all(a["seconds"] < b["seconds"] for row in (fast, bpr) for a, b in zip(row["curve"], row["curve"][1:]))
    data = with_validation(load("synthetic-smoke"))
    untrained = evaluate(registry.build("lightgcn", data, protocol("fast")), data, ks=(20,), split="val", mask=("train",))
    assert fast["curve"][0]["recall@20"] == untrained.values["recall@20"]
    assert bpr["curve"][-1]["seconds"] >= fast["curve"][-1]["seconds"]  # it had the time it was promised
    assert "time to quality" in bench.as_text(outcome)


def test_recorded_outcome_is_read_back(tmp_path):
    assert bench.recorded(tmp_path / "results.json") is None
    (tmp_path / "results.json").write_text('{"dataset": "x", "rows": []}')
    assert bench.recorded(tmp_path / "results.json") == {"dataset": "x", "rows": []}


def test_bad_requests_are_refused():
    with pytest.raises(ConfigError, match="did you mean 'growth'"):
        bench.run_benchmarks("synthetic-tiny", only=["growt"])
    with pytest.raises(ConfigError, match="repeats is 0"):
        bench.run_benchmarks("synthetic-tiny", repeats=0)
