"""Hashing baselines of BACO: which codebook rows a user or an item gets without looking at the graph's communities.

Each function takes the numbers of rows of both sides (GraphHash's, in BACO's protocol) and returns a `Sharing`. Sources: official BACO and
GraphHash codes, unless a line says otherwise. Common differences, ours:

- ids are renumbered by a seeded permutation where the codes take `id mod K`: their ids are arbitrary, ours can follow popularity or time;
- hash functions have the prime 2^61 - 1 and exact arithmetic. The codes draw a 60-bit prime per function, and the product a·id overflows;
- everything follows `seed`, and ids of equal degree are taken in ascending order.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import scipy.sparse as sp

from recq_lib.config import TrainConfig
from recq_lib.data.interactions import Interactions
from recq_lib.errors import ConfigError, whole
from recq_lib.parts.building import sharing_method
from recq_lib.sharing.grouping import Stopwatch, found_by
from recq_lib.sharing.louvain import SIZE_OPTIONS, at_size
from recq_lib.sharing.sharing import Sharing

PRIME = 2**61 - 1  # Mersenne, above every id
PRIVATE = 0.5  # share of the rows that frequency and hybrid hashing give to single ids (official codes, "cutoff")


# ---- hash functions ---------------------------------------------------------------------------------------------------------


def universal_hash(ids: np.ndarray, n_rows: int, rng: np.random.Generator) -> np.ndarray:
    """((a·id + b) mod p) mod K, p = 2^61 - 1, a in [1, p) and b in [0, p) drawn from `rng` (Carter & Wegman, JCSS 1979).

    Parameters
    ----------
    ids : whole numbers in [0, p), any shape
    n_rows : K, at least 1

    Returns
    -------
    int64 in [0, K), of the shape of `ids`. Raises `ConfigError` for other ids or K < 1.
    """
    ids = np.asarray(ids)
    if ids.dtype.kind not in "iu" or (ids.size and not 0 <= ids.min() <= ids.max() < PRIME):
        raise ConfigError(f"ids are {ids.dtype} from {ids.min()} to {ids.max()}, but must be whole numbers in [0, 2^61 - 1)")
    n_rows = whole("n_rows", n_rows, 1)
    a, b = int(rng.integers(1, PRIME)), int(rng.integers(0, PRIME))
    exact = ids.astype(object)  # Python integers: a·id has up to 122 bits
    return ((a * exact + b) % PRIME % n_rows).astype(np.int64)


# ---- one row per node -------------------------------------------------------------------------------------------------------


def random_hash(data: Interactions, n_user_rows: int, n_item_rows: int, *, seed: int = 0) -> Sharing:
    """Row = π(id) mod K, π a seeded permutation of the side's ids: rows differ by at most one in their number of nodes.

    Arguments of this and the next functions: `n_user_rows` and `n_item_rows`, K of each side, from 1 to the side's number of ids.
    Raises `ConfigError` otherwise, or for a seed that is not a whole number ≥ 0.
    """
    return _per_side("random_hash", data, n_user_rows, n_item_rows, seed, _random_rows, "mean")


def _random_rows(degree: np.ndarray, n_rows: int, rng: np.random.Generator) -> np.ndarray:
    return rng.permutation(degree.size) % n_rows


def frequency_hash(data: Interactions, n_user_rows: int, n_item_rows: int, *, seed: int = 0) -> Sharing:
    """floor(K/2) ids of highest training degree have a row of their own, the last ones; the others share the rest by π(id) mod.

    (Ghaemmaghami et al. 2022, as BACO's supplement cites it.) Arguments and errors as in `random_hash`.
    """
    return _per_side("frequency_hash", data, n_user_rows, n_item_rows, seed, _frequency_rows, "mean")


def _frequency_rows(degree: np.ndarray, n_rows: int, rng: np.random.Generator) -> np.ndarray:
    top = _top(degree, n_rows)
    rows = rng.permutation(degree.size) % (n_rows - top.size)
    rows[top] = n_rows - top.size + np.arange(top.size)
    return rows


def lsh(data: Interactions, n_user_rows: int, n_item_rows: int, *, seed: int = 0, fair: bool = True) -> Sharing:
    """Sign bits of Gaussian projections of a user's row and of an item's column of the training matrix; the code is the row.

    `fair`: floor(log2 K) bits and a row for each code, so that no more than K rows are trained (ours). Otherwise as in the official code,
    as many bits as K has binary digits, and rows up to the largest code: up to twice K. A node without interactions has code 0, because
    only a projection above 0 sets its bit. Arguments and errors as in `random_hash`.
    """
    watch, settings = Stopwatch(), _checked(data, n_user_rows, n_item_rows, seed)
    rng, codes, sizes = np.random.default_rng(settings["seed"]), [], []
    for features, n_rows in ((data.train, settings["n_user_rows"]), (data.train.T, settings["n_item_rows"])):
        bits = n_rows.bit_length() - fair  # floor(log2 K) + 1 binary digits
        code = _codes(features, bits, rng)
        codes.append(code)
        sizes.append(2**bits if fair else int(code.max()) + 1)
    return found_by(Sharing(*codes, *sizes), "lsh", data, settings | {"fair": fair}, watch)


def _codes(features: sp.spmatrix, bits: int, rng: np.random.Generator) -> np.ndarray:
    signs = features @ rng.standard_normal((features.shape[1], bits)) > 0
    return signs @ (1 << np.arange(bits, dtype=np.int64)) if bits else np.zeros(features.shape[0], np.int64)


# ---- two rows per node ------------------------------------------------------------------------------------------------------


def double_hash(
    data: Interactions, n_user_rows: int, n_item_rows: int, *, seed: int = 0, budget_parameters: int | None = None, dim: int = 64
) -> Sharing:
    """The sum of two rows of the same codebook, chosen by two universal hashes (Zhang et al., RecSys 2020).

    The second index of every node counts as a parameter, so K rows exceed a budget of K·dim. With `budget_parameters` (ours) both K
    shrink by one factor until rows and indices together meet it: `dim`·rows + nodes ≤ budget. Other arguments and errors as in
    `random_hash`, and `ConfigError` for a budget that leaves a side no row.
    """
    sizes = _within(data, n_user_rows, n_item_rows, budget_parameters, dim)
    return _per_side("double_hash", data, *sizes, seed, _double_rows, "sum")


def hybrid_hash(
    data: Interactions, n_user_rows: int, n_item_rows: int, *, seed: int = 0, budget_parameters: int | None = None, dim: int = 64
) -> Sharing:
    """`double_hash` in the shared rows of `frequency_hash`; the ids with a row of their own have it twice, so twice its value.

    As in the official code, where their second index counts as a parameter too. Arguments and errors as in `double_hash`.
    """
    sizes = _within(data, n_user_rows, n_item_rows, budget_parameters, dim)
    return _per_side("hybrid_hash", data, *sizes, seed, _hybrid_rows, "sum")


def _double_rows(degree: np.ndarray, n_rows: int, rng: np.random.Generator) -> np.ndarray:
    ids = np.arange(degree.size)
    return np.stack([universal_hash(ids, n_rows, rng) for _ in range(2)], axis=1)


def _hybrid_rows(degree: np.ndarray, n_rows: int, rng: np.random.Generator) -> np.ndarray:
    top = _top(degree, n_rows)
    rows = _double_rows(degree, n_rows - top.size, rng)
    rows[top] = (n_rows - top.size + np.arange(top.size))[:, None]
    return rows


def _within(data: Interactions, n_user_rows: int, n_item_rows: int, budget: int | None, dim: int) -> tuple[int, int]:
    """Rows per side: as given, or in the same proportion within a budget of parameters."""
    if budget is None:
        return n_user_rows, n_item_rows
    given, dim = _sizes(data, n_user_rows, n_item_rows), whole("dim", dim, 1)
    total = min((int(budget) - data.n_nodes) // dim, sum(given))
    sizes = given[0] * total // sum(given), given[1] * total // sum(given)
    if min(sizes) < 1:
        raise ConfigError(
            f"a budget of {budget:,} parameters leaves {max(total, 0)} rows of {dim} beside {data.n_nodes:,} second indices, "
            "too few for both sides; give a larger budget or a smaller dim"
        )
    return sizes


# ---- common -----------------------------------------------------------------------------------------------------------------

_SideRule = Callable[[np.ndarray, int, np.random.Generator], np.ndarray]


def _per_side(
    method: str, data: Interactions, n_user_rows: int, n_item_rows: int, seed: int, rule: _SideRule, combine: str
) -> Sharing:
    """`rule` (training degrees [n], K, rng) → rows [n] or [n, 2], for the users and then for the items."""
    watch, settings = Stopwatch(), _checked(data, n_user_rows, n_item_rows, seed)
    sizes, rng = (settings["n_user_rows"], settings["n_item_rows"]), np.random.default_rng(settings["seed"])
    users = rule(np.diff(data.train.indptr), sizes[0], rng)
    items = rule(np.bincount(data.train.indices, minlength=data.n_items), sizes[1], rng)
    return found_by(Sharing(users, items, *sizes, combine), method, data, settings, watch)


def _top(degree: np.ndarray, n_rows: int) -> np.ndarray:
    """The ids that get a row of their own, by falling degree."""
    return np.argsort(-degree, kind="stable")[: int(PRIVATE * n_rows)]


def _checked(data: Interactions, n_user_rows: int, n_item_rows: int, seed: int) -> dict[str, int]:
    sizes = _sizes(data, n_user_rows, n_item_rows)
    return {"n_user_rows": sizes[0], "n_item_rows": sizes[1], "seed": whole("seed", seed, 0)}


def _sizes(data: Interactions, n_user_rows: int, n_item_rows: int) -> tuple[int, int]:
    """At most one row per id: with more, nothing is shared."""
    return whole("n_user_rows", n_user_rows, 1, data.n_users), whole("n_item_rows", n_item_rows, 1, data.n_items)


# ---- entries ----------------------------------------------------------------------------------------------------------------

def _hashed(function: Callable[..., Sharing], data: Interactions, config: TrainConfig) -> Sharing:
    """Hash functions are drawn anew with every seed."""
    return at_size(partial(function, data, seed=config.seed), data, config)


def _double(function: Callable[..., Sharing], data: Interactions, config: TrainConfig) -> Sharing:
    def find(*rows: int) -> Sharing:
        budget = config.dim * sum(rows) if config.options["fair"] else None
        return function(data, *rows, seed=config.seed, budget_parameters=budget, dim=config.dim)

    return at_size(find, data, config)


def _lsh(data: Interactions, config: TrainConfig) -> Sharing:
    return at_size(partial(lsh, data, seed=config.seed, fair=config.options["fair"]), data, config)


_FAIR = SIZE_OPTIONS | {"fair": False}
_random, _frequency = (partial(_hashed, function) for function in (random_hash, frequency_hash))
METHODS = (
    sharing_method("random-hash", "Random", _random, SIZE_OPTIONS, marker="v", colour="grey", published={"baco": "random"}),
    sharing_method("frequency-hash", "Frequency", _frequency, SIZE_OPTIONS, marker="^", published={"baco": "frequency"}),
    sharing_method("double-hash", "Double", partial(_double, double_hash), _FAIR, marker="<", published={"baco": "double"}),
    sharing_method("hybrid-hash", "Hybrid", partial(_double, hybrid_hash), _FAIR, marker=">", published={"baco": "hybrid"}),
    sharing_method("lsh-hash", "LSH (rows)", _lsh, SIZE_OPTIONS | {"fair": True}, marker="+", published={"baco": "lsh"}),
)
