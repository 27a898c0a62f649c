import numpy as np
import pytest
import torch
from helpers import naive_ranking, random_interactions

from recq_lib.codes.codes import Codes
from recq_lib.config import TrainConfig
from recq_lib.evaluation.ranking import evaluate, rank
from recq_lib.graph.adjacency import Graph
from recq_lib.papers.hq_gnn.readout import SidedQuantizer
from recq_lib.parts.model import Recommender
from recq_lib.parts.ngcf import NGCF, SideBySide
from recq_lib.parts.tables import FullTable
from recq_lib.runs.registry import build

BITS = (1, 2, 3, 4, 8)


def random_codes(bits, n_users=13, n_items=60, dim=64, seed=0):
    rng = np.random.default_rng(seed)
    top = 2**bits - 1
    return tuple((2 * rng.integers(0, top + 1, (n, dim)) - top).astype(np.int16) for n in (n_users, n_items))


def packed(users, items, bits):
    return Codes.from_levels(np.concatenate([users, items])[None], bits, n_users=len(users))


@pytest.mark.parametrize("bits", BITS)
def test_float_integer_and_bit_plane_rankings_are_the_same(bits):
    """Ties included: with s/L a power of two, inner products of Q are exact in float64, so equal scores are equal there."""
    users, items = random_codes(bits, n_items=200, seed=bits)
    step_u, step_i = 2.0**-5, 2.0**-7
    q_users, q_items = users * step_u, items * step_i
    float_scores = q_users @ q_items.T
    integer_scores = users.astype(np.int64) @ items.astype(np.int64).T
    np.testing.assert_array_equal(float_scores / (step_u * step_i), integer_scores)
    codes = packed(users, items, bits)
    everyone, place = np.arange(13), np.empty(200, int)
    place[np.random.default_rng(0).permutation(200)] = np.arange(200)  # `rank` breaks ties by this order
    expected = [naive_ranking(row, set(), 50, place) for row in float_scores]
    from_planes = rank(codes, everyone, 200, 50, masks=())
    from_integers = rank((torch.from_numpy(users).float(), torch.from_numpy(items).float()), everyone, 200, 50, masks=())
    np.testing.assert_array_equal(from_planes, expected)
    np.testing.assert_array_equal(from_integers, expected)
    if bits <= 2:
        assert any(np.unique(row).size < row.size for row in float_scores)  # there were ties to break


def test_any_scale_leaves_the_scores_proportional():
    users, items = random_codes(4, seed=5)
    step_u, step_i = 0.0371, 0.113  # no powers of two: float64 rounds, and integers are what the rounding hides
    scores = (users * step_u) @ (items * step_i).T / (step_u * step_i)
    np.testing.assert_array_equal(np.rint(scores).astype(int), packed(users, items, 4).scores(np.arange(13)))


@pytest.mark.parametrize("bits", [1, 2, 3, 4])
def test_ranking_by_unsigned_products_is_another_ranking(bits):
    users, items = random_codes(bits, seed=6)
    top = 2**bits - 1
    q_users, q_items = (users.astype(int) + top) // 2, (items.astype(int) + top) // 2
    raw, right = q_users @ q_items.T, users.astype(int) @ items.astype(int).T
    place = np.arange(60)
    different = [naive_ranking(a, set(), 10, place) != naive_ranking(b, set(), 10, place) for a, b in zip(raw, right)]
    assert np.mean(different) > 0.5
    corrected = 4 * raw - 2 * top * q_items.sum(axis=1)  # one integer per item repairs it
    for a, b in zip(corrected, right):
        assert naive_ranking(a, set(), 60, place) == naive_ranking(b, set(), 60, place)


# ---- export of a model -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def data():
    return random_interactions(seed=4)


def quantized(data, bits, bounds="scale", **options):
    model = build("lightgcn", data, TrainConfig(dim=16, n_layers=2, seed=1))
    model.readout = SidedQuantizer(data.n_users, data.n_items, bits, bounds, **options)
    model.train()
    model()  # the first batch sets the scales
    return model


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("bounds", ["scale", "learn"])
def test_model_and_its_export_evaluate_alike(data, bits, bounds):
    model = quantized(data, bits, bounds)
    codes = model.codes()
    assert model.training  # as before
    a, b = evaluate(model, data, ks=(5,)), evaluate(codes, data, ks=(5,))
    np.testing.assert_array_equal(a.top, b.top)
    assert a.values == b.values
    assert codes.scales is None and codes.n_segments == 1 and codes.bits == bits
    assert codes.n_bytes() == model.n_bytes()["stored"]
    q = model.eval().readout.vectors(model.layers()).detach().double()
    scores = (q[: data.n_users] @ q[data.n_users :].T).numpy()
    integers = codes.scores(np.arange(data.n_users))
    assert (integers == np.rint(integers)).all()
    scale = float((model.readout.users[0].s * model.readout.items[0].s).detach()) / (2**bits - 1) ** 2
    np.testing.assert_allclose(scores, scale * integers, rtol=0, atol=scale * 16 * (2**bits - 1) ** 2 * 2.0**-22)  # Q is float32


def test_blocks_with_their_own_scales_give_weighted_sums(data):
    graph = Graph.from_interactions(data)
    generator = torch.Generator().manual_seed(0)
    readout = SidedQuantizer(data.n_users, data.n_items, 2, inner=SideBySide(), blocks=3)
    model = Recommender(graph, FullTable(data.n_nodes, 8, generator=generator), NGCF(2, 8, generator=generator), readout)
    model()
    codes = model.codes()
    assert codes.n_segments == 3 and codes.dim == 8
    assert len({round(float(weight), 12) for weight in codes.weights}) == 3
    users, items = model.embeddings()
    expected = users.double() @ items.double().T
    everyone = np.arange(data.n_users)
    np.testing.assert_allclose(codes.scores(everyone), expected.numpy(), rtol=1e-5, atol=1e-6)
    levels = codes.values().astype(np.int64)  # by hand: exact integers of each block, times the two steps
    sides = model.eval().readout.tables(model.layers())
    by_blocks = sum(
        step_u.step(u) * step_i.step(i) * (part[: data.n_users] @ part[data.n_users :].T)
        for (step_u, u), (step_i, i), part in zip(sides["users"], sides["items"], levels, strict=True)
    )
    np.testing.assert_allclose(codes.scores(everyone), by_blocks, rtol=1e-5, atol=1e-6)
    z = codes.vectors().astype(np.float64)
    np.testing.assert_allclose(z[: data.n_users] @ z[data.n_users :].T, by_blocks, rtol=1e-5, atol=1e-6)
    assert codes.n_bytes() == model.n_bytes()["stored"]
