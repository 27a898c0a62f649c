import numpy as np
import pytest
import torch
from helpers import random_interactions
from scipy import stats

from recq_lib.data.interactions import Interactions
from recq_lib.errors import ConfigError, DataError
from recq_lib.training.sampling import CONVENTIONS, TripleSampler, _mix, _TorchDraws


@pytest.fixture(scope="module")
def data():
    return random_interactions(n_users=30, n_items=20, n_pairs=250, test=50, seed=1)


def as_sets(data):
    users, items = data.pairs("train")
    return {u: set(items[users == u].tolist()) for u in range(data.n_users)}


def reference_mix(x: int) -> int:
    """SplitMix64 finaliser in Python integers."""
    m = (1 << 64) - 1
    x = (x * 0x9E3779B97F4A7C15) & m
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & m
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & m
    return x ^ (x >> 31)


def test_mix_equals_unsigned_arithmetic():
    values = [0, 1, 2, 12345, 2**31, 2**62 + 17, -1, -(2**63)]
    got = _mix(torch.tensor(values, dtype=torch.int64)).numpy().view(np.uint64)
    assert [int(x) for x in got] == [reference_mix(v % 2**64) for v in values]


@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize("negatives", ["unobserved", "uniform"])
def test_triples_are_valid(data, convention, negatives):
    sampler, known = TripleSampler(data, convention=convention, negatives=negatives, seed=5), as_sets(data)
    triples = sampler.epoch(2)
    assert len(triples) == sampler.n_triples
    for user, positive, negative in zip(triples.users.tolist(), triples.positives.tolist(), triples.negatives.tolist(), strict=True):
        assert positive in known[user]
        assert 0 <= negative < data.n_items
        assert negatives == "uniform" or negative not in known[user]


def test_per_interaction_visits_each_pair_once(data):
    triples = TripleSampler(data, convention="per_interaction").epoch(0)
    seen = sorted(zip(triples.users.tolist(), triples.positives.tolist(), strict=True))
    assert seen == sorted(zip(*(a.tolist() for a in data.pairs("train")), strict=True))


def test_per_user_gives_each_user_the_same_number(data):
    triples = TripleSampler(data, convention="per_user").epoch(0)
    counts = np.bincount(triples.users.numpy(), minlength=data.n_users)
    active = np.diff(data.train.indptr) > 0
    assert set(counts[active]) == {data.n_train // data.n_users} and counts[~active].sum() == 0


def test_uniform_user_draws_as_many_as_interactions(data):
    sampler = TripleSampler(data, convention="uniform_user")
    counts = sum(np.bincount(sampler.epoch(e).users.numpy(), minlength=data.n_users) for e in range(60))
    active = np.diff(data.train.indptr) > 0
    assert len(sampler.epoch(0)) == data.n_train
    assert stats.chisquare(counts[active]).pvalue > 1e-3


def test_negatives_are_uniform_over_unobserved_items():
    data = Interactions.from_pairs((np.zeros(4, int), np.array([0, 2, 3, 9])), n_users=1, n_items=12)
    sampler = TripleSampler(data, convention="per_user", seed=3)
    counts = np.bincount(torch.cat([sampler.epoch(e).negatives for e in range(3000)]).numpy(), minlength=12)
    assert counts[[0, 2, 3, 9]].sum() == 0
    assert stats.chisquare(counts[[1, 4, 5, 6, 7, 8, 10, 11]]).pvalue > 1e-3


def test_positives_are_uniform_over_the_users_items():
    data = Interactions.from_pairs((np.array([0, 0, 0, 1]), np.array([1, 4, 5, 0])), n_users=2, n_items=6)
    sampler = TripleSampler(data, convention="per_user", seed=3)
    drawn = torch.cat([sampler.epoch(e).positives[sampler.epoch(e).users == 0] for e in range(2000)])
    assert stats.chisquare(np.bincount(drawn.numpy(), minlength=6)[[1, 4, 5]]).pvalue > 1e-3


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_item_shares_are_those_of_many_epochs(data, convention):
    sampler, epochs = TripleSampler(data, convention=convention, seed=2), 400
    counts = sum(np.bincount(sampler.epoch(e).positives.numpy(), minlength=data.n_items) for e in range(epochs))
    shares = sampler.item_shares()
    expected = shares * epochs * sampler.n_triples
    assert shares.dtype == np.float64 and shares.sum() == pytest.approx(1, rel=1e-12)
    if convention == "per_interaction":
        assert counts == pytest.approx(expected, rel=1e-12)
    else:  # a chi-square test of the other convention's shares fails by far
        assert stats.chisquare(counts[expected > 0], expected[expected > 0]).pvalue > 1e-3
        assert counts[expected == 0].sum() == 0
        wrong = np.bincount(data.train.indices, minlength=data.n_items) / data.n_train * counts.sum()
        assert stats.chisquare(counts[expected > 0], wrong[expected > 0]).pvalue < 1e-6


def test_item_shares_of_users_by_hand():
    data = Interactions.from_pairs((np.array([0, 0, 1, 3]), np.array([0, 1, 1, 2])), n_users=4, n_items=4)
    for convention, expected in (("per_interaction", [1 / 4, 1 / 2, 1 / 4, 0]), ("uniform_user", [1 / 6, 1 / 2, 1 / 3, 0])):
        assert TripleSampler(data, convention=convention).item_shares() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_epochs_depend_on_seed_and_number_only(data, convention):
    def draw(seed, epoch):
        t = TripleSampler(data, convention=convention, seed=seed).epoch(epoch)
        return torch.stack([t.users, t.positives, t.negatives])

    torch.manual_seed(1)
    first = draw(0, 4)
    torch.manual_seed(2)
    assert torch.equal(first, draw(0, 4))
    assert not torch.equal(first, draw(0, 5))
    assert not torch.equal(first, draw(1, 4))


def test_streams_of_one_epoch_are_independent(data):
    sampler = TripleSampler(data, convention="uniform_user", negatives="uniform")
    streams = np.array([sampler._draw.items(sampler._key(0, purpose), 5000).numpy() for purpose in range(3)], float)
    correlation = np.corrcoef(streams)[np.triu_indices(3, 1)]
    assert np.abs(correlation).max() < 4 / np.sqrt(streams.shape[1])


@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize("negatives", ["unobserved", "uniform"])
@pytest.mark.parametrize("seed", [0, 7, 2**31 - 1])
def test_kernel_and_torch_draw_the_same_triples(data, convention, negatives, seed):
    kernel, device = (TripleSampler(data, convention=convention, negatives=negatives, seed=seed) for _ in range(2))
    device._draw = _TorchDraws(device)
    for epoch in (0, 3):
        a, b = kernel.epoch(epoch), device.epoch(epoch)
        assert torch.equal(a.users, b.users) and torch.equal(a.positives, b.positives) and torch.equal(a.negatives, b.negatives)


def test_batches_cover_the_epoch_in_order(data):
    triples = TripleSampler(data, convention="per_interaction").epoch(0)
    parts = list(triples.batches(64))
    assert [p[0].numel() for p in parts] == [64, 64, 64, 8]
    assert torch.equal(torch.cat([p[2] for p in parts]), triples.negatives)


def test_bad_input_is_refused(data):
    full = Interactions.from_pairs((np.array([0, 0, 1]), np.array([0, 1, 0])), n_users=2, n_items=2)
    with pytest.raises(DataError, match="user 0 has consumed all 2 items"):
        TripleSampler(full, convention="per_user")
    assert len(TripleSampler(full, convention="per_user", negatives="uniform").epoch(0)) == 2
    with pytest.raises(ConfigError, match="did you mean 'per_user'"):
        TripleSampler(data, convention="peruser")
    with pytest.raises(ConfigError, match="seed is -1"):
        TripleSampler(data, convention="per_user", seed=-1)
