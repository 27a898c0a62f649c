"""`Index`: codes laid out to be searched, with the ids of your data and what every user has already, in one file that is mapped (ours).

An index holds what answering needs and no more: items' codes side by side in the order of ties, users' codes, their factors. To search it
takes numpy and numba; PyTorch is not loaded. `Codes` remain what is trained, packed and compared; an index is made from them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike

from recq_lib.codes import file
from recq_lib.codes.codes import Codes
from recq_lib.codes.names import Names, listed, whole_number
from recq_lib.codes.planes import MAX_BITS, n_words
from recq_lib.codes.search import best_items, check_range, checked_request, lists_of
from recq_lib.errors import ConfigError, DataError, RecordError, whole
from recq_lib.io.frozen import fixed
from recq_lib.kernels import topk
from recq_lib.kernels.instructions import GROUP
from recq_lib.kernels.item_groups import Form, ItemGroups, Users, group_items, lay_users


class Seen(NamedTuple):
    """Items of every user, as the rows of a CSR matrix [users, items]: indptr int64 [U + 1], indices int32."""

    indptr: np.ndarray
    indices: np.ndarray


@dataclass(frozen=True, eq=False, repr=False)
class Index:
    """What is searched.

    Attributes
    ----------
    items : items' codes, 64 side by side, in the order of ties
    order : int32 [I], position → item number
    planes : uint64 [S, U, b, W], users' codes; factors : float32 [S, U]
    user_names, item_names : own ids, or None where numbers are the ids
    seen : what users have already and are not recommended again, or None
    tie_seed : of the order of ties

    >>> import numpy as np
    >>> from recq_lib.codes.index import Index
    >>> from recq_lib.codes.packing import pack
    >>> codes = pack(users=np.array([[1.0, 2.0], [-1.0, 3.0]]), items=np.array([[2.0, 2.0], [-1.0, 1.0], [1.0, -1.0]]), bits=4)
    >>> index = Index.of(codes, user_ids=["ann", "bob"], item_ids=["tea", "rye", "oil"])
    >>> index
    Index(4 bits, 1 segment of 2 columns, 2 users, 3 items, with ids)
    >>> items, scores = index.recommend(["bob"], k=2)
    >>> items[0].tolist()
    ['tea', 'rye']
    """

    items: ItemGroups
    order: np.ndarray
    planes: np.ndarray
    factors: np.ndarray
    user_names: Names | None = None
    item_names: Names | None = None
    seen: Seen | None = None
    tie_seed: int = 0

    # ---- making ------------------------------------------------------------------------------------------------------------

    @classmethod
    def of(
        cls,
        codes: Codes,
        *,
        user_ids: Iterable | None = None,
        item_ids: Iterable | None = None,
        seen: sp.csr_matrix | None = None,
        tie_seed: int = 0,
    ) -> Index:
        """An index of `codes`.

        Parameters
        ----------
        user_ids, item_ids : own ids of the numbers 0, 1, …: whole numbers, or text; without them the numbers are the ids
        seen : CSR matrix [users, items]; `recommend` leaves out what is stored in a user's row
        tie_seed : as in `Codes.search`

        Raises `ConfigError` for codes without users or without items, ids of another length or kind, and a `seen` of another shape.
        """
        n, order = codes.n_users, topk.tie_order(codes.n_items, tie_seed)
        if not 0 < n < codes.n_nodes:
            raise ConfigError(f"codes hold {n} users and {codes.n_items} items; an index needs at least one of each")
        check_range(codes.weights, *((None, None) if codes.scales is None else (codes.scales[:, :n], codes.scales[:, n:])), codes.largest)
        rows = n + order.astype(np.int64)
        items = group_items(codes.planes, codes.factors(rows), codes.dim, rows)
        names = _names(user_ids, "user", n), _names(item_ids, "item", codes.n_items)
        kept = None if seen is None else _seen(seen, n, codes.n_items)
        return cls(items, order, codes.planes[:, :n], codes.factors(np.arange(n)), *names, kept, whole("tie_seed", tie_seed, 0))

    # ---- what it is ----------------------------------------------------------------------------------------------------------

    @property
    def n_users(self) -> int:
        return self.planes.shape[1]

    @property
    def n_items(self) -> int:
        return self.items.n_items

    @cached_property
    def user_ids(self) -> np.ndarray | None:
        """All own ids, [U], read when first asked for; None where numbers are the ids. `recommend` does not need them."""
        return _all(self.user_names)

    @cached_property
    def item_ids(self) -> np.ndarray | None:
        return _all(self.item_names)

    @cached_property
    def place_of(self) -> np.ndarray:
        """int32 [I], item number → position."""
        return topk.positions(self.order)

    def n_bytes(self) -> dict[str, int]:
        """Bytes by what they hold: codes (with factors and the order of ties), names, seen."""
        codes = self.items.words.nbytes + self.items.factors.nbytes + self.order.nbytes + self.planes.nbytes + self.factors.nbytes
        names = [part for side in ("user", "item") for part in self._of_names(side).values()]
        return {
            "codes": codes,
            "names": sum(part.nbytes for part in names),
            "seen": 0 if self.seen is None else self.seen.indptr.nbytes + self.seen.indices.nbytes,
        }

    def __repr__(self) -> str:
        form, n_segments = self.items.form, self.factors.shape[0]
        sizes = [(form.bits, "bit", ""), (n_segments, "segment", f" of {form.dim} columns")]
        sizes += [(self.n_users, "user", ""), (self.n_items, "item", "")]
        told = [f"{n:,} {name}{'' if n == 1 else 's'}{more}" for n, name, more in sizes]
        told += ["with ids"] * (self.user_names is not None or self.item_names is not None)
        return f"Index({', '.join(told)})"

    # ---- search ------------------------------------------------------------------------------------------------------------

    def users(self, numbers: np.ndarray) -> Users:
        return lay_users(self.planes, self.factors[:, numbers], self.items.form.dim, numbers)

    def parts(self) -> Iterator[tuple[int, ItemGroups]]:
        yield 0, self.items

    def best(self, users: np.ndarray, k: int, masks: Sequence, tie_seed: int) -> tuple[np.ndarray, np.ndarray]:
        """What `evaluation` asks of a scorer that ranks by itself. Raises `ConfigError` for a `tie_seed` that is not the index's."""
        if tie_seed != self.tie_seed:
            rule = f"this index was made with {self.tie_seed}; make one with Index.of(…, tie_seed=…)"
            raise ConfigError(f"tie_seed is {tie_seed}, but {rule}")
        return best_items(self, users, k, masks)

    def search(
        self, users: ArrayLike, k: int = 20, exclude: sp.csr_matrix | None = None
    ) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """The `k` items of highest score for each user, by number, as `Codes.search`; `seen` is not looked at."""
        numbers, k, masks = checked_request(users, k, () if exclude is None else (exclude,), self.n_users, self.n_items)
        return lists_of(*best_items(self, numbers, k, masks))

    def recommend(self, users: Iterable, k: int = 10, *, seen: bool = False) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """The best `k` items for each of `users`, both in own ids, and their scores; one array per user each, best first.

        seen : recommend also what a user has already; an index that does not hold it leaves nothing out

        Whole numbers and their spelling are the same id. Raises `DataError` for an unknown user, `ConfigError` for a k below 1.
        """
        numbers, k, _ = checked_request(self._numbers(users), k, (), self.n_users, self.n_items)
        masks = [] if seen or self.seen is None else [self.seen]
        items, scores = lists_of(*best_items(self, numbers, k, masks))
        return (items if self.item_names is None else [self.item_names.take(found) for found in items]), scores

    def _numbers(self, users: Iterable) -> np.ndarray:
        if self.user_names is not None:
            return self.user_names.numbers(users, "user")
        given = listed(users, "user")
        numbers = [whole_number(user) for user in given]
        for user, number in zip(given, numbers, strict=True):
            if number is None or not 0 <= number < self.n_users:
                rule = f"whole numbers below {self.n_users}; correct or drop it"
                raise DataError(f"user {user!r} is not among the {self.n_users:,} users, {rule}")
        return np.array(numbers, np.int32)

    def interactions(self) -> sp.csr_matrix:
        """`seen` as a matrix [users, items]. Raises `ConfigError` where the index has none."""
        if self.seen is None:
            raise ConfigError("this index does not hold what its users have already; make it with Index.of(…, seen=data.train)")
        ones = np.ones(self.seen.indices.size, np.float32)
        return sp.csr_matrix((ones, self.seen.indices, self.seen.indptr), shape=(self.n_users, self.n_items))

    # ---- file --------------------------------------------------------------------------------------------------------------

    def save(self, path: Path | str) -> Path:
        """Write one file, whole or not at all; see `file.py`."""
        form = self.items.form
        fields = {"bits": form.bits, "dim": form.dim, "n_items": self.n_items, "tie_seed": self.tie_seed}
        arrays = {
            "planes": self.planes, "words": self.items.words, "item_factors": self.items.factors, "factors": self.factors,
            "order": self.order, **self._of_names("user"), **self._of_names("item"),
        }  # fmt: skip
        if self.seen is not None:
            arrays |= {"seen_starts": self.seen.indptr, "seen_items": self.seen.indices}
        file.write(file.INDEX, Path(path), fields, dict(sorted(arrays.items(), key=lambda part: -part[1].itemsize)))
        return Path(path)

    @classmethod
    def load(cls, path: Path | str) -> Index:
        """Map a file that `save` wrote: its arrays stay in the file, and processes that read it share their memory.

        Raises `RecordError` when it is missing, damaged, cut short, foreign or of a newer format.
        """
        fields, arrays = file.read(file.INDEX, Path(path), mapped=True)
        try:
            return _from_file(fields, arrays)
        except KeyError as error:
            raise file.INDEX.damaged(Path(path), f"it does not tell {error}") from error
        except (TypeError, ValueError, IndexError, OverflowError) as error:  # ConfigError and RecordError are ValueErrors
            raise file.INDEX.damaged(Path(path), str(error)) from error

    def _of_names(self, side: str) -> dict[str, np.ndarray]:
        names = self.user_names if side == "user" else self.item_names
        return {} if names is None else names.arrays(side)


def _from_file(fields: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Index:
    """Raises for what the kernels could not read: they do not look."""
    sizes = [fields[name] for name in ("bits", "dim", "n_items", "tie_seed")]
    if any(type(size) is not int for size in sizes) or not (1 <= sizes[0] <= MAX_BITS and sizes[1] >= 1 and sizes[3] >= 0):
        raise RecordError(f"bits, dim, n_items and tie_seed are {sizes}")
    bits, dim, n_items, tie_seed = sizes
    form, factors, order = Form(bits, dim, n_words(dim)), arrays["factors"], arrays["order"]
    n_segments, n_users = factors.shape
    n_groups = -(-n_items // GROUP)
    shapes = {
        "planes": (np.uint64, (n_segments, n_users, bits, form.n_words)),
        "factors": (np.float32, (n_segments, n_users)),
        "words": (np.uint32, (n_groups, n_segments, form.item_words, GROUP)),
        "item_factors": (np.float32, (n_groups, n_segments, GROUP)),
        "order": (np.int32, (n_items,)),
    }
    for name, (dtype, shape) in shapes.items():
        if arrays[name].dtype != dtype or arrays[name].shape != shape:
            raise RecordError(f"{name} are {arrays[name].dtype} of shape {arrays[name].shape}, not {np.dtype(dtype)} of {shape}")
    if 0 in (n_segments, n_users, n_items) or form.largest >= 2**31:
        raise RecordError(f"it tells of {n_segments} segments, {n_users} users, {n_items} items, {dim} columns of {bits} bits")
    place = np.zeros(n_items, bool)
    if order.min() < 0 or order.max() >= n_items:
        raise RecordError("its order names items that there are not")
    place[order] = True
    if not place.all():
        raise RecordError("its order leaves items out")
    if not (np.isfinite(factors).all() and np.isfinite(arrays["item_factors"]).all()):
        raise RecordError("its factors are not finite")
    groups = ItemGroups(arrays["words"], arrays["item_factors"], n_items, form)
    check_range(np.ones(n_segments, np.float32), factors, groups.factors.transpose(1, 0, 2).reshape(n_segments, -1), form.largest)
    names = Names.from_arrays(arrays, "user", n_users), Names.from_arrays(arrays, "item", n_items)
    return Index(groups, order, arrays["planes"], factors, *names, _seen_of(arrays, n_users, n_items), tie_seed)


def _seen_of(arrays: Mapping[str, np.ndarray], n_users: int, n_items: int) -> Seen | None:
    if "seen_starts" not in arrays:
        return None
    starts, items = arrays["seen_starts"], arrays["seen_items"]
    fits = starts.dtype == np.int64 and starts.shape == (n_users + 1,) and items.dtype == np.int32 and items.ndim == 1
    fits = fits and starts[0] == starts.min() == 0 and starts[-1] == starts.max() == items.size and (np.diff(starts) >= 0).all()
    if not fits or (items.size and not 0 <= items.min() <= items.max() < n_items):
        raise RecordError("what users have seen does not fit its users and items")
    return Seen(starts, items)


def _seen(matrix: sp.csr_matrix, n_users: int, n_items: int) -> Seen:
    if not hasattr(matrix, "tocsr") or matrix.shape != (n_users, n_items):
        shape = getattr(matrix, "shape", type(matrix).__name__)
        raise ConfigError(f"seen is {shape}, but must be a sparse matrix [users, items] = {(n_users, n_items)}, such as data.train")
    matrix = matrix.tocsr()
    return Seen(matrix.indptr.astype(np.int64), matrix.indices.astype(np.int32))


def _names(ids: Iterable | None, side: str, n: int) -> Names | None:
    if ids is None:
        return None
    names = Names.of(ids, side)
    if len(names) != n:
        raise ConfigError(f"{side}_ids are {len(names):,}, but the codes hold {n:,} {side}s; give one id for each")
    return None if names.are_numbers() else names


def _all(names: Names | None) -> np.ndarray | None:
    return None if names is None else fixed(names.take(np.arange(len(names))))
