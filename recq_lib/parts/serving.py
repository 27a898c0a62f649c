"""Models on shared rows as what answers, without a table of final vectors (ours): straight from the codebook, or by propagating then.

Both are scorers for `evaluate`, `search` and `recommend`. `SharedVectors` holds codebook and assignment alone and can be saved;
`PropagatedRows` needs the training graph too, and saves memory only where the graph is small beside a table of all nodes' vectors.
"""

from __future__ import annotations

from recq_lib.codes.shared import SharedVectors
from recq_lib.errors import ConfigError
from recq_lib.evaluation.propagated import PropagatedRows
from recq_lib.parts.embedding import SharedEmbedding
from recq_lib.parts.model import Recommender
from recq_lib.sharing.sharing import Sharing


def shared_vectors(model: Recommender | SharedEmbedding) -> SharedVectors:
    """Codebook and assignment of `model`, ready to be searched; scores are the inner products of its vectors.

    Raises `ConfigError` where items do not share vectors: after propagation, under a readout that is no pooling of layers, without rows.

    >>> import recq_lib as recq
    >>> data = recq.load("synthetic-tiny")
    >>> shared = shared_vectors(recq.SharedEmbedding(recq.share(data, "random-hash", budget=0.5), dim=8))
    >>> shared
    SharedVectors(60 users on 30 rows, 40 items on 20 rows, mean, 8 columns)
    >>> recq.recommend(shared, [3], k=2, exclude=data.train).shape
    (2, 4)
    """
    if isinstance(model, SharedEmbedding):
        return SharedVectors.of(model.rows, model.weight.detach().float().cpu().numpy())
    rows = getattr(model.table, "sharing", None)
    if not isinstance(rows, Sharing):
        raise ConfigError(f"the model's table is a {type(model.table).__name__}, but must be a SharedTable: without rows nothing is shared")
    if model.encoder.n_layers > 0:
        why = "after propagation every node has a vector of its own; use propagated_rows(model), or codes"
        raise ConfigError(f"the model's encoder is {type(model.encoder).__name__} of {model.encoder.n_layers} layers: {why}")
    pooling = _pooling(model)
    weight = pooling[0] * model.table.weight.detach().float().cpu().numpy()
    return SharedVectors.of(rows, weight, user_ids=model.user_ids, item_ids=model.item_ids)


def propagated_rows(model: Recommender) -> PropagatedRows:
    """`model` answering from table, assignment and graph: its final vectors are never kept.

    Raises `ConfigError` for an encoder that is not linear, a readout that is no pooling of layers, a table that is no S·E.

    >>> import recq_lib as recq
    >>> data = recq.load("synthetic-tiny")
    >>> model = recq.build("random-hash", data, recq.TrainConfig(dim=8, n_layers=2))
    >>> served = propagated_rows(model)
    >>> recq.recommend(served, [3], k=2)["item"].tolist() == recq.recommend(model, [3], k=2)["item"].tolist()
    True
    """
    encoder, shares = model.encoder, model.table.sharing_matrix()
    if shares is None:
        raise ConfigError(f"the model's table is a {type(model.table).__name__}, which is no constant S times a codebook")
    if not (encoder.linear or encoder.n_layers == 0):
        raise ConfigError(f"the model's encoder is {type(encoder).__name__}, but must be linear (LightGCN) to be applied to scores")
    weight = model.table.weight.detach().float().cpu().numpy()
    return PropagatedRows(model.graph, shares, weight, _pooling(model), user_ids=model.user_ids, item_ids=model.item_ids)


def _pooling(model: Recommender) -> list[float]:
    pooling = model.readout.pooling(model.encoder.n_layers)
    if pooling is None:
        why = "which is no weighted sum of layers: no linear function of the codebook's scores"
        raise ConfigError(f"the model's readout is {type(model.readout).__name__}, {why}")
    return pooling
