"""recq: small and fast recommender embeddings.

    import recq_lib as recq

    recq.load, recq.Interactions                    data: by name, from a data frame, from pairs
    recq.share, recq.Sharing, recq.SharedEmbedding  which row each user and item takes, and a torch module on such rows
    recq.build, recq.fit, recq.TrainConfig          any method by name, trained
    recq.evaluate, recq.recommend                   metrics per user; items for users, in your own ids
    recq.pack, recq.Codes, recq.search              vectors as codes of 1 to 8 bits, and the best items by codes or by vectors
    recq.Index                                      codes in a file that answers in your own ids, without PyTorch
    recq.Recommender                                the model class; save and load
    recq.RecqError                                  every error that is raised on purpose

A name is loaded when it is first used, so importing the package alone costs nothing. See README.md for the map of the rooms.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from recq_lib.codes.codes import Codes
    from recq_lib.codes.index import Index
    from recq_lib.codes.packing import pack
    from recq_lib.config import TrainConfig
    from recq_lib.data.interactions import Interactions
    from recq_lib.data.loading import load
    from recq_lib.errors import RecqError
    from recq_lib.evaluation.ranking import evaluate
    from recq_lib.evaluation.search import search
    from recq_lib.parts.embedding import SharedEmbedding
    from recq_lib.parts.model import Recommender
    from recq_lib.runs.recommend import recommend
    from recq_lib.runs.registry import build
    from recq_lib.runs.share import share
    from recq_lib.sharing.sharing import Sharing
    from recq_lib.training.trainer import fit

__version__ = "0.1.0"

_FACE = {
    "Codes": "codes.codes",
    "Index": "codes.index",
    "Interactions": "data.interactions",
    "Recommender": "parts.model",
    "RecqError": "errors",
    "SharedEmbedding": "parts.embedding",
    "Sharing": "sharing.sharing",
    "TrainConfig": "config",
    "build": "runs.registry",
    "evaluate": "evaluation.ranking",
    "fit": "training.trainer",
    "load": "data.loading",
    "pack": "codes.packing",
    "recommend": "runs.recommend",
    "search": "evaluation.search",
    "share": "runs.share",
}

__all__ = [
    "Codes", "Index", "Interactions", "Recommender", "RecqError", "SharedEmbedding", "Sharing", "TrainConfig", "build", "evaluate", "fit",
    "load", "pack", "recommend", "search", "share",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _FACE:
        raise AttributeError(f"module 'recq_lib' has no attribute {name!r}; it offers {', '.join(_FACE)}")
    return getattr(importlib.import_module(f"recq_lib.{_FACE[name]}"), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
