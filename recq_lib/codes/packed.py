"""Packed 1-bit codes of several segments (layers), their file, and exact scores from bits.

    z_x = [w_l · s_x^(l) · q_x^(l)]_l,   q in {-1, +1}^d, stored as d bits,   y_ui = <z_u, z_i>

The codes are those of L²Q-GCN's family; the official BiGeaR code keeps and multiplies them as floats, so packing and file are ours.
A bit is 1 where the value is >= 0, so sign(0) = +1, also for -0.0, as in `estimators.sign`. Bit k of word w is column 64·w + k; bits behind
the last column are 0. Rows that are all zero (isolated nodes) have scale 0 and contribute nothing, whatever their bits.
"""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from recq_lib.errors import ConfigError, RecordError
from recq_lib.io.files import write_atomically
from recq_lib.kernels import popcount

_FORMAT = 1


@dataclass(frozen=True, eq=False)
class BitCodes:
    """Codes of all nodes, users first: S segments (layers) of `dim` bits, in W = ⌈dim/64⌉ words.

    Attributes
    ----------
    bits : uint64 [S, N, W]
    scales : float32 [S, N], or None where every code has scale 1
    weights : float32 [S], the constant w_l of each segment
    dim : d, bits per segment
    n_users : the first `n_users` of the N nodes are users, the others items

    Raises `ConfigError` when the parts do not fit together.
    """

    bits: np.ndarray
    scales: np.ndarray | None
    weights: np.ndarray
    dim: int
    n_users: int

    def __post_init__(self) -> None:
        bits, n_words = self.bits, -(-self.dim // 64)
        if bits.ndim != 3 or bits.dtype != np.uint64 or self.dim < 1 or bits.shape[0] < 1 or bits.shape[2] != n_words:
            rule = f"uint64 [S, N, {n_words}] with S at least 1, for dim {self.dim} of at least 1"
            raise ConfigError(f"bits are {bits.dtype} of shape {bits.shape}, but must be {rule}")
        if self.dim % 64 and (bits[:, :, -1] >> np.uint64(self.dim % 64)).any():
            raise ConfigError(f"bits behind column {self.dim} are set, but must be 0; make codes with BitCodes.pack")
        for name, values, shape in (("scales", self.scales, bits.shape[:2]), ("weights", self.weights, bits.shape[:1])):
            if values is None and name == "scales":
                continue
            if values.dtype != np.float32 or values.shape != shape:
                raise ConfigError(f"{name} are {values.dtype} of shape {values.shape}, but must be float32 of shape {shape}")
            if not np.isfinite(values).all():
                raise ConfigError(f"{name} hold NaN or infinity; training has diverged, lower the learning rate")
        if not 0 <= self.n_users <= self.n_nodes:
            raise ConfigError(f"n_users is {self.n_users}, but must lie between 0 and the number of nodes {self.n_nodes}")

    @classmethod
    def pack(cls, values, scales=None, weights=None, *, n_users: int) -> BitCodes:
        """Codes of the signs of `values` [S, N, d] (numpy or torch; floats or signed integers).

        Bits of value 0 and 1 would all have sign +1, so booleans and unsigned integers are refused (`ConfigError`), as are NaN.
        """
        values = _array(values)
        if values.ndim != 3 or 0 in (values.shape[0], values.shape[2]):
            raise ConfigError(f"vectors have shape {values.shape}, but must be [S, N, d] with S and d at least 1")
        if values.dtype.kind not in "fi":
            raise ConfigError(f"vectors are {values.dtype}, but must be floats or signed integers: their signs are the code")
        if np.isnan(values).any():
            raise ConfigError("the vectors to pack hold NaN; training has diverged, lower the learning rate")
        n_segments, n_nodes, dim = values.shape
        packed = np.zeros((n_segments, n_nodes, 8 * -(-dim // 64)), np.uint8)
        for place, segment in zip(packed, values, strict=True):  # one at a time: the booleans take 8 times the room of the bits
            place[:, : -(-dim // 8)] = np.packbits(segment >= 0, axis=1, bitorder="little")
        bits = packed.view("<u8").astype(np.uint64, copy=False)
        scales = None if scales is None else _array(scales).astype(np.float32)
        weights = np.ones(n_segments, np.float32) if weights is None else _array(weights).astype(np.float32)
        return cls(bits, scales, weights, dim, n_users)

    @property
    def n_segments(self) -> int:
        return self.bits.shape[0]

    @property
    def n_nodes(self) -> int:
        return self.bits.shape[1]

    @property
    def n_items(self) -> int:
        return self.n_nodes - self.n_users

    def unpack(self) -> np.ndarray:
        """Signs, float32 [S, N, d] in {-1, +1}."""
        stored = self.bits.astype("<u8", copy=False).view(np.uint8)
        signs = np.unpackbits(stored, axis=2, count=self.dim, bitorder="little").astype(np.float32)
        signs *= 2
        signs -= 1
        return signs

    def factors(self) -> np.ndarray:
        """w_l·s_x^(l), float32 [S, N]: by what a node's signs are multiplied."""
        ones = np.ones((1, self.n_nodes), np.float32)
        return self.weights[:, None] * (ones if self.scales is None else self.scales)

    def vectors(self) -> np.ndarray:
        """z, float32 [N, S·d], segments side by side: what a float model scores with."""
        return (self.unpack() * self.factors()[:, :, None]).transpose(1, 0, 2).reshape(self.n_nodes, -1)

    def n_bytes(self) -> int:
        """Bytes per node and segment, ⌈d/64⌉·8 (d/8 where 64 divides d) and 4 for a scale, times N·S. The S weights count as header."""
        return self.bits.nbytes + (0 if self.scales is None else self.scales.nbytes)

    def save(self, path: Path | str) -> Path:
        """Write an uncompressed npz (bits, scales, header), whole or not at all; its size is `n_bytes()` and less than 4 kB."""
        header = {"format": _FORMAT, "dim": int(self.dim), "n_users": int(self.n_users), "weights": [float(w) for w in self.weights]}
        parts = {"header": np.frombuffer(json.dumps(header).encode(), np.uint8), "bits": self.bits.astype("<u8", copy=False)}
        if self.scales is not None:
            parts["scales"] = self.scales.astype("<f4", copy=False)
        buffer = io.BytesIO()
        np.savez(buffer, **parts)
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, buffer.getvalue())
        return path

    @classmethod
    def load(cls, path: Path | str) -> BitCodes:
        """Read a file that `save` wrote. Raises `RecordError` when it is missing, damaged or of another format."""
        path = _existing(path)
        try:
            with np.load(path, allow_pickle=False) as stored:
                parts = {name: stored[name] for name in stored.files}
            header = json.loads(parts["header"].tobytes())
            known = header["format"] == _FORMAT
        except Exception as error:  # damage shows in zip, header, JSON or size: all of it means the same here
            raise _damaged(path, f"{type(error).__name__}: {error}") from error
        if not known:
            raise RecordError(f"codes file {path} has format {header['format']}, this version reads {_FORMAT}; export the run again")
        try:
            bits, scales = parts["bits"].astype(np.uint64, copy=False), parts.get("scales")
            weights = np.array(header["weights"], np.float32)
            return cls(bits, scales if scales is None else scales.astype(np.float32, copy=False), weights, header["dim"], header["n_users"])
        except (KeyError, TypeError, ValueError) as error:  # ConfigError is a ValueError
            raise _damaged(path, str(error)) from error

    @staticmethod
    def file_bytes(path: Path | str) -> int:
        """Size of a codes file, header included. Raises `RecordError` when it is missing."""
        return _existing(path).stat().st_size


class BitScorer:
    """A `BlockScorer` that scores packed codes bit by bit: the inner products of `BitCodes.vectors`, to float32 rounding.

    Equal sums give equal scores, so the evaluator's seeded order of ties decides where codes tie.
    """

    def __init__(self, codes: BitCodes) -> None:
        if not 0 < codes.n_users < codes.n_nodes:
            raise ConfigError(f"codes hold {codes.n_users} users and {codes.n_items} items; scoring needs at least one of each")
        n, factors = codes.n_users, codes.factors()
        self._bits, self._factors, self._dim = codes.bits[:, :n], factors[:, :n], codes.dim
        self._items = popcount.group_items(codes.bits[:, n:], factors[:, n:])
        self._stored = codes.n_bytes()

    def score_block(self, users: np.ndarray) -> np.ndarray:
        """y [b, I], float32, of the users [b] with all items."""
        out = np.empty((users.size, self._items.n_items), np.float32)
        popcount.scores_grouped(self._bits[:, users], self._factors[:, users], self._items, self._dim, out)
        return out

    def n_bytes(self) -> dict[str, int]:
        return {"parameters": 0, "stored": self._stored}


def _array(values) -> np.ndarray:
    if isinstance(values, torch.Tensor):
        values = values.detach().cpu()
        return (values.float() if values.dtype == torch.bfloat16 else values).numpy()
    return np.asarray(values)


def _existing(path: Path | str) -> Path:
    path = Path(path)
    if not path.is_file():
        raise RecordError(f"codes file {path} does not exist; write it with BitCodes.save")
    return path


def _damaged(path: Path, why: str) -> RecordError:
    return RecordError(f"codes file {path} is damaged ({why}); delete it and export the run again")
