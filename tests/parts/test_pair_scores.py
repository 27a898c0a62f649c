import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recq_lib.kernels.pair_scores import group
from recq_lib.parts.pair_scores import pair_scores


def gathered(z, left, right):
    return (z[left] * z[right]).sum(dim=1)


@pytest.mark.parametrize(("n_rows", "n_pairs", "dim"), [(1, 3, 4), (20, 50, 1), (30, 400, 70), (40, 5000, 128), (500, 90, 64)])
def test_scores_and_gradient_equal_gathering(n_rows, n_pairs, dim):
    generator = torch.Generator().manual_seed(n_pairs)
    z = torch.randn(n_rows, dim, dtype=torch.float64, generator=generator, requires_grad=True)
    left, right = (torch.randint(n_rows, (n_pairs,), generator=generator) for _ in range(2))  # repeats, and pairs of a row with itself
    weight = torch.randn(n_pairs, dtype=torch.float64, generator=generator)
    scores = pair_scores(z, left, right)
    torch.testing.assert_close(scores, gathered(z, left, right), rtol=1e-12, atol=1e-12)
    got = torch.autograd.grad((scores.sin() * weight).sum(), z)[0]
    expected = torch.autograd.grad((gathered(z, left, right).sin() * weight).sum(), z)[0]
    torch.testing.assert_close(got, expected, rtol=1e-10, atol=1e-10)
    single = pair_scores(z.detach().float(), left, right)
    torch.testing.assert_close(single, scores.detach().float(), rtol=1e-4, atol=1e-4)


def test_no_pairs_give_no_scores_and_a_zero_gradient():
    z, none = torch.ones(3, 2, requires_grad=True), torch.empty(0, dtype=torch.int64)
    scores = pair_scores(z, none, none)
    assert scores.shape == (0,)
    assert torch.equal(torch.autograd.grad(scores.sum(), z)[0], torch.zeros(3, 2))


def test_the_gradient_repeats_bit_for_bit():
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(50, 64, generator=generator, requires_grad=True)
    left, right = (torch.randint(50, (3000,), generator=generator) for _ in range(2))
    first, second = (torch.autograd.grad(pair_scores(z, left, right).square().sum(), z)[0] for _ in range(2))
    assert torch.equal(first, second)


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=40))
def test_grouping_lists_both_ends_of_every_pair_in_order(pairs):
    left, right = (np.array([pair[side] for pair in pairs], np.int64) for side in (0, 1))
    indptr, other, pair = group(left, right, 7)
    for row in range(7):
        expected = [(j, k) for k, ends in enumerate(pairs) for i, j in (ends, ends[::-1]) if i == row]
        assert list(zip(other[indptr[row] : indptr[row + 1]], pair[indptr[row] : indptr[row + 1]], strict=True)) == expected
