import dataclasses
import math

import numpy as np
import pytest
import torch
from helpers import random_interactions
from torch.nn import functional as F

from recq_lib.config import TrainConfig
from recq_lib.errors import ConfigError
from recq_lib.papers.hq_gnn.readout import SidedQuantizer
from recq_lib.papers.hq_gnn.trace import bpr_deltas, bpr_trace, delta_from, hutchinson_samples, hutchinson_trace, refresh_deltas
from recq_lib.runs.registry import build
from recq_lib.training.trainer import Trainer

N_USERS, N_ITEMS, DIM = 4, 5, 3


def triples(n=12, seed=0, *, equal=False):
    """Users and items repeat, and items occur as positive and as negative; `equal`: one triple has i = j."""
    generator = torch.Generator().manual_seed(seed)
    u = torch.randint(N_USERS, (n,), generator=generator)
    i = torch.randint(N_ITEMS, (n,), generator=generator)
    j = (i + torch.randint(1, N_ITEMS, (n,), generator=generator)) % N_ITEMS
    if equal:
        j[3] = i[3]
    return u, i, j


def tables(seed=1):
    generator = torch.Generator().manual_seed(seed)
    return (torch.randn(n, DIM, dtype=torch.float64, generator=generator) for n in (N_USERS, N_ITEMS))


def mean_bpr(users, items, u, i, j):
    return -F.logsigmoid((users[u] * items[i]).sum(1) - (users[u] * items[j]).sum(1)).mean()


def exact_blocks(users, items, u, i, j):
    """The Hessian's user and item blocks as square matrices, by autograd."""
    blocks = torch.autograd.functional.hessian(lambda a, b: mean_bpr(a, b, u, i, j), (users, items))
    return blocks[0][0].reshape(users.numel(), -1), blocks[1][1].reshape(items.numel(), -1)


def gathered(users, items, u, i, j):
    return users[u], items[i], items[j]


# ---- the trace -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_closed_form_is_the_exact_hessian_trace(seed):
    users, items = tables(seed)
    u, i, j = triples(20, seed)
    assert torch.unique(u).numel() < 20 and np.intersect1d(i, j).size > 0  # repeats, and items on both sides
    got = bpr_trace(*gathered(users, items, u, i, j))
    for value, block in zip(got, exact_blocks(users, items, u, i, j)):
        assert float(value) == pytest.approx(float(block.trace()), rel=1e-10)
        assert float(value) >= 0


def test_closed_form_where_positive_and_negative_are_one_item():
    users, items = tables()
    u, i, j = triples(equal=True)
    got = bpr_trace(*gathered(users, items, u, i, j), same=i == j)
    for value, block in zip(got, exact_blocks(users, items, u, i, j)):
        assert float(value) == pytest.approx(float(block.trace()), rel=1e-10)
    assert float(bpr_trace(*gathered(users, items, u, i, j))[1]) > float(got[1]) * (1 + 1e-6)  # so `same` is needed


def test_trace_does_not_overflow():
    q = torch.full((1, 2), 50.0)
    user, item = bpr_trace(q, q, -q)
    assert math.isfinite(float(user)) and float(item) >= 0


def test_hutchinson_mean_and_spread():
    users, items = tables(2)
    u, i, j = triples(20, 2)
    samples = hutchinson_samples(
        lambda a, b: mean_bpr(a, b, u, i, j), (users, items), 800, generator=torch.Generator().manual_seed(0)
    ).numpy()
    for column, block in zip(samples.T, exact_blocks(users, items, u, i, j)):
        std = math.sqrt(2 * float((block - block.diag().diag()).square().sum()))
        assert abs(column.mean() - float(block.trace())) < 3 * std / math.sqrt(column.size)
        # the spread of a sample standard deviation follows from the fourth moment
        kurtosis = ((column - column.mean()) ** 4).mean() / column.var() ** 2
        assert abs(column.std(ddof=1) / std - 1) < 4 * math.sqrt((kurtosis - 1) / (4 * column.size))


def test_hutchinson_is_exact_for_a_diagonal_hessian_and_zero_for_a_linear_loss():
    weights = torch.tensor([1.0, -2.0, 3.5])
    trace = hutchinson_trace(lambda a, b: (weights * a**2).sum() + b.sum(), (torch.ones(3), torch.ones(2)), 3)
    assert trace.tolist() == [5.0, 0.0]


def test_hutchinson_repeats_with_its_seed():
    users, items = tables(3)
    u, i, j = triples(9, 3)

    def draw(seed):
        return hutchinson_trace(lambda a, b: mean_bpr(a, b, u, i, j), (users, items), 4, generator=torch.Generator().manual_seed(seed))

    assert torch.equal(draw(0), draw(0)) and not torch.equal(draw(0), draw(1))


# ---- delta -----------------------------------------------------------------------------------------------------------------------


def naive_deltas(users, items, u, i, j, scale=1.0):
    """δ of both tables from exact Hessians and gradients of `scale` times the loss."""
    users, items = users.clone().requires_grad_(), items.clone().requires_grad_()
    gradients = torch.autograd.grad(scale * mean_bpr(users, items, u, i, j), (users, items))
    blocks = exact_blocks(users.detach(), items.detach(), u, i, j)
    return [scale * float(block.trace()) / float(gradient.abs().sum()) for block, gradient in zip(blocks, gradients)]


@pytest.mark.parametrize("equal", [False, True])
def test_deltas_from_exact_hessians(equal):
    users, items = tables(4)
    u, i, j = triples(10, 4, equal=equal)
    got = bpr_deltas(torch.cat([users, items]), u, i + N_USERS, j + N_USERS)
    expected = naive_deltas(users, items, u, i, j)
    assert [*got[0], *got[1]] == pytest.approx(expected, rel=1e-9)
    assert naive_deltas(users, items, u, i, j, scale=10.0) == pytest.approx(expected, rel=1e-12)  # mean or sum of the loss: the same


@pytest.mark.parametrize("magnitude", ["mean", "3std"])
def test_rows_outside_the_batch_do_not_count(magnitude):
    users, items = tables(5)
    u, i, j = triples(10, 5)
    vectors = torch.cat([users, items])
    padded = torch.cat([vectors, torch.randn(90, DIM, dtype=torch.float64, generator=torch.Generator().manual_seed(0))])
    nodes = (u, i + N_USERS, j + N_USERS)
    assert bpr_deltas(vectors, *nodes, magnitude=magnitude) == bpr_deltas(padded, *nodes, magnitude=magnitude)


def test_mean_gradient_ignores_padding_and_three_std_does_not():
    gradient = torch.randn(20, 4, generator=torch.Generator().manual_seed(1))
    padded = torch.cat([gradient, torch.zeros(90, 4)])
    assert delta_from(2.0, gradient) == pytest.approx(delta_from(2.0, padded), rel=1e-6)
    assert delta_from(2.0, gradient) == pytest.approx(2.0 / float(gradient.abs().sum()), rel=1e-6)
    small = delta_from(2.0, padded, magnitude="3std")
    assert small == pytest.approx(2.0 / (3 * 440 * float(np.std(padded.numpy(), ddof=1))), rel=1e-5)
    assert small < 0.7 * delta_from(2.0, gradient, magnitude="3std")


def test_delta_times_error_does_not_depend_on_the_unit():
    """In z of [0, 1], Q = s(2z - 1): the same loss gives δ_z = 2s·δ_Q, and errors in z are those in Q divided by 2s."""
    s, (users, items), (u, i, j) = 0.3, tables(6), triples(10, 6)
    zu, zi = ((q / s + 1) / 2 for q in (users, items))

    def loss(a, b):
        return mean_bpr(s * (2 * a - 1), s * (2 * b - 1), u, i, j)

    trace = [float(torch.autograd.functional.hessian(loss, (zu, zi))[k][k].reshape(z.numel(), -1).trace()) for k, z in enumerate((zu, zi))]
    leaves = [z.clone().requires_grad_() for z in (zu, zi)]
    in_z = [delta_from(t, g) for t, g in zip(trace, torch.autograd.grad(loss(*leaves), leaves))]
    in_q = bpr_deltas(torch.cat([users, items]), u, i + N_USERS, j + N_USERS)
    assert in_z == pytest.approx([2 * s * in_q[0][0], 2 * s * in_q[1][0]], rel=1e-9)


def test_delta_is_clipped_and_failures_are_reported():
    g = torch.ones(4)
    assert delta_from(-3.0, g) == 0.0  # a noisy sample; the exact trace is never negative
    assert delta_from(1e9, g, delta_max=5.0) == 5.0
    assert delta_from(1.0, torch.zeros(4), delta_max=7.0) == 7.0
    assert delta_from(0.0, torch.zeros(4)) == 0.0
    for trace, gradient in ((math.nan, g), (math.inf, g), (1.0, g * math.nan), (1.0, g * math.inf)):
        assert delta_from(trace, gradient) is None
    assert delta_from(1.0, torch.ones(1), magnitude="3std") is None  # one element has no spread
    with pytest.raises(ConfigError, match="at least one element"):
        delta_from(1.0, torch.ones(0))
    with pytest.raises(ConfigError, match="did you mean 'mean'"):
        delta_from(1.0, g, magnitude="means")


def test_blocks_add_up_and_shared_uses_everything():
    generator = torch.Generator().manual_seed(7)
    vectors = torch.randn(N_USERS + N_ITEMS, 6, dtype=torch.float64, generator=generator)
    u, i, j = triples(15, 7)
    nodes = (u, i + N_USERS, j + N_USERS)
    leaf = vectors.clone().requires_grad_()
    (g,) = torch.autograd.grad(mean_bpr(leaf[:N_USERS], leaf[N_USERS:], u, i, j), leaf)
    hessian = torch.autograd.functional.hessian(lambda z: mean_bpr(z[:N_USERS], z[N_USERS:], u, i, j), vectors)
    diagonal = hessian.reshape(54, 54).diag().reshape(-1, 6)
    expected = [
        [float(diagonal[side, k : k + 2].sum() / g[side, k : k + 2].abs().sum()) for k in (0, 2, 4)]
        for side in (slice(N_USERS), slice(N_USERS, None))
    ]
    got = bpr_deltas(vectors, *nodes, blocks=3)
    assert [*got[0], *got[1]] == pytest.approx(expected[0] + expected[1], rel=1e-9)
    shared = bpr_deltas(vectors, *nodes, blocks=3, shared=True)
    assert [*shared[0], *shared[1]] == pytest.approx([float(diagonal.sum() / g.abs().sum())] * 6, rel=1e-9)


def test_hutchinson_deltas_approach_the_closed_form():
    users, items = tables(8)
    u, i, j = triples(15, 8)
    arguments = (torch.cat([users, items]), u, i + N_USERS, j + N_USERS)
    exact = np.ravel(bpr_deltas(*arguments))
    noisy = np.ravel(bpr_deltas(*arguments, trace="hutchinson", samples=300, generator=torch.Generator().manual_seed(0)))
    for value, reference, block, trace in zip(
        noisy, exact, exact_blocks(users, items, u, i, j), bpr_trace(*gathered(users, items, u, i, j))
    ):
        std = math.sqrt(2 * float((block - block.diag().diag()).square().sum())) * reference / float(trace)
        assert 0 < abs(value - reference) < 3 * std / math.sqrt(300)


def test_half_precision_is_raised_to_single():
    users, items = tables(9)
    u, i, j = triples(10, 9)
    vectors = torch.cat([users, items]).to(torch.bfloat16)
    nodes = (u, i + N_USERS, j + N_USERS)
    assert np.ravel(bpr_deltas(vectors, *nodes)) == pytest.approx(np.ravel(bpr_deltas(vectors.float(), *nodes)), rel=1e-6)


def test_refresh_averages_over_batches_and_keeps_delta_where_all_fail():
    readout = SidedQuantizer(N_USERS, N_ITEMS, 2)
    batches = []
    for seed in (10, 11, 12):
        u, i, j = triples(8, seed)
        batches.append((torch.cat(list(tables(seed))), u, i + N_USERS, j + N_USERS))
    expected = np.mean([np.ravel(bpr_deltas(*batch)) for batch in batches], axis=0)
    refresh_deltas(readout, iter(batches))
    assert [q[0].delta.item() for q in (readout.users, readout.items)] == pytest.approx(expected, rel=1e-6)
    broken = (torch.full((9, DIM), math.nan), *batches[0][1:])
    refresh_deltas(readout, [broken])
    assert [q[0].delta.item() for q in (readout.users, readout.items)] == pytest.approx(expected, rel=1e-6)
    refresh_deltas(readout, [broken, batches[0]], momentum=0.5)
    mixed = 0.5 * expected + 0.5 * np.ravel(bpr_deltas(*batches[0]))
    assert [q[0].delta.item() for q in (readout.users, readout.items)] == pytest.approx(mixed, rel=1e-6)


def test_bad_input_is_refused():
    vectors, none, q = torch.ones(4, 2), torch.empty(0, dtype=torch.int64), torch.ones(0, 2)
    with pytest.raises(ConfigError, match="at least one triple"):
        bpr_deltas(vectors, none, none, none)
    with pytest.raises(ConfigError, match="of no triples"):
        bpr_trace(q, q, q)
    with pytest.raises(ConfigError, match="did you mean 'closed'"):
        bpr_deltas(vectors, none, none, none, trace="close")
    with pytest.raises(ConfigError, match="samples is 0"):
        hutchinson_trace(lambda a: a.sum(), (vectors,), 0)
    with pytest.raises(ConfigError, match="from no batches"):
        refresh_deltas(SidedQuantizer(2, 2, 1), [])


def test_another_loss_is_measured_by_its_own_hessian():
    """δ of a softmax objective equals Tr(H)/‖g‖₁ from the full Hessian of its formula, in float64."""
    data = random_interactions(n_users=12, n_items=9, n_pairs=70, test=10, seed=5)
    config = TrainConfig(
        dim=3, n_layers=1, batch_size=16, loss="softmax", temperature=0.5, sampling="per_interaction", negatives="in_batch"
    )
    trainer = Trainer(build("lightgcn", data, config).double(), data, config)
    batch = trainer.encode(*next(iter(trainer.sampler.epoch(0).batches(16))))
    batch = dataclasses.replace(batch, vectors=batch.vectors.detach().round(decimals=1) + 0.05)
    places = batch.places()
    got = bpr_deltas(
        batch.vectors, *places, samples=4000, generator=torch.Generator().manual_seed(0),
        loss=lambda q: trainer.objective(dataclasses.replace(batch, vectors=q), twice=True),
    )  # fmt: skip
    q, expected = batch.vectors.clone().requires_grad_(), []
    value = trainer.objective(dataclasses.replace(batch, vectors=q), twice=True)
    gradient = torch.autograd.grad(value, q)[0]
    hessian = torch.autograd.functional.hessian(lambda v: trainer.objective(dataclasses.replace(batch, vectors=v), twice=True), q.detach())
    diagonal = hessian.reshape(q.numel(), q.numel()).diagonal().reshape(q.shape)
    for rows in (torch.unique(places[0]), torch.unique(places[1])):
        expected.append(max(float(diagonal[rows].sum() / gradient[rows].abs().sum()), 0.0))
    assert np.ravel(got) == pytest.approx(expected, rel=0.05)
