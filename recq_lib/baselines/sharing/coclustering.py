"""Co-clustering as a way to share rows: spectral co-clustering, spectral biclustering and information-theoretic co-clustering.

A node without train interactions has a row to itself, as in the official BACO code; clusters that a side leaves empty
have none.
"""

from __future__ import annotations

import math
import warnings
from functools import partial

import numpy as np
import scipy.sparse as sp

from recq_lib.baselines.sharing.bistochastic import bistochastic
from recq_lib.baselines.sharing.propagated import total_size
from recq_lib.config import TrainConfig
from recq_lib.data.interactions import Interactions
from recq_lib.errors import ConfigError, exactly_one, number, whole
from recq_lib.io.optional import optional
from recq_lib.kernels.coclustering import Scratch, reassign
from recq_lib.parts.building import sharing_method
from recq_lib.sharing.grouping import SEED, Stopwatch, degrees, found_by, sharing_of
from recq_lib.sharing.louvain import CLUSTER_OPTIONS, at_size
from recq_lib.sharing.sharing import Sharing

_EVALUATIONS = 4  # of a clustering with thousands of clusters: minutes
_MANY, _EVALUATIONS_OF_FEW = 500, 16


# ---- spectral methods --------------------------------------------------------------------------------------------------------


def scc(
    data: Interactions, n_clusters: int | None = None, *, rows: int | None = None, seed: int = SEED, tolerance: float = 0.01
) -> Sharing:
    """Spectral co-clustering (Dhillon, KDD 2001): k-means of users and items together in the leading singular vectors.

    The vectors are those of D_u^-1/2 B D_v^-1/2, 1 + ⌈log2 k⌉ of them without the first, scaled by the inverse roots of
    degrees, as scikit-learn's `SpectralCoclustering`. The number of clusters k is given, or found so that both sides
    together have `rows` rows to a relative `tolerance` (a cluster may be on one side only; at most four evaluations
    of more than 500 clusters, the closest kept).

    k-means is scikit-learn's, but started once (its default here is 10 times) from centres drawn by plain k-means++ (it
    compares 2 + log k draws per centre), for time: k-means with thousands of clusters takes minutes. One thread, so
    that the sums, and with them the clusters, do not depend on the machine's cores. Raises `ConfigError` for a number
    of clusters below 2 or above the number of nodes, `DataError` without interactions.
    """
    return _spectral("scc", _CoClusters(data), data, n_clusters, rows, seed, tolerance)


def sbc(
    data: Interactions,
    n_clusters: int | None = None,
    *,
    rows: int | None = None,
    seed: int = SEED,
    tolerance: float = 0.01,
    n_components: int = 6,
    n_best: int = 3,
) -> Sharing:
    """Spectral biclustering (Kluger et al., 2003): k clusters of users and k of items, apart from one another.

    B is scaled until rows have one sum and columns have one ("bistochastic"). Of its `n_components` singular vectors after
    the first the `n_best` that are closest to k steps (by k-means of their entries) are kept, and B's rows and columns
    projected on those of the other side are clustered, as scikit-learn's `SpectralBiclustering`. k, `rows` and k-means
    as in `scc`, that of single entries as in `k_means_line`. scikit-learn's scaling compares each step with B itself
    and so takes all its 1,000 steps, here it ends when the scaled matrix has settled (`bistochastic`).
    """
    n_components, n_best = whole("n_components", n_components, 1), whole("n_best", n_best, 1, n_components)
    return _spectral("sbc", _BiClusters(data, n_components, n_best), data, n_clusters, rows, seed, tolerance)


def _spectral(method, clusters, data, n_clusters, rows, seed, tolerance) -> Sharing:
    optional("sklearn", "baselines", method)
    from threadpoolctl import threadpool_limits

    exactly_one(n_clusters=n_clusters, rows=rows)
    watch, seed, tolerance = Stopwatch(), whole("seed", seed, 0, 2**32 - 1), number("tolerance", tolerance, 0)
    with threadpool_limits(1):
        if rows is None:
            k = whole("n_clusters", n_clusters, 2, clusters.most)
            sharing, tried = clusters(k, seed), ()
        else:
            k, sharing, tried = _search_clusters(clusters, whole("rows", rows, 4, data.n_nodes), seed, tolerance)
    settings = {"n_clusters": k, "rows": rows, "seed": seed, **clusters.settings}
    return found_by(sharing, method, data, settings, watch, tried=tried)


def _search_clusters(clusters, rows: int, seed: int, tolerance: float) -> tuple[int, Sharing, tuple[tuple[float, int], ...]]:
    """k, its rows and all that was tried. Rows of nodes with interactions are nearly proportional to k, others are fixed."""
    found, k = {}, max(2, min(clusters.most, round((rows - clusters.n_alone) / clusters.rows_per_cluster)))
    while k not in found and len(found) < (_EVALUATIONS if k > _MANY else _EVALUATIONS_OF_FEW):
        found[k] = clusters(k, seed)
        if abs(found[k].n_rows / rows - 1) <= tolerance:
            break
        k = round(k * max(rows - clusters.n_alone, 1) / (found[k].n_rows - clusters.n_alone))
        k = max(2, min(clusters.most, k))
        if k in found:  # between the nearest on both sides, where there is something
            below = max((tried for tried in found if found[tried].n_rows < rows), default=2)
            above = min((tried for tried in found if found[tried].n_rows > rows), default=clusters.most)
            k = (below + above) // 2
    best = min(found, key=lambda k: abs(found[k].n_rows - rows))
    return best, found[best], tuple((k, sharing.n_rows) for k, sharing in found.items())


class _Spectral:
    """The matrix without empty rows and columns, as float64."""

    def __init__(self, data: Interactions) -> None:
        self.present = tuple(degree > 0 for degree in degrees(data))
        self.matrix = data.train[self.present[0]][:, self.present[1]].astype(np.float64)
        self.n_alone = data.n_nodes - sum(self.matrix.shape)

    def _sharing(self, users: np.ndarray, items: np.ndarray) -> Sharing:
        sides = []
        for present, labels in zip(self.present, (users, items)):
            side = np.full(present.size, -1, np.int64)
            side[present] = labels
            sides.append(side)
        return sharing_of(*sides)

    def _singular_vectors(self, matrix, n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Left [U, ≤ n-1] and right [I, ≤ n-1] singular vectors after the first, which holds the degrees only."""
        from sklearn.utils.extmath import randomized_svd

        left, _, right = randomized_svd(matrix, min(n, *matrix.shape), random_state=seed)
        return left[:, 1:], right[1:].T


class _CoClusters(_Spectral):
    settings = {}
    rows_per_cluster = 1.6  # where the search starts; measured on Beauty and LastFM, the rest of the clusters are on one side only

    @property
    def most(self) -> int:
        return sum(self.matrix.shape)

    def __call__(self, k: int, seed: int) -> Sharing:
        scales = [1 / np.sqrt(np.asarray(self.matrix.sum(axis=axis)).ravel()) for axis in (1, 0)]
        normalised = (sp.diags_array(scales[0]) @ self.matrix @ sp.diags_array(scales[1])).tocsr()
        vectors = self._singular_vectors(normalised, 1 + math.ceil(math.log2(k)), seed)
        places = np.vstack([scale[:, None] * part for scale, part in zip(scales, vectors)])
        if places.shape[1] == 0:
            raise ConfigError(f"scc needs at least 2 users and 2 items with interactions, there are {self.matrix.shape}; give more data")
        labels, _ = _k_means(places, k, seed)
        return self._sharing(*np.split(labels, [self.matrix.shape[0]]))


class _BiClusters(_Spectral):
    rows_per_cluster = 2.0

    def __init__(self, data: Interactions, n_components: int, n_best: int) -> None:
        super().__init__(data)
        self.settings = {"n_components": n_components, "n_best": n_best}
        self._vectors: dict[int, tuple[np.ndarray, np.ndarray]] = {}  # by seed: they do not depend on k

    @property
    def most(self) -> int:
        return min(self.matrix.shape)

    def __call__(self, k: int, seed: int) -> Sharing:
        if seed not in self._vectors:
            scaled = bistochastic(self.matrix)
            self._vectors[seed] = self._singular_vectors(scaled, 1 + self.settings["n_components"], seed)
        if self._vectors[seed][0].shape[1] == 0:
            raise ConfigError(f"sbc needs at least 2 users and 2 items with interactions, there are {self.matrix.shape}; give more data")
        left, right = (self._most_stepped(vectors, k, seed) for vectors in self._vectors[seed])
        users, items = (_k_means(projected, k, seed)[0] for projected in (self.matrix @ right, self.matrix.T @ left))
        return self._sharing(users, items)

    def _most_stepped(self, vectors: np.ndarray, k: int, seed: int) -> np.ndarray:
        """The `n_best` columns nearest to a vector of k different entries."""
        distance = []
        for vector in vectors.T:
            labels, centres = k_means_line(vector, k, seed)
            distance.append(np.linalg.norm(vector - centres[labels]))
        return vectors[:, np.argsort(distance, kind="stable")[: self.settings["n_best"]]]


def _k_means(points: np.ndarray, k: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(labels [n], centres [k, d]); fewer clusters than k are used where fewer points differ."""
    from sklearn.cluster import KMeans, kmeans_plusplus
    from sklearn.exceptions import ConvergenceWarning

    centres, _ = kmeans_plusplus(points, k, random_state=seed, n_local_trials=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        found = KMeans(k, init=centres, n_init=1, random_state=seed).fit(points)
    return found.labels_, found.cluster_centers_


def k_means_line(values: np.ndarray, k: int, seed: int, iterations: int = 300) -> tuple[np.ndarray, np.ndarray]:
    """k-means of numbers [n], from plain k-means++ until nothing moves: (labels [n], centres [≤ k] in rising order).

    On a line the nearest centre is found by bisection, so that an iteration takes n·log k steps and not n·k.
    """
    rng, centres = np.random.default_rng(seed), []
    distance = np.ones(values.size)
    while len(centres) < k and distance.any():
        reach = np.cumsum(distance)
        centres.append(values[min(np.searchsorted(reach, rng.random() * reach[-1], side="right"), values.size - 1)])
        distance = np.minimum(distance if len(centres) > 1 else np.inf, (values - centres[-1]) ** 2)
    centres, labels = np.unique(centres), np.full(values.size, -1)
    for _ in range(iterations):
        before, labels = labels, np.searchsorted((centres[1:] + centres[:-1]) / 2, values)
        if np.array_equal(before, labels):
            break
        count = np.bincount(labels, minlength=centres.size)
        centres = np.where(count > 0, np.bincount(labels, values, centres.size) / np.maximum(count, 1), centres)
    return labels, centres


# ---- information-theoretic co-clustering -------------------------------------------------------------------------------------


def itcc(data: Interactions, n_user_rows: int, n_item_rows: int, *, iterations: int = 20, seed: int = SEED) -> Sharing:
    """Information-theoretic co-clustering (Dhillon et al., KDD 2003): clusters that keep the mutual information of users and items.

    With p(u, v) = B_uv/|E|, users and then items move to the cluster nearest in Kullback-Leibler divergence,
    `iterations` times or until nothing moves. Sparse: only clusters that share interactions with a node's are compared.
    `objective` is I(Û; V̂) in nats at the start and after each iteration; what is lost is I(U; V) minus it.

    With thousands of clusters most pairs of clusters share nothing, so that few clusters are at a finite divergence
    from a node and little moves: the result stays near its random start. Clusters start with equal sizes; those that
    die out have no row, and nodes without interactions take one each out of `n_user_rows` and `n_item_rows`. Raises
    `ConfigError` where these are out of range.
    """
    watch, rng = Stopwatch(), np.random.default_rng(whole("seed", seed, 0))
    iterations, degree = whole("iterations", iterations, 1), degrees(data)
    labels, sizes = [], []
    for name, rows, part in (("n_user_rows", n_user_rows, degree[0]), ("n_item_rows", n_item_rows, degree[1])):
        alone = np.count_nonzero(part == 0)
        sizes.append(whole(name, rows, alone + 1, part.size) - alone)
        labels.append(np.where(part > 0, -1, 0))
        labels[-1][part > 0] = rng.permutation(part.size - alone) % sizes[-1]
    matrices, history = (data.train, data.train.T.tocsr()), [_information(_joint(data.train, *labels, *sizes))]
    for _ in range(iterations):
        before = [part.copy() for part in labels]
        for side in (0, 1):
            _move(matrices[side], labels[side], labels[1 - side], sizes[side], sizes[1 - side])
        history.append(_information(_joint(data.train, *labels, *sizes)))
        if all(np.array_equal(old, new) for old, new in zip(before, labels)):
            break
    sharing = sharing_of(*(np.where(part > 0, found, -1) for part, found in zip(degree, labels)))
    settings = {"n_user_rows": n_user_rows, "n_item_rows": n_item_rows, "iterations": len(history) - 1, "seed": seed}
    return found_by(sharing, "itcc", data, settings, watch, objective=tuple(history))


def _move(matrix, labels: np.ndarray, others: np.ndarray, n_labels: int, n_others: int) -> None:
    joint = _joint(matrix, labels, others, n_labels, n_others).tocsc()
    column = np.repeat(np.arange(n_others), np.diff(joint.indptr))
    ratio = joint.data * joint.data.sum() / (_sums(joint, 1)[joint.indices] * _sums(joint, 0)[column])
    related = joint.indptr, joint.indices, np.log(ratio)
    reassign((matrix.indptr, matrix.indices), others, related, labels, Scratch.of(n_labels, n_others))


def _joint(matrix, labels: np.ndarray, others: np.ndarray, n_labels: int, n_others: int) -> sp.csr_matrix:
    """Interactions [n_labels, n_others] between clusters."""
    row = np.repeat(labels, np.diff(matrix.indptr))
    return sp.coo_matrix((np.ones(row.size), (row, others[matrix.indices])), shape=(n_labels, n_others)).tocsr()


def _sums(joint, axis: int) -> np.ndarray:
    return np.asarray(joint.sum(axis=axis)).ravel()


def _information(joint: sp.csr_matrix) -> float:
    """Mutual information in nats of the joint distribution proportional to `joint`."""
    joint, total = joint.tocoo(), joint.sum()
    ratio = joint.data * total / (_sums(joint, 1)[joint.row] * _sums(joint, 0)[joint.col])
    return float((joint.data * np.log(ratio)).sum() / total)


# ---- entries ----------------------------------------------------------------------------------------------------------------

def _itcc(data: Interactions, config: TrainConfig) -> Sharing:
    return at_size(partial(itcc, data, seed=config.options["cluster_seed"]), data, config)


METHODS = (
    sharing_method("scc", "SCC", partial(total_size, scc), CLUSTER_OPTIONS, marker="*"),
    sharing_method("sbc", "SBC", partial(total_size, sbc), CLUSTER_OPTIONS, marker="8"),
    sharing_method("itcc", "ITCC", _itcc, CLUSTER_OPTIONS, marker="1"),
)
