import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recq_lib.errors import ConfigError
from recq_lib.parts.tables import SharedTable
from recq_lib.sharing.sharing import Sharing


def naive_table(sharing, weight):
    """Row by row, from the definition."""
    rows = []
    for side, offset in ((sharing.users, 0), (sharing.items, sharing.n_user_rows)):
        for row in side:
            picked = [weight[offset + r] for r in row if r >= 0]
            rows.append(np.sum(picked, axis=0) / (len(picked) if sharing.combine == "mean" else 1))
    return np.array(rows)


@st.composite
def sharings(draw):
    k_u, k_i = draw(st.integers(1, 5)), draw(st.integers(1, 4))

    def side(n_rows):
        first = st.integers(0, n_rows - 1)
        return draw(st.lists(st.tuples(first, st.integers(-1, n_rows - 1)), min_size=1, max_size=9))

    return Sharing(np.array(side(k_u)), np.array(side(k_i)), k_u, k_i, draw(st.sampled_from(["mean", "sum"])))


@given(sharings())
def test_table_and_gradient_equal_picking_rows(sharing):
    table = SharedTable(sharing, 3, generator=torch.Generator().manual_seed(0)).double()
    weight = table.weight.detach().numpy()
    np.testing.assert_allclose(table().detach(), naive_table(sharing, weight), rtol=1e-6)
    incoming = torch.randn(sharing.n_nodes, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    (grad,) = torch.autograd.grad((table() * incoming).sum(), table.weight)
    step = 1e-3  # the table is linear in its rows, so a finite difference is exact
    for k in range(sharing.n_rows):
        moved = weight.copy()
        moved[k, 0] += step
        expected = ((naive_table(sharing, moved) - naive_table(sharing, weight)) * incoming.numpy()).sum() / step
        assert float(grad[k, 0]) == pytest.approx(expected, rel=1e-5, abs=1e-7)


def test_counts_by_hand():
    sharing = Sharing(np.array([[0, 1], [1, -1], [1, 0]]), np.array([0, 0]), 2, 1)
    assert (sharing.n_rows, sharing.n_nodes, sharing.n_extra) == (3, 5, 2)
    assert sharing.n_parameters(64) == 64 * 3 + 2
    assert sharing.n_bytes(64) == 4 * 64 * 3 + 4 * 7
    assert SharedTable(sharing, 64).n_parameters == 194


def test_one_row_per_node_is_the_full_table():
    table = SharedTable(Sharing(np.arange(4), np.arange(3), 4, 3), 5)
    assert torch.equal(table(), table.weight)


def test_nodes_of_one_row_move_together():
    table = SharedTable(Sharing(np.array([0, 0, 1]), np.array([0]), 2, 1), 4)
    table()[0].sum().backward()
    assert torch.equal(table.weight.grad[0], torch.ones(4)) and table.weight.grad[1:].abs().sum() == 0
    assert torch.equal(table()[0], table()[1])


def test_bad_rows_are_refused():
    for users in ([[-1, 0]], [[2, -1]], [[0, -2]]):
        with pytest.raises(ConfigError, match="rows of users"):
            Sharing(np.array(users), np.array([0]), 2, 1)
    with pytest.raises(ConfigError, match="combine"):
        Sharing(np.array([0]), np.array([0]), 1, 1, "concat")
    with pytest.raises(ConfigError, match="at least one column"):
        SharedTable(Sharing(np.array([0]), np.array([0]), 1, 1), 0)
