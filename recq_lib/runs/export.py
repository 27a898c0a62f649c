"""`index_of`: a trained model as an index, which answers without the model and without PyTorch."""

from __future__ import annotations

from recq_lib.codes.codes import Codes
from recq_lib.codes.index import Index
from recq_lib.codes.packing import pack
from recq_lib.errors import ConfigError
from recq_lib.parts.model import Recommender
from recq_lib.parts.protocols import Readout


def index_of(model: Recommender, *, bits: int | None = None, seen: bool = True, tie_seed: int = 0) -> Index:
    """The codes of `model` laid out for search, with its own ids and what its users have already.

    Parameters
    ----------
    bits : with how many bits, 1 to 8, the vectors of a model that stores floats are packed; a model of codes has bits of its own
    seen : keep the training interactions, so that `Index.recommend` leaves them out
    tie_seed : as in `Codes.search`

    Raises `ConfigError` for a model of floats without `bits`, a model of codes with them, and a scorer without vectors.

    >>> import recq_lib as recq
    >>> from recq_lib.runs.export import index_of
    >>> data = recq.load("synthetic-tiny")
    >>> index_of(recq.build("l2q-gcn", data, recq.TrainConfig(dim=8, n_layers=1))).n_items == data.n_items
    True
    """
    if not isinstance(model, Recommender):
        kind = type(model).__name__
        raise ConfigError(f"{kind} is no model of vectors, so there is nothing to pack; an index is made of what `build` trains")
    codes, given = _codes(model, bits), model.interactions() if seen else None
    return Index.of(codes, user_ids=model.user_ids, item_ids=model.item_ids, seen=given, tie_seed=tie_seed)


def _codes(model: Recommender, bits: int | None) -> Codes:
    kind, coded = type(model.readout).__name__, type(model.readout).codes is not Readout.codes
    if not coded and bits is None:
        raise ConfigError(f"readout is {kind}, which stores floats; say with how many bits, 1 to 8, to pack them (bits=4, or --bits 4)")
    if coded and bits is not None:
        raise ConfigError(f"bits is {bits}, but readout is {kind}, which has codes of its own; leave bits out")
    return model.codes() if coded else pack(*model.embeddings(), bits)
