import numpy as np
import pytest
import torch
from helpers import random_interactions
from torch.nn import functional as F

from recq_lib.config import TrainConfig
from recq_lib.errors import ConfigError
from recq_lib.evaluation.ranking import evaluate
from recq_lib.papers.hq_gnn.quantizer import UniformQuantizer
from recq_lib.papers.hq_gnn.readout import SidedQuantizer
from recq_lib.papers.hq_gnn.trace import refresh_deltas
from recq_lib.parts.readouts import LastLayer, MeanPool
from recq_lib.runs.registry import build
from recq_lib.training.trainer import Trainer

N_USERS, N_ITEMS = 7, 9


def layers(seed=0, n_layers=3, dim=6, n=N_USERS + N_ITEMS):
    return torch.randn(n_layers, n, dim, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def quantizer(bits=2, bounds="scale", *, delta=0.0, **options):
    """Scales from a first batch of all nodes, then fixed δ."""
    readout = SidedQuantizer(N_USERS, N_ITEMS, bits, bounds, **options).double()
    readout(layers(seed=99))
    for part in (*readout.users, *readout.items):
        part.set_delta(delta)
    return readout


def bpr(z, u, i, j):
    return -F.logsigmoid((z[u] * z[i]).sum(1) - (z[u] * z[j]).sum(1)).mean()


# ---- sides, rows, blocks ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("inner", [MeanPool, LastLayer])
def test_sides_have_quantizers_of_their_own(inner):
    x = layers(1)
    readout = SidedQuantizer(N_USERS, N_ITEMS, 3, inner=inner()).double()
    pooled = x.mean(dim=0) if inner is MeanPool else x[-1]
    users, items = UniformQuantizer(3).double(), UniformQuantizer(3).double()
    expected = torch.cat([users(pooled[:N_USERS]), items(pooled[N_USERS:])])
    assert torch.equal(readout(x), expected)
    assert readout.users[0].beta.item() == pytest.approx(3 * float(pooled[:N_USERS].numpy().std()))
    assert readout.items[0].beta.item() == pytest.approx(3 * float(pooled[N_USERS:].numpy().std()))


@pytest.mark.parametrize("rows", [[0, 3, 6, 7, 15], [9, 2, 15, 0, 7], [1, 4], [12, 8], [15]])
@pytest.mark.parametrize("blocks", [1, 3])
def test_some_rows_in_any_order_equal_the_table_at_those_rows(rows, blocks):
    readout, x, rows = quantizer(blocks=blocks).eval(), layers(2), torch.tensor(rows)
    assert torch.equal(readout(x[:, rows], rows), readout(x)[rows])
    assert torch.equal(readout.vectors(x[:, rows], rows), readout.vectors(x)[rows])
    assert torch.equal(readout.levels(x[:, rows], rows), readout.levels(x)[rows])


@pytest.mark.parametrize("delta", [0.0, 1.5])
def test_distinct_rows_of_a_batch_give_the_gradient_of_the_whole_table(delta):
    """The paper quantizes tables, then gathers. A trainer that encodes each distinct node once gives the same loss and gradients."""
    generator = torch.Generator().manual_seed(3)
    u = torch.randint(N_USERS, (30,), generator=generator)
    i, j = (N_USERS + torch.randint(N_ITEMS, (30,), generator=generator) for _ in range(2))
    table, batch = layers(4).requires_grad_(), layers(4).requires_grad_()
    whole, part = quantizer(delta=delta), quantizer(delta=delta)
    loss = bpr(whole(table), u, i, j)
    loss.backward()

    rows = torch.unique(torch.cat([u, i, j]))
    assert rows.numel() < N_USERS + N_ITEMS  # some rows are not read
    slot = torch.full((N_USERS + N_ITEMS,), -1)
    slot[rows] = torch.arange(rows.numel())
    loss_of_batch = bpr(part(batch[:, rows], rows), slot[u], slot[i], slot[j])
    loss_of_batch.backward()
    torch.testing.assert_close(loss_of_batch, loss)
    torch.testing.assert_close(batch.grad, table.grad, rtol=1e-10, atol=1e-14)
    for a, b in zip(whole.parameters(), part.parameters()):
        torch.testing.assert_close(b.grad, a.grad, rtol=1e-10, atol=1e-14)


def test_quantizing_repeated_copies_is_another_estimator():
    """Why rows must be distinct: GSTE sees the signs of the copies' gradients instead of the sign of their sum."""
    x = layers(5)[:1]
    rows = torch.tensor([0, 0, 1, 9])
    weight = torch.tensor([[1.0], [-0.4], [1.0], [1.0]], dtype=torch.float64).expand(4, 6)
    gradients = {}
    for delta in (0.0, 1.5):
        for order in ("gather last", "gather first"):
            leaf, readout = x.clone().requires_grad_(), quantizer(delta=delta, inner=LastLayer())
            q = readout(leaf)[rows] if order == "gather last" else readout(leaf[:, rows], rows)
            (q * weight).sum().backward()
            gradients[delta, order] = leaf.grad
    torch.testing.assert_close(gradients[0.0, "gather last"], gradients[0.0, "gather first"])  # STE is linear: no difference
    assert not torch.allclose(gradients[1.5, "gather last"][0, 0], gradients[1.5, "gather first"][0, 0])
    torch.testing.assert_close(gradients[1.5, "gather last"][0, 1], gradients[1.5, "gather first"][0, 1])


def test_blocks_are_quantized_apart():
    x = layers(6) * torch.tensor([10.0, 1.0, 0.1], dtype=torch.float64)[:, None, None]

    class Columns(MeanPool):
        def forward(self, layers, rows=None):
            return torch.cat(list(layers), dim=1)

    readout = SidedQuantizer(N_USERS, N_ITEMS, 2, inner=Columns(), blocks=3).double()
    out = readout(x)
    for k in range(3):
        for side, part in ((slice(N_USERS), readout.users), (slice(N_USERS, None), readout.items)):
            expected = UniformQuantizer(2).double()
            assert torch.equal(out[side, 6 * k : 6 * k + 6], expected(x[k, side]))
            assert part[k].beta.item() == expected.beta.item()
    assert set(readout.statistics(x)) == {f"{side}, block {k}" for side in ("users", "items") for k in range(3)}
    torch.testing.assert_close(readout.eval()(x), out)  # with scales per block, evaluation needs Q


# ---- training, evaluation, warm epochs -------------------------------------------------------------------------------------------


def test_evaluation_gives_codes_and_training_gives_their_multiples():
    readout, x = quantizer(bits=3), layers(7)
    q, codes = readout(x), readout.levels(x)
    assert codes.dtype == torch.int16
    stored = readout.eval()(x)
    assert stored.dtype == torch.float64 and torch.equal(stored, codes.double())
    torch.testing.assert_close(q[:N_USERS], codes[:N_USERS] * readout.users[0].s / 7)
    torch.testing.assert_close(q[N_USERS:], codes[N_USERS:] * readout.items[0].s / 7)
    assert torch.equal(readout.vectors(x), q)


def test_warm_epochs_train_in_full_precision_and_evaluate_codes():
    readout, x = SidedQuantizer(N_USERS, N_ITEMS, 2, warm=2).double(), layers(8)
    for epoch in (0, 1):
        readout.begin_epoch(epoch, 10)
        assert torch.equal(readout.train()(x), x.mean(dim=0))
        assert set(readout.eval()(x).unique().tolist()) <= {-3.0, -1.0, 1.0, 3.0}
        assert not readout.users[0].initialised
    readout.begin_epoch(2, 10)
    readout.train()(x)
    assert readout.users[0].initialised and readout.items[0].initialised
    assert not SidedQuantizer(2, 2, 1, warm=1).quantizing and SidedQuantizer(2, 2, 1).quantizing


def test_statistics_and_deltas_by_side():
    readout, x = quantizer(), layers(9)
    readout.update_deltas([0.5], [None])  # set_delta(0) counted as a measurement: 0.9·0 + 0.1·0.5
    stats = readout.statistics(x)
    assert stats["users"]["delta"] == pytest.approx(0.05) and stats["items"]["delta"] == 0
    assert stats["users"] == readout.users[0].statistics(x.mean(dim=0)[:N_USERS])
    with pytest.raises(ConfigError, match="2 measurements of δ were given for 1 blocks"):
        readout.update_deltas([0.1, 0.2], [0.1])


@pytest.mark.parametrize(("bits", "blocks", "expected"), [(1, 1, 16 * 8), (2, 1, 16 * 16), (2, 3, 3 * 16 * 16)])
def test_bytes(bits, blocks, expected):
    class Wide(MeanPool):
        def width(self, dim, n_layers):
            return dim * blocks

    readout = SidedQuantizer(N_USERS, N_ITEMS, bits, inner=Wide(), blocks=blocks)
    assert readout.n_bytes(N_USERS + N_ITEMS, 64, 2) == expected  # 64 columns per block: one word per plane


@pytest.mark.parametrize("bounds", ["scale", "learn", "ema", "scale_ema", "fixed"])
def test_a_model_trains_and_resumes_exactly(tmp_path, bounds):
    data = random_interactions(seed=6)
    config = TrainConfig(dim=8, n_layers=2, batch_size=64, epochs=3, lr=0.01, select_on="test", ks=(5,), select_metric="recall@5")

    def trainer():
        model = build("lightgcn", data, config)
        model.readout = SidedQuantizer(data.n_users, data.n_items, 2, bounds)
        return Trainer(model, data, config)

    whole, first, second = trainer(), trainer(), trainer()
    for _ in range(3):
        whole.step_epoch()
    first.step_epoch()
    for part in (first.model.readout.users[0], first.model.readout.items[0]):
        assert part.initialised and part.delta == 0
    first.save(tmp_path / "run.pt")
    second.restore(tmp_path / "run.pt")
    for _ in range(2):
        second.step_epoch()
    a, b = whole.model.state_dict(), second.model.state_dict()
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert whole.history[-1]["loss"] < whole.history[0]["loss"]
    assert evaluate(whole.model, data, ks=(5,)).values == evaluate(second.model, data, ks=(5,)).values


def test_delta_refreshed_from_a_trainers_batches():
    """The trainer's batch, encoded in training mode without gradients, is what `refresh_deltas` takes; it moves δ and nothing else."""
    data = random_interactions(seed=6)
    config = TrainConfig(dim=8, n_layers=2, batch_size=64, lr=0.01)
    model = build("lightgcn", data, config)
    model.readout = SidedQuantizer(data.n_users, data.n_items, 2, "scale_ema")
    trainer = Trainer(model, data, config)
    trainer.train_epoch()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    triples, batches = [], []
    for users, positives, negatives in list(trainer.sampler.epoch(1).batches(64))[:3]:
        with torch.no_grad():
            batch = trainer.encode(users, positives, negatives)
        triples.append((users, positives, negatives))
        batches.append((batch.vectors, batch.at(users), batch.at_items(positives), batch.at_items(negatives)))
    refresh_deltas(model.readout, batches)

    expected = []
    for users, positives, negatives in triples:  # whole tables, both gradients written out
        with torch.no_grad():  # with gradients on, looking in training mode would move the average
            q = model.readout.vectors(model.layers()).double()
        u, i, j = (q[nodes] for nodes in (users, positives + data.n_users, negatives + data.n_users))
        sigma = torch.sigmoid((u * (i - j)).sum(1, keepdim=True))
        g = torch.zeros_like(q)
        g.index_add_(0, users, -(1 - sigma) * (i - j))
        g.index_add_(0, positives + data.n_users, -(1 - sigma) * u)
        g.index_add_(0, negatives + data.n_users, (1 - sigma) * u)
        w = sigma * (1 - sigma)
        traces = ((w * (i - j).square()).sum(), (2 * w * u.square()).sum())
        expected.append([float(t / part.abs().sum()) for t, part in zip(traces, (g[: data.n_users], g[data.n_users :]))])
    got = [side[0].delta.item() for side in (model.readout.users, model.readout.items)]
    assert got == pytest.approx(np.mean(expected, axis=0), rel=1e-4)
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {f"readout.{side}.0.{name}" for side in ("users", "items") for name in ("delta", "delta_measured")}


def test_trained_scales_move_only_where_they_are_learned():
    data = random_interactions(seed=6)
    config = TrainConfig(dim=8, n_layers=2, batch_size=64, epochs=1, lr=0.01)
    for bounds, names in (("scale", {"raw_beta", "raw_s"}), ("learn", {"raw_beta"}), ("fixed", set())):
        model = build("lightgcn", data, config)
        model.readout = SidedQuantizer(data.n_users, data.n_items, 2, bounds)
        trainer = Trainer(model, data, config)
        model.readout(model.layers())
        before = {name: value.clone() for name, value in model.readout.users[0].state_dict().items()}
        trainer.train_epoch()
        after = model.readout.users[0].state_dict()
        assert {name for name in before if not torch.equal(before[name], after[name])} == names


def test_bad_input_is_refused():
    with pytest.raises(ConfigError, match="at least 1 block"):
        SidedQuantizer(2, 2, 1, blocks=0)
    with pytest.raises(ConfigError, match="warm is -1"):
        SidedQuantizer(2, 2, 1, warm=-1)
    with pytest.raises(ConfigError, match="from 1 to 8"):
        SidedQuantizer(2, 2, 16)
    readout, x = SidedQuantizer(N_USERS, N_ITEMS, 2), layers(10)
    with pytest.raises(ConfigError, match="3 rows to quantize, but all nodes are 16"):
        readout(x[:, :3])
    with pytest.raises(ConfigError, match="3 rows to quantize, but the nodes of `rows` are 2"):
        readout(x[:, :3], torch.tensor([0, 1]))
    with pytest.raises(ConfigError, match="0 rows to quantize"):
        readout(x[:, :0], torch.empty(0, dtype=torch.int64))
    with pytest.raises(ConfigError, match="width 6 do not split into 4"):
        SidedQuantizer(N_USERS, N_ITEMS, 2, blocks=4)(x)
    x[0, 0, 0] = np.nan
    with pytest.raises(ConfigError, match="quantizer of users: 1 of 42 values"):
        readout(x)
