"""Gradients and slopes against loops over entries."""

import numpy as np
import pytest
import torch

from recq_lib.companion.analysis import gradient_errors as tables
from recq_lib.papers.hq_gnn.trace import bpr_deltas


def loss_of(q, triples):
    total = 0.0
    for u, i, j in zip(*(part.tolist() for part in triples)):
        total += np.logaddexp(0, -float(q[u] @ (q[i] - q[j])))
    return total / len(triples[0])


@pytest.fixture
def small():
    """Vectors of 3 users and 4 items, and triples in which rows repeat and the last item occurs in none."""
    x = torch.randn(7, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    return x, tuple(torch.tensor(rows) for rows in ([0, 0, 1, 2, 2], [3, 4, 3, 5, 4], [5, 5, 4, 3, 3]))


def test_change_slopes_are_those_of_a_loop_over_entries(small):
    x, triples = small
    change = torch.linspace(-1, 1.6, 21, dtype=torch.float64).reshape(7, 3)
    found = tables.change_slopes(x, triples, change)
    for entry in np.ndindex(7, 3):
        moved = x.clone()
        moved[entry] += change[entry]
        expected = (loss_of(moved, triples) - loss_of(x, triples)) / float(change[entry])
        assert float(found[entry]) == pytest.approx(expected, abs=1e-12)
    assert (found[6] == 0).all()


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_estimator_errors_follow_their_definition(small, bits):
    x, triples = small
    s, top = 0.8, 2**bits - 1
    codes, values, kept = np.zeros((7, 3)), np.zeros((7, 3)), np.zeros((7, 3), bool)
    odd = np.arange(-top, top + 1, 2)
    for rows in (range(3), range(3, 7)):
        beta = 3 * x[rows.start : rows.stop].numpy().std()
        for r in rows:
            for k in range(3):
                raw = float(x[r, k]) * top / beta
                values[r, k] = min(max(raw, -top), top)
                codes[r, k] = odd[np.abs(odd - values[r, k]).argmin()]
                kept[r, k] = abs(raw) < top and r < 6
    q = torch.tensor(s / top * codes)
    (of_users,), (of_items,) = bpr_deltas(q, *triples)
    truth, size, g = np.zeros((7, 3)), np.zeros((7, 3)), np.zeros((7, 3))
    for r, k in np.ndindex(7, 3):
        error = values[r, k] - codes[r, k]
        size[r, k] = (of_users if r < 3 else of_items) * s / top * error
        other, moved, h = q.clone(), q.clone(), 1e-6
        other[r, k] += s / top * (2 if error > 0 else -2)
        truth[r, k] = (loss_of(other, triples) - loss_of(q, triples)) / float(other[r, k] - q[r, k])
        moved[r, k] += h
        g[r, k] = (loss_of(moved, triples) - loss_of(q, triples)) / h
    table = tables.estimator_errors(x, 3, triples, bits, s, (0.0, 1.0, 3.0)).set_index("times")
    for times, row in table.iterrows():
        estimate, true = (g + times * np.abs(g) * size)[kept], truth[kept]
        assert row["error"] == pytest.approx(np.linalg.norm(estimate - true) / np.linalg.norm(true), abs=1e-4)
        assert row["cosine"] == pytest.approx(estimate @ true / np.linalg.norm(estimate) / np.linalg.norm(true), abs=1e-4)
        assert row["wrong_sign"] == pytest.approx((np.sign(estimate) != np.sign(true)).mean())
        assert row["correction"] == pytest.approx(np.abs(size[kept]).mean())


def test_short_codes_leave_nothing_to_correct(small):
    x, triples = small
    errors = [tables.estimator_errors(x, 3, triples, 1, s).set_index("times") for s in (0.01, 0.1)]
    assert errors[0].loc[0.0, "error"] < 1e-3
    ratio = errors[1].loc[1.0, "correction"] / errors[0].loc[1.0, "correction"]
    assert ratio == pytest.approx(100, rel=0.05)  # grows with the square of the scale
