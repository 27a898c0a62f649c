"""`SharedEmbedding`: shared rows as a layer for anybody's own PyTorch model."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from recq_lib.errors import ConfigError, RecordError, whole
from recq_lib.parts.tensor_file import read_tensors, write_tensors
from recq_lib.sharing.found import Found
from recq_lib.sharing.sharing import Sharing, checked_rows

_KIND = "recq.embedding"
_TEXTS = ("combine", "found")  # arrays of a sharing that are one text


def codebook(n_rows: int, dim: int, std: float, generator: torch.Generator | None = None) -> nn.Parameter:
    """Trained rows [n_rows, dim] drawn from N(0, std²). Raises `ConfigError` for fewer than one column or a negative std."""
    dim = whole("dim (a table needs at least one column)", dim, 1)
    if not std >= 0:
        raise ConfigError(f"init std is {std}, but must be 0 or more")
    return nn.Parameter(torch.randn(n_rows, dim, generator=generator).mul_(std))


class SharedEmbedding(nn.Module):
    """Vectors of users and items from rows that they share, in place of two `nn.Embedding`.

    Parameters
    ----------
    rows : which rows every user and item takes, from `share`
    dim : width d of the vectors; `share` counted its budget at a width of its own, and a full table of this one may have another size
    std : the codebooks start from N(0, std²)
    generator : that draws the start

    Attributes
    ----------
    weight [K, d] : the trained rows, those of the users' codebook first
    user_rows [U, m], item_rows [I, m'] int32 buffers : row numbers in the side's own codebook, -1 for none. They are part of
        `state_dict`, so that a state brings its rows (own ids stay); it must come from codebooks of the same sizes

    >>> import torch
    >>> from recq_lib.data import load
    >>> from recq_lib.runs.share import share
    >>> data = load("synthetic-tiny")
    >>> emb = SharedEmbedding(share(data, "random-hash", budget=0.5), dim=8)
    >>> emb
    SharedEmbedding(60 users on 30 rows, 40 items on 20 rows, mean, dim=8)
    >>> emb.users(torch.tensor([0, 7])).shape, emb.items(torch.tensor([[1, 2, 3]])).shape
    (torch.Size([2, 8]), torch.Size([1, 3, 8]))
    >>> emb.n_parameters, emb.half().n_bytes()  # 50 rows of 8 numbers; 2 bytes each, and 100 row numbers of 4
    (400, 1200)

    `torch.nn.functional.embedding_bag` looks the rows up: at Beauty's size it takes, with its gradient, 0.8 of the time of gathering one
    index after the other and a third of that of writing the whole table out (4,096 users, d = 64, one core).

    Raises `ConfigError` for rows that are no `Sharing`, fewer than one column or a negative std.
    """

    def __init__(self, rows: Sharing, dim: int = 64, std: float = 1.0, *, generator: torch.Generator | None = None) -> None:
        super().__init__()
        if not isinstance(rows, Sharing):
            raise ConfigError(f"rows is a {type(rows).__name__}, but must be a Sharing; find one with share(data, …)")
        self.weight = codebook(rows.n_rows, dim, std, generator)
        self._rows = rows
        for side in ("user", "item"):
            self.register_buffer(f"{side}_rows", torch.from_numpy(getattr(rows, f"{side}s").astype(np.int32)))
        self.register_load_state_dict_pre_hook(_check_state)
        self.register_load_state_dict_post_hook(_rows_loaded)

    # ---- sizes ---------------------------------------------------------------------------------------------------------------

    @property
    def rows(self) -> Sharing:
        """Which rows every user and item takes."""
        return self._rows

    @property
    def dim(self) -> int:
        """d"""
        return self.weight.shape[1]

    @property
    def n_users(self) -> int:
        return self.user_rows.shape[0]

    @property
    def n_items(self) -> int:
        return self.item_rows.shape[0]

    @property
    def n_parameters(self) -> int:
        """As BACO's code counts; see `Sharing.n_parameters`."""
        return self.rows.n_parameters(self.dim)

    def n_bytes(self) -> int:
        """What must be kept: rows in their present type, and every index as int32."""
        return self.rows.n_bytes(self.dim, self.weight.element_size())

    # ---- vectors -------------------------------------------------------------------------------------------------------------

    def users(self, ids: torch.Tensor, *, check: bool | None = None) -> torch.Tensor:
        """Vectors [..., d] of users `ids` [...], whole numbers in [0, n_users).

        check : look for ids out of range; by default where it costs microseconds, that is on the CPU, and not on other devices, where
            it would wait for all earlier work. Without it torch meets them: with an error, on CUDA with the end of the process.

        Raises `ConfigError` for ids of another type or out of range.
        """
        return self._vectors("user", ids, check)

    def items(self, ids: torch.Tensor, *, check: bool | None = None) -> torch.Tensor:
        """Vectors [..., d] of items `ids` [...]; see `users`."""
        return self._vectors("item", ids, check)

    def forward(self, users: torch.Tensor, items: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(`users(users)`, `items(items)`)"""
        return self.users(users), self.items(items)

    def _vectors(self, side: str, ids: torch.Tensor, check: bool | None) -> torch.Tensor:
        table = getattr(self, f"{side}_rows")
        if not isinstance(ids, torch.Tensor) or ids.dtype not in (torch.int64, torch.int32):
            kind = ids.dtype if isinstance(ids, torch.Tensor) else type(ids).__name__
            raise ConfigError(f"{side} ids are {kind}, but must be a tensor of whole numbers (torch.long)")
        if check or (check is None and ids.device.type == "cpu"):
            _check_ids(side, ids, table.shape[0])
        rows = table[ids.reshape(-1)]
        shares = self.rows.shares(rows).to(self.weight.dtype)  # 0 for a missing row, which then may be any
        places = rows.clamp(min=0) + (0 if side == "user" else self.rows.n_user_rows)
        return F.embedding_bag(places, self.weight, per_sample_weights=shares, mode="sum").view(*ids.shape, self.dim)

    def extra_repr(self) -> str:
        return f"{self.rows.sizes_text()}, dim={self.dim}"

    # ---- files ---------------------------------------------------------------------------------------------------------------

    def save(self, path: Path | str) -> Path:
        """Write weights and rows, own ids included, as one safetensors file, whole or not at all; the path is given back.

        Tensors `weight`, `user_rows`, `item_rows`, `sizes`, further ones as `Sharing.save` names them; text and a checksum stand in the
        header. Nothing is pickled.

        >>> import tempfile
        >>> emb = SharedEmbedding(Sharing(users=[0, 1, 0], items=[0, 0], n_user_rows=2, n_item_rows=1), dim=4)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     again = SharedEmbedding.load(emb.save(f"{folder}/emb.safetensors"))
        >>> again.rows == emb.rows, torch.equal(again.weight, emb.weight)
        (True, True)
        """
        tensors, header = {"weight": self.weight}, {}
        for name, values in self.rows.arrays().items():
            if name in _TEXTS:
                header[name] = str(values)
            else:
                tensors[name] = torch.tensor(values)
        return write_tensors(Path(path), _KIND, header, tensors)

    @classmethod
    def load(cls, path: Path | str) -> SharedEmbedding:
        """Read what `save` wrote. Raises `RecordError` for a missing, damaged or foreign file."""
        header, tensors = read_tensors(Path(path), _KIND)
        try:
            arrays = {name: np.array(header[name]) for name in _TEXTS}
            arrays |= {name: tensor.numpy() for name, tensor in tensors.items() if name != "weight"}
            rows, weight = Sharing.from_arrays(arrays), tensors["weight"]
            if weight.ndim != 2 or weight.shape[0] != rows.n_rows or not weight.is_floating_point():
                raise ValueError(f"weight is {weight.dtype} {tuple(weight.shape)} for {rows.n_rows} rows")
        except (ValueError, KeyError, TypeError) as error:
            raise RecordError(f"{path} holds no rows of a SharedEmbedding ({error}); write it with SharedEmbedding.save") from error
        with torch.random.fork_rng(devices=[]):  # a start is drawn and thrown away
            embedding = cls(rows, weight.shape[1], 0.0)
        embedding.weight = nn.Parameter(weight)
        return embedding


def _rows_loaded(embedding: SharedEmbedding, _keys: object) -> None:
    """The state that was loaded may have brought other rows."""
    old, sides = embedding.rows, [getattr(embedding, f"{side}_rows").cpu().numpy() for side in ("user", "item")]
    if not all(np.array_equal(rows, known) for rows, known in zip(sides, (old.users, old.items), strict=True)):
        embedding._rows = dataclasses.replace(old, users=sides[0], items=sides[1], found=Found())  # by whom, the state does not tell


def _check_state(embedding: SharedEmbedding, state: dict[str, torch.Tensor], prefix: str, *_: object) -> None:
    """Refuse a state that does not fit before torch copies the first of its tensors."""
    for name in ("weight", "user_rows", "item_rows"):
        given, own = state.get(prefix + name), getattr(embedding, name)
        if given is not None and given.shape != own.shape:
            rule = "give it to an embedding of as many users, items and rows, each of as many columns"
            raise ConfigError(f"{prefix}{name} of the state has shape {tuple(given.shape)}, but must have {tuple(own.shape)}; {rule}")
    for side in ("user", "item"):
        rows = state.get(f"{prefix}{side}_rows")
        if rows is not None:
            checked_rows(f"{side}s", rows.cpu().numpy(), getattr(embedding.rows, f"n_{side}_rows"))


def _check_ids(side: str, ids: torch.Tensor, n: int) -> None:
    if ids.numel() == 0:
        return
    low, high = (int(end) for end in torch.aminmax(ids))
    if low < 0 or high >= n:
        raise ConfigError(f"{side} id {low if low < 0 else high} is not among the {n:,} {side}s; ids are whole numbers from 0 to {n - 1}")
