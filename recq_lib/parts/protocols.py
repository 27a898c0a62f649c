"""What a table, an encoder, a readout and an auxiliary loss offer; `Recommender` and the trainer ask for nothing else.

    table ──► encoder ──► readout ──► score = inner product, or its exact bitwise form

Each is a `torch.nn.Module`. A class below lists first what must be defined, then hooks with a default that does nothing: a part overrides
those it needs. What a part *can* (be computed from shared rows, be trained by a fused step, be stored as codes) it says by a hook, so that
no one has to ask for its type. `method.py` says what a method is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

if TYPE_CHECKING:
    import scipy.sparse as sp

    from recq_lib.codes.codes import Codes
    from recq_lib.graph.adjacency import Graph
    from recq_lib.graph.propagation import Rows
    from recq_lib.parts.model import Recommender


class Part(nn.Module):
    """Hooks that every part has; it remembers the arguments it was made from (`recipe`), so that a model can be saved and made again."""

    recipe: tuple[tuple[Any, ...], dict[str, Any]]

    def __new__(cls, *args: Any, **kwargs: Any) -> Part:
        self = super().__new__(cls)
        self.__dict__["recipe"] = (args, kwargs)  # past torch, which must not see modules in here
        return self

    def begin_epoch(self, epoch: int, epochs: int) -> None:
        """Epoch `epoch` of `epochs` begins (from 0): annealed parts follow their schedule."""

    def prepare(self, trainer: Any) -> None:
        """Called before an epoch's first batch, with the `Trainer`: what is measured or renewed once per epoch."""

    def parameter_groups(self, lr: float) -> list[dict[str, Any]]:
        """Optimiser settings of parameters that need their own, as torch takes them; all others have the model's learning rate."""
        return []


class Table(Part):
    """Where a node's trainable vector comes from.

    weight : the trained matrix [K, d]; `forward()` gives the table [n_nodes, d], users first
    """

    weight: torch.Tensor
    asked: int | None = None  # parameters that were asked for, where a size was set; `n_parameters` are those delivered

    @property
    def dim(self) -> int:
        """d"""
        return self.weight.shape[1]

    @property
    def n_parameters(self) -> int:
        """Trained numbers and extra indices, as BACO's code counts them."""
        return self.weight.numel()

    def n_bytes(self) -> int:
        """Bytes that must be kept: float32 rows, and every index."""
        return 4 * self.weight.numel()

    # ---- hooks

    def sharing_matrix(self) -> sp.csr_matrix | None:
        """S [n_nodes, K] where the table is S·weight for a constant S; None where it is something else."""
        return None

    def place(self, vectors: torch.Tensor) -> torch.Tensor | None:
        """The weight [K, d] that comes near `vectors` [n_nodes, d], a start; None where no one weight decides the table.

        Of a constant S, every row is the mean of the vectors that take part of it, by their parts.
        """
        shares = self.sharing_matrix()
        if shares is None:
            return None
        total = np.maximum(np.asarray(shares.sum(axis=0)).ravel(), 1e-12)
        return torch.from_numpy((shares.T @ vectors.double().numpy()) / total[:, None]).to(vectors.dtype)

    def source(self, graph: Graph) -> Rows | None:
        """Rows from which propagation over `graph` can start without writing the table out; None where that would not pay."""
        return None

    def facts(self) -> dict[str, int]:
        """What a record says of the table beside `n_parameters`, such as rows per side."""
        return {}


class Encoder(Part):
    """How vectors spread over the graph: `forward(x [n, d], graph, rows=None)` gives the layers [L+1, R, d] at the nodes `rows` (or all).

    n_layers : L
    """

    n_layers: int

    # ---- hooks

    linear: bool = False  # layer l is Â^l·x and nothing else, so that a table's own rows and fused steps may stand in for `forward`


class Readout(Part):
    """How layers become what is stored and searched: `forward(layers [L+1, R, d], rows=None)` gives [R, D].

    `rows` [R] tells which nodes are given (None: all, in order); most readouts do not ask.
    """

    def n_bytes(self, n_nodes: int, dim: int, n_layers: int) -> int:
        """Bytes stored for search: where there are `codes`, those of their file without its header."""
        raise NotImplementedError(f"readout {type(self).__name__} must define n_bytes")

    # ---- hooks

    def width(self, dim: int, n_layers: int) -> int:
        """D, columns of what `forward` gives for layers 0 … `n_layers` of `dim` columns; d unless a readout says otherwise."""
        return dim

    def pooling(self, n_layers: int) -> list[float] | None:
        """a [L+1] where the readout is Σ_l a_l V^(l); None where it is something else."""
        return None

    def codes(self, layers: torch.Tensor, n_users: int) -> Codes | None:
        """Packed codes of all nodes from their layers [L+1, N, d], in evaluation mode; None where the readout stores floats."""
        return None

    def diagnostics(self, model: Recommender) -> dict[str, float]:
        """Numbers for the history, after each epoch."""
        return {}


class Auxiliary(Part):
    """What a method's loss adds to BPR: `forward(model, batch)` gives a scalar (`batch`: `training.trainer.Batch`)."""

    def nodes(self, users: torch.Tensor) -> torch.Tensor:
        """Node ids [m] that it needs encoded beside the nodes of the batch, whose users are given."""
        return users[:0]
