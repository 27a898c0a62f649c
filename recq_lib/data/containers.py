"""Binary containers of interactions: `npz` without pickle, and the int64 tensors of BACO read with `weights_only=True`."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from recq_lib.data.cards import DatasetCard, check_sizes
from recq_lib.data.interactions import SPLITS, Interactions
from recq_lib.data.readers import ReadPairs
from recq_lib.errors import ConfigError, DataError
from recq_lib.io.files import npz_bytes, write_atomically

_SPARSEST = 1000  # users or items that a file without a card may declare for one number that occurs
_REQUIRED = ("n_users", "n_items", "train_user", "train_item", "test_user", "test_item")


def read_npz(
    path: Path | str, *, name: str | None = None, source: str = "memory", notes: str = "", card: DatasetCard | None = None
) -> Interactions:
    """Read a `NAME.npz`: integer arrays `{train,test[,val]}_{user,item}` [n] and integer scalars `n_users`, `n_items`; ids 0-based.

    Nothing is unpickled. With `card`, which also gives name and notes, the sizes that the file declares are held against it before
    anything of that size is allocated. Raises `DataError` naming the file and the array for a missing array, a wrong dtype, a wrong
    shape, an id out of range, a repeated pair, a pair in two splits, sizes other than the card's or far beyond the ids, an array that does
    not hold what it declares, and for a file that is not an npz.
    """
    arrays = _load_arrays(path, card)
    missing = [key for key in _REQUIRED if key not in arrays]
    if missing:
        raise DataError(f"{path}: array {missing[0]} is missing (found: {', '.join(arrays) or 'none'}); needed are {', '.join(_REQUIRED)}")
    if ("val_user" in arrays) != ("val_item" in arrays):
        raise DataError(f"{path}: only one of val_user and val_item is there; give both or neither")
    for key, values in arrays.items():
        if values.dtype.kind not in "iu":
            raise DataError(f"{path}: array {key} has dtype {values.dtype}; it must hold integers (int32)")
    pairs = {split: (arrays[f"{split}_user"], arrays[f"{split}_item"]) for split in SPLITS if f"{split}_user" in arrays}
    sizes = {key: int(arrays[key]) for key in ("n_users", "n_items")}
    for (key, size), ids in zip(sizes.items(), zip(*pairs.values())):
        if not 0 < size < 2**31:
            raise DataError(f"{path}: {key} is {size}; it must lie in [1, {2**31})")
        largest = max((int(part.max()) for part in ids if part.size), default=0)
        if card is None and size > _SPARSEST * (largest + 1) + _SPARSEST:
            raise DataError(f"{path}: {key} is {size:,}, but the largest id is {largest:,}; the file is damaged, correct {key}")
    if card is not None:
        name, notes = card.name, card.notes
        check_sizes(card, sizes | {split: users.size for split, (users, _) in pairs.items()}, str(path))
    try:
        return Interactions.from_pairs(**pairs, **sizes, name=name or Path(path).stem, source=source, notes=notes)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error


def write_npz(path: Path | str, data: Interactions) -> None:
    """Write what `read_npz` reads (int32, compressed); the file appears at once or not at all. Own ids are not written."""
    path = Path(path)
    arrays = {"n_users": np.array(data.n_users, np.int32), "n_items": np.array(data.n_items, np.int32)}
    for split in SPLITS:
        if split != "val" or data.val.nnz:
            arrays[f"{split}_user"], arrays[f"{split}_item"] = data.pairs(split)
    try:
        write_atomically(path, npz_bytes(arrays))
    except (OSError, ConfigError) as error:
        why = getattr(error, "strerror", None) or error
        raise DataError(f"{path}: cannot be written ({why}); choose another folder or free some space") from error


def read_tensor(path: Path | str) -> ReadPairs:
    """Read a `torch.save`d integer tensor [2, n], row 0 user ids, row 1 item ids, 0-based (BACO's `train.pt`).

    `weights_only=True`: no code in the file is run. Raises `DataError` naming the file for anything else.
    """
    import torch

    _check_readable(path)
    try:
        value = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged or unsafe file surfaces as any of a dozen types, each means the same here
        raise DataError(f"{path}: is not a plain torch tensor file ({_first_words(error)}); fetch it again") from error
    if not isinstance(value, torch.Tensor):
        raise DataError(f"{path}: holds a {type(value).__name__}; it must hold one tensor [2, n] of user and item ids")
    if value.dtype not in (torch.int64, torch.int32) or value.layout is not torch.strided:
        raise DataError(f"{path}: holds a tensor of dtype {value.dtype}; ids must be int64")
    if value.ndim != 2 or value.shape[0] != 2:
        raise DataError(f"{path}: holds a tensor of shape {tuple(value.shape)}; it must be [2, n], user ids above item ids")
    if value.shape[1] == 0:
        raise DataError(f"{path}: holds no interactions; at least one column is needed")
    users, items = value.numpy().astype(np.int64)
    for side, ids in (("user", users), ("item", items)):
        bad = np.flatnonzero((ids < 0) | (ids >= 2**31 - 1))
        if bad.size:
            raise DataError(f"{path}: {side} id in column {bad[0]} is {ids[bad[0]]}; ids must lie in [0, {2**31 - 1})")
    return ReadPairs(users, items, int(users.max()) + 1, int(items.max()) + 1)


def _load_arrays(path: Path | str, card: DatasetCard | None) -> dict[str, np.ndarray]:
    _check_readable(path)
    try:
        with np.load(path, allow_pickle=False) as bundle:
            if not isinstance(bundle, np.lib.npyio.NpzFile):
                raise DataError(f"{path}: holds a single array; it must be an npz with the arrays {', '.join(_REQUIRED)}")
            wanted = [key for key in (*_REQUIRED, "val_user", "val_item") if key in bundle.files]
            lengths, untrue = _declared_lengths(path, bundle, wanted)
            if card is not None:
                check_sizes(card, lengths, str(path))
            if untrue:  # numpy would make room for what is declared
                raise DataError(f"{path}: {untrue}; the file is damaged, make it again or fetch the dataset")
            return {key: bundle[key] for key in wanted}
    except DataError:
        raise
    except Exception as error:  # zip, zlib, header and pickle refusals all mean: not a file we can trust
        raise DataError(f"{path}: is not a readable npz ({_first_words(error)}); make it again or fetch the dataset") from error


def _declared_lengths(path: Path | str, bundle: np.lib.npyio.NpzFile, keys: list[str]) -> tuple[dict[str, int], str]:
    """Number of pairs of each split as the headers of its arrays declare it, the larger of the two; no content is read.

    Also which array does not hold what its header declares, "" if all do.
    """
    lengths, untrue = {}, ""
    for key in keys:
        with bundle.zip.open(f"{key}.npy") as member:
            version = np.lib.format.read_magic(member)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, _, dtype = read(member)
            held = bundle.zip.getinfo(f"{key}.npy").file_size - member.tell()
        if math.prod(shape) * dtype.itemsize != held and not dtype.hasobject:
            untrue = f"array {key} is declared as {shape} of {dtype}, but holds {held:,} bytes"
        split, *_ = key.partition("_")
        if len(shape) != (0 if split == "n" else 1):
            raise DataError(f"{path}: array {key} has shape {shape}; n_users and n_items are scalars, the others have one dimension")
        if split != "n":
            lengths[split] = max(lengths.get(split, 0), shape[0])
    return lengths, untrue


def _check_readable(path: Path | str) -> None:
    try:
        with open(path, "rb"):
            pass
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error}); check the path") from error


def _first_words(error: Exception) -> str:
    words = " ".join(str(error).split())
    return f"{type(error).__name__}: {words[:100]}" if words else type(error).__name__
