"""`Codes`: vectors of users and items as codes of 1 to 8 bits, in one or more segments, scaled or not.

    z_x = [w_l · s_x^(l) · c_x^(l)]_l,   c in {-L, -L+2, …, L}^d,   L = 2^b - 1,   y_ui = <z_u, z_i>

One bit is b = 1: c in {-1, +1}. L²Q-GCN keeps a segment per layer with a scale per node; HQ-GNN one segment (or one per block of columns)
without scales. All of them lie in the same bit planes (`planes.py`), have the same file (`file.py`) and the same search (`search.py`).
The official codes keep and multiply floats, so packing, file and search are ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike

from recq_lib.codes import file
from recq_lib.codes.planes import levels_of, n_words, planes_of, planes_of_signs, top_level
from recq_lib.codes.search import Passing, Resident, best_items, checked_request, lists_of, rows_of_scores
from recq_lib.errors import ConfigError, RecordError, whole
from recq_lib.io.frozen import fixed
from recq_lib.kernels.topk import tie_order

_MANY = 256  # users from which on a ranking does not keep the items laid out: laying them out takes a small part of the time
Vectors = ArrayLike  # numpy, nested lists, or torch on any device (a tensor is array-like)


@dataclass(frozen=True, eq=False, repr=False)
class Codes:
    """Codes of all nodes, users first: S segments of `dim` columns with b bits each, in W = ⌈dim/64⌉ words per plane.

    Attributes
    ----------
    planes : uint64 [S, N, b, W], see `planes.py`
    scales : float32 [S, N], or None where every code has scale 1. A row of zeros has scale 0 and scores 0, whatever its bits
    weights : float32 [S], the constant w_l of each segment
    dim : d, columns per segment
    n_users : the first `n_users` of the N nodes are users, the others items

    The arrays are read-only copies; one that nobody can write to, such as the planes made here, is taken as it is.
    Raises `ConfigError` when the parts do not fit together.

    >>> import numpy as np
    >>> from recq_lib.codes.codes import Codes
    >>> codes = Codes.from_signs(np.array([[[0.3, -2.0, 0.0], [1.0, 1.0, -1.0], [-5.0, 2.0, 2.0]]]), n_users=1)
    >>> codes
    Codes(1 bit, 1 segment of 3 columns, 1 user, 2 items, no scales, 24 bytes)
    >>> codes.values()[0].tolist()  # zero counts as positive
    [[1, -1, 1], [1, 1, -1], [-1, 1, 1]]
    >>> codes.scores([0])
    array([[-1., -1.]], dtype=float32)
    >>> Codes.from_levels(np.array([[[3, -1], [-3, 1]]]), bits=2, weights=[0.5], n_users=1).vectors()
    array([[ 1.5, -0.5],
           [-1.5,  0.5]], dtype=float32)
    """

    planes: np.ndarray
    scales: np.ndarray | None
    weights: np.ndarray
    dim: int
    n_users: int
    _laid_out: dict[int, Resident] = field(default_factory=dict, init=False)  # what search keeps, by the seed of its order of ties

    def __post_init__(self) -> None:
        planes = self.planes
        object.__setattr__(self, "dim", whole("dim", self.dim, 1))
        fits = planes.ndim == 4 and planes.dtype == np.uint64 and planes.shape[0] >= 1
        if not fits or planes.shape[3] != n_words(self.dim):
            rule = f"uint64 [S, N, bits, {n_words(self.dim)}] with S at least 1, for dim {self.dim} of at least 1"
            raise ConfigError(f"planes are {planes.dtype} of shape {planes.shape}, but must be {rule}")
        if self.largest >= 2**31:
            raise ConfigError(f"{self.dim} columns of {self.bits} bits give scores beyond 32-bit integers; use fewer bits or columns")
        if self.dim % 64 and (planes[..., -1] >> np.uint64(self.dim % 64)).any():
            raise ConfigError(f"bits behind column {self.dim} are set, but must be 0; make codes with Codes.from_signs or from_levels")
        for name, values, shape in (("scales", self.scales, planes.shape[:2]), ("weights", self.weights, planes.shape[:1])):
            if values is None and name == "scales":
                continue
            if values.dtype != np.float32 or values.shape != shape:
                raise ConfigError(f"{name} are {values.dtype} of shape {values.shape}, but must be float32 of shape {shape}")
            if not np.isfinite(values).all():
                row = _first_row(np.atleast_2d(~np.isfinite(values)))
                cause = "float32 is too small for them, or, if a model made them, training has diverged"
                raise ConfigError(f"{name} hold NaN or infinity in row {row}; {cause}")
        object.__setattr__(self, "n_users", whole("n_users", self.n_users, 0, self.n_nodes))
        for name in ("planes", "scales", "weights"):
            values = getattr(self, name)
            object.__setattr__(self, name, None if values is None else fixed(values))

    # ---- making ------------------------------------------------------------------------------------------------------------

    @classmethod
    def from_signs(cls, values: Vectors, scales: Vectors | None = None, weights: Vectors | None = None, *, n_users: int) -> Codes:
        """1-bit codes of the signs of `values` [S, N, d] (numpy or torch; floats or signed integers), sign(0) = +1, also for -0.0.

        Bits of value 0 and 1 would all have sign +1, so booleans and unsigned integers are refused (`ConfigError`), as are NaN.
        """
        values = _segments(values, "vectors")
        if values.dtype.kind not in "fi":
            raise ConfigError(f"vectors are {values.dtype}, but must be floats or signed integers: their signs are the code")
        if np.isnan(values).any():
            row = _first_row(np.isnan(values).any(axis=2))
            raise ConfigError(f"the vectors to pack hold NaN in row {row}; if a model made them, training has diverged")
        return cls(planes_of_signs(values), *_factors(values.shape[0], scales, weights), values.shape[2], n_users)

    @classmethod
    def from_levels(
        cls, levels: Vectors, bits: int, scales: Vectors | None = None, weights: Vectors | None = None, *, n_users: int
    ) -> Codes:
        """From the codes themselves, `levels` [S, N, d]: odd integers from -L to L, L = 2^bits - 1. Raises `ConfigError` for others."""
        levels, top = _segments(levels, "codes"), top_level(bits)
        if levels.dtype.kind != "i":
            raise ConfigError(f"codes are {levels.dtype}, but must be signed integers")
        if levels.size and (levels.max() > top or levels.min() < -top or not (levels & 1).all()):
            raise ConfigError(f"codes of {bits} bits must be odd integers from {-top} to {top}, and some are not")
        return cls(planes_of(levels, bits), *_factors(levels.shape[0], scales, weights), levels.shape[2], n_users)

    # ---- looking -----------------------------------------------------------------------------------------------------------

    @property
    def bits(self) -> int:
        return self.planes.shape[2]

    @property
    def n_segments(self) -> int:
        return self.planes.shape[0]

    @property
    def n_nodes(self) -> int:
        return self.planes.shape[1]

    @property
    def n_items(self) -> int:
        return self.n_nodes - self.n_users

    def values(self) -> np.ndarray:
        """c, odd integers, int16 [S, N, d]: signs where there is 1 bit."""
        return levels_of(self.planes, self.dim)

    @property
    def largest(self) -> int:
        """d·L², the largest product of two codes of a segment."""
        return self.dim * top_level(self.bits) ** 2

    def factors(self, rows: np.ndarray | None = None) -> np.ndarray:
        """w_l·s_x^(l), float32 [S, N], or of some `rows` of the nodes: by what a node's codes are multiplied."""
        rows = np.arange(self.n_nodes) if rows is None else rows
        ones = np.ones((1, rows.size), np.float32)
        return self.weights[:, None] * (ones if self.scales is None else self.scales[:, rows])

    def vectors(self) -> np.ndarray:
        """z, float32 [N, S·d], segments side by side: what a float model scores with."""
        return (self.values() * self.factors()[:, :, None]).transpose(1, 0, 2).reshape(self.n_nodes, -1)

    def n_bytes(self) -> int:
        """Bytes of the file without its header: planes and scales. The S weights belong to the header."""
        return self.planes.nbytes + (0 if self.scales is None else self.scales.nbytes)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Codes):
            return NotImplemented
        same = (self.dim, self.n_users, self.scales is None) == (other.dim, other.n_users, other.scales is None)
        mine, its = ((*codes._arrays().values(), codes.weights) for codes in (self, other))
        return same and all(map(np.array_equal, mine, its))

    def __repr__(self) -> str:
        width = f"{_counted(self.bits, 'bit')}, {_counted(self.n_segments, 'segment')} of {_counted(self.dim, 'column')}"
        nodes = f"{_counted(self.n_users, 'user')}, {_counted(self.n_items, 'item')}"
        return f"Codes({width}, {nodes}, {'no scales' if self.scales is None else 'scaled'}, {_counted(self.n_bytes(), 'byte')})"

    # ---- scoring and search --------------------------------------------------------------------------------------------------

    def scores(self, users: ArrayLike) -> np.ndarray:
        """y [B, I], float32, of the users [B] with all items, in the order of the items' ids.

        Products of codes are exact integers where d·L² <= 2^24 (rounded to 24 bits beyond); factors and their sums are float32.
        """
        return rows_of_scores(self._layout(tie_seed=0), users)

    def best(self, users: np.ndarray, k: int, masks: Sequence[sp.csr_matrix], tie_seed: int) -> tuple[np.ndarray, np.ndarray]:
        """What `evaluation` asks of a scorer that ranks by itself: items [n, k] and scores, as `kernels.topk.best`; all is checked before.

        Many users are ranked while items are laid out part by part, so that this takes little more memory than the codes and the lists.
        """
        if users.size < _MANY or tie_seed in self._laid_out:
            return best_items(self._layout(tie_seed), users, k, masks)
        return best_items(Passing(self, tie_order(self.n_items, tie_seed)), users, k, masks)

    def search(
        self, users: ArrayLike, k: int = 20, exclude: sp.csr_matrix | None = None, *, tie_seed: int = 0
    ) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """The `k` items of highest score for each user: ids and scores, one array per user each, best first.

        Parameters
        ----------
        users : [B] user ids
        k : at least 1; a user for whom fewer items are left gets fewer
        exclude : CSR matrix [n_users, n_items]; an item that is stored in a user's row is not returned to that user
        tie_seed : among equal scores the item that comes first in a permutation with this seed wins, as in `evaluation.evaluate`

        The first call lays the items out for the kernel, which takes their planes' memory once more; the layout is kept. No row of scores
        is ever in memory. An `Index` keeps only what is laid out, has a file of its own, and answers in the ids of your data.
        Raises `ConfigError` for unknown users, a k below 1, and an `exclude` of another shape.

        >>> import numpy as np, scipy.sparse as sp
        >>> from recq_lib.codes.packing import pack
        >>> codes = pack(users=np.array([[1.0, 2.0], [-1.0, 3.0]]), items=np.array([[2.0, 2.0], [-1.0, 1.0], [1.0, -1.0]]), bits=4)
        >>> ids, scores = codes.search([0, 1], k=2)
        >>> ids
        [array([0, 1], dtype=int32), array([0, 1], dtype=int32)]
        >>> seen = sp.csr_matrix(([1, 1], ([0, 1], [0, 0])), shape=(2, 3))
        >>> [found.tolist() for found in codes.search([1, 0], k=3, exclude=seen)[0]]  # two are left for each
        [[1, 2], [1, 2]]
        """
        layout = self._layout(tie_seed)
        numbers, k, masks = checked_request(users, k, () if exclude is None else (exclude,), self.n_users, self.n_items)
        return lists_of(*best_items(layout, numbers, k, masks))

    def _layout(self, tie_seed: int) -> Resident:
        """Items laid out for the kernel, kept from the last call."""
        layout = self._laid_out.get(whole("tie_seed", tie_seed, 0))
        if layout is None:
            layout = Resident(self, tie_order(self.n_items, tie_seed))
            self._laid_out.clear()
            self._laid_out[tie_seed] = layout
        return layout

    # ---- file --------------------------------------------------------------------------------------------------------------

    def save(self, path: Path | str) -> Path:
        """Write one file, whole or not at all; its size is that of a header and `n_bytes()`. See `file.py`."""
        fields = {"bits": self.bits, "dim": self.dim, "n_users": self.n_users, "weights": [float(w) for w in self.weights]}
        file.write(file.CODES, Path(path), fields, self._arrays())
        return Path(path)

    @classmethod
    def load(cls, path: Path | str) -> Codes:
        """Read a file that `save` wrote. Raises `RecordError` when it is missing, damaged, cut short, foreign or of a newer format."""
        fields, arrays = file.read(file.CODES, Path(path))
        try:
            sizes = fields["bits"], fields["dim"], fields["n_users"]
            if any(type(size) is not int for size in sizes):
                raise RecordError(f"bits, dim and n_users are {sizes}")
            scales, weights = _factors(0, arrays.get("scales"), fields["weights"])
            codes = cls(arrays["planes"], scales, weights, *sizes[1:])
            if codes.bits != sizes[0]:
                raise RecordError(f"bits is {sizes[0]}, but there are {codes.bits} planes")
        except (KeyError, TypeError, ValueError, OverflowError) as error:  # ConfigError and RecordError are ValueErrors
            raise file.CODES.damaged(Path(path), str(error)) from error
        return codes

    def _arrays(self) -> dict[str, np.ndarray]:
        return {"planes": self.planes} | ({} if self.scales is None else {"scales": self.scales})


def as_array(values: Vectors) -> np.ndarray:
    """numpy from numpy, torch or nested lists; torch's bfloat16, which numpy lacks, as float32."""
    if hasattr(values, "detach"):
        values = values.detach().cpu()
        return (values.float() if str(values.dtype) == "torch.bfloat16" else values).numpy()
    return np.asarray(values)


def _first_row(bad: np.ndarray) -> int:
    """The first node that is bad in any segment; `bad` [S, N]."""
    return int(bad.any(axis=0).argmax())


def _segments(values, name: str) -> np.ndarray:
    values = as_array(values)
    if values.ndim != 3 or 0 in (values.shape[0], values.shape[2]):
        raise ConfigError(f"{name} have shape {values.shape}, but must be [S, N, d] with S and d at least 1")
    return values


def _factors(n_segments: int, scales, weights) -> tuple[np.ndarray | None, np.ndarray]:
    with np.errstate(over="ignore"):  # what float32 cannot hold is refused as infinity
        scales = None if scales is None else as_array(scales).astype(np.float32, copy=False)
        return scales, np.ones(n_segments, np.float32) if weights is None else as_array(weights).astype(np.float32, copy=False)


def _counted(n: int, name: str) -> str:
    return f"{n:,} {name}" + ("" if n == 1 else "s")
