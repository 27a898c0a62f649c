"""The parts of `python -m recq_lib bench`: one training step, sampling, graph, evaluation, growth with edges, memory."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from recq_lib.companion.bench import clustering, recipe, search, search_size, search_trained
from recq_lib.companion.bench import contenders as rivals
from recq_lib.companion.bench.timing import table, take_turns
from recq_lib.config import TrainConfig, protocol
from recq_lib.data import load
from recq_lib.data.interactions import Interactions
from recq_lib.evaluation.ranking import evaluate, rank
from recq_lib.graph.adjacency import Graph
from recq_lib.runs.registry import build, resolve
from recq_lib.training.sampling import TripleSampler
from recq_lib.training.steps import AutogradStep
from recq_lib.training.trainer import Trainer

GROWTH_EDGES = (100_000, 300_000, 1_000_000, 3_000_000, 10_000_000)


def step(data: Interactions, repeats: int) -> list[dict[str, Any]]:
    """One training step of LightGCN (d = 64, L = 3, batch 2048): sampling excluded, optimiser included."""
    config = protocol("lightgcn")
    trainer = _trainer(data, config)
    graph, weight = trainer.model.graph, trainer.model.table.weight.detach()
    batches = list(trainer.sampler.epoch(0).batches(config.batch_size))
    products = {
        "torch.sparse COO": rivals.coo_product(graph),
        "torch.sparse CSR": rivals.csr_product(graph),
        "PyG LGConv": rivals.pyg_product(data),
    }
    calls: dict[str, Callable[[], Any]] = {"recq": _cycle(lambda batch: _our_step(trainer, batch), batches)}
    for name, product in products.items():
        model = rivals.PlainLightGCN(weight, product, data.n_users, config)
        calls[name] = _cycle(lambda batch, model=model: model.step(*batch), batches)
    return table("training step", take_turns(calls, repeats))


def shared_step(data: Interactions, repeats: int) -> list[dict[str, Any]]:
    """One step of BACO's protocol (d = 64, L = 2, batch 1024) on its shared rows: in four kernels, by autograd, and as others would."""
    config = resolve("baco", protocol("baco", options={"gamma": 7.57}))  # the paper's on Gowalla
    fused, plain = (Trainer(build("baco", data, config), data, config) for _ in range(2))
    plain.step = AutogradStep(plain)
    weight, sharing = fused.model.table.weight.detach(), fused.model.table.sharing
    batches = list(fused.sampler.epoch(0).batches(config.batch_size))
    calls = {name: _cycle(lambda batch, t=t: _our_step(t, batch), batches) for name, t in (("recq", fused), ("recq by autograd", plain))}
    for name, product in (("torch.sparse CSR", rivals.csr_product(fused.model.graph)), ("PyG LGConv", rivals.pyg_product(data))):
        model = rivals.PlainShared(weight, sharing, product, data.n_users, config)
        calls[name] = _cycle(lambda batch, model=model: model.step(*batch), batches)
    return table("training step, shared rows", take_turns(calls, repeats))


def softmax_step(data: Interactions, repeats: int) -> list[dict[str, Any]]:
    """One step of the fast recipe (d = 64, L = 3, batch 2048), beside BPR's of the same model and the softmax as others would write it."""
    config = protocol("fast")
    trainer, bpr = _trainer(data, config), _trainer(data, protocol("lightgcn"))
    batches = list(trainer.sampler.epoch(0).batches(config.batch_size))
    triples = list(bpr.sampler.epoch(0).batches(config.batch_size))
    graph, weight = trainer.model.graph, trainer.model.table.weight.detach()
    calls = {"recq": _cycle(lambda batch: _our_step(trainer, batch), batches), "recq, BPR": _cycle(lambda b: _our_step(bpr, b), triples)}
    for name, product in (("torch.sparse COO", rivals.coo_product(graph)), ("PyG LGConv", rivals.pyg_product(data))):
        model = rivals.PlainSoftmax(weight, product, data.n_users, config)
        model.log_weights = trainer.objective.log_weights.float()
        calls[name] = _cycle(lambda batch, model=model: model.step(*batch), batches)
    return table("softmax step", take_turns(calls, repeats))


def agreement(data: Interactions, repeats: int) -> list[dict[str, Any]]:
    """Relative distance of the tables after 20 steps from one start: the speed must not come from other mathematics."""
    config = protocol("lightgcn")
    trainer = _trainer(data, config)
    weight = trainer.model.table.weight.detach()
    model = rivals.PlainLightGCN(weight, rivals.coo_product(trainer.model.graph), data.n_users, config)
    batches = trainer.sampler.epoch(0).batches(config.batch_size)
    for _, batch in zip(range(20), batches):
        _our_step(trainer, batch)
        model.step(*batch)
    ours, theirs = trainer.model.table.weight.detach(), model.table.detach()
    distance = float((ours - theirs).norm() / theirs.norm())
    return [{"part": "agreement", "contender": "torch.sparse COO", "relative_distance": distance}]


def sampling(data: Interactions, repeats: int) -> list[dict[str, Any]]:
    """One epoch of triples (T draws of a uniform user)."""
    sampler, numbers = TripleSampler(data, convention="uniform_user"), iter(range(10**9))
    calls = {"recq": lambda: sampler.epoch(next(numbers)), "Python loop": lambda: rivals.loop_sampling(data)}
    return table("epoch sampling", take_turns(calls, repeats, slow=("Python loop",)))


def graph(data: Interactions, repeats: int) -> list[dict[str, Any]]:
    """Normalised adjacency from the interactions."""
    return table(
        "graph build", take_turns({"recq": lambda: Graph.from_interactions(data), "scipy": lambda: rivals.scipy_graph(data)}, repeats)
    )


def evaluation(data: Interactions, repeats: int) -> list[dict[str, Any]]:
    """Full ranking of all users at K = 20 from vectors of width 64 that do not depend on training."""
    generator = torch.Generator().manual_seed(0)
    users, items = (torch.randn(n, 64, generator=generator) for n in (data.n_users, data.n_items))
    everyone = np.arange(data.n_users, dtype=np.int32)
    calls = {
        "recq": lambda: rank((users, items), everyone, data.n_items, 20, [data.train]),
        "blocked matmul + topk": lambda: rivals.blocked_topk(users, items, data, 20),
        "recq with all metrics": lambda: evaluate((users, items), data, ks=(20,)),
    }
    return table("full ranking", take_turns(calls, repeats))


def growth(data: Interactions, repeats: int) -> list[dict[str, Any]]:
    """One training step on synthetic graphs of 10^5 to 10^7 training edges with mean degrees fixed; `per_edge` in ns."""
    rows = []
    for edges in GROWTH_EDGES:
        made = load(f"synthetic-{int(edges / 0.7)}")  # 70 % of the generated pairs are training interactions
        config = protocol("lightgcn")
        trainer = _trainer(made, config)
        batches = list(trainer.sampler.epoch(0).batches(config.batch_size))[:20]
        calls = {"recq": _cycle(lambda batch, t=trainer: _our_step(t, batch), batches)}
        if edges <= 1_000_000:
            model = rivals.PlainLightGCN(trainer.model.table.weight.detach(), rivals.coo_product(trainer.model.graph), made.n_users, config)
            calls["torch.sparse COO"] = _cycle(lambda batch, m=model: m.step(*batch), batches)
        for row in table("growth", take_turns(calls, repeats)):
            rows.append({**row, "edges": made.n_train, "nodes": made.n_nodes, "per_edge": 1e9 * row["median"] / made.n_train})
    return rows


_MEMORY = """
import json, sys
from recq_lib.runs import provenance
from recq_lib.companion.bench.parts import _trainer, _our_step
from recq_lib.config import protocol
from recq_lib.data import load
from recq_lib.evaluation.ranking import evaluate
data, config = load(sys.argv[1]), protocol("lightgcn")
loaded = provenance.peak_memory_mb()
trainer = _trainer(data, config)
for batch in list(trainer.sampler.epoch(0).batches(config.batch_size))[:20]:
    _our_step(trainer, batch)
trained = provenance.peak_memory_mb()
evaluate(trainer.model, data, ks=(20,))
print(json.dumps({"data loaded": loaded, "after training steps": trained, "after evaluation": provenance.peak_memory_mb()}))
"""


def memory(data: Interactions, repeats: int) -> list[dict[str, Any]]:
    """Peak resident memory (MB) of a fresh process that trains 20 steps and evaluates."""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", _MEMORY, data.name], capture_output=True, text=True, check=True)
    return [
        {"part": "peak memory", "contender": name, "megabytes": value} for name, value in json.loads(done.stdout.splitlines()[-1]).items()
    ]


PARTS: dict[str, Callable[[Interactions, int], list[dict[str, Any]]]] = {
    "step": step, "shared-step": shared_step, "softmax-step": softmax_step, "agreement": agreement, "sampling": sampling, "graph": graph,
    "evaluation": evaluation, "recipe": recipe.time_to_quality,
    "growth": growth, "memory": memory, "clustering": clustering.clustering, "clustering-growth": clustering.growth,
    "search": search.times, "search-everyone": search.everyone, "search-bits": search.bits, "search-growth": search.growth,
    "search-size": search_size.size, "search-memory": search_size.memory,
    "search-quality": search_trained.trained,
}  # fmt: skip


def _trainer(data: Interactions, config: TrainConfig) -> Trainer:
    return Trainer(build("lightgcn", data, config), data, config)


def _our_step(trainer: Trainer, batch) -> float:
    return float(trainer.train_batch(*batch))


def _cycle(call: Callable[[Any], Any], batches: list) -> Callable[[], Any]:
    """A call without arguments that works through `batches` again and again."""
    state = {"next": 0}

    def one() -> Any:
        batch = batches[state["next"] % len(batches)]
        state["next"] += 1
        return call(batch)

    return one
