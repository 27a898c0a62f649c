"""`Recommender`: a table, an encoder and a readout. The only model class of the project."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import scipy.sparse as sp
import torch
from torch import nn

from recq_lib.codes.codes import Codes
from recq_lib.config import TrainConfig
from recq_lib.errors import ConfigError
from recq_lib.graph.adjacency import Graph
from recq_lib.graph.propagation import CpuPropagation
from recq_lib.parts import saving
from recq_lib.parts.mode import evaluating
from recq_lib.parts.protocols import Auxiliary, Encoder, Part, Readout, Table


class Recommender(nn.Module):
    """score(u, i) = <z_u, z_i>, where z = readout(encoder(table)).

    Parameters
    ----------
    graph : training graph; nodes are users, then items
    table, encoder, readout, auxiliary : see `protocols.py`; `auxiliary` is what the method's loss adds to BPR, or None

    >>> import recq_lib as recq
    >>> data = recq.load("synthetic-tiny")
    >>> model = recq.build("l2q-gcn", data, recq.TrainConfig(dim=8, n_layers=2))
    >>> users, items = model.embeddings()
    >>> tuple(users.shape) == (data.n_users, 24)  # three layers side by side
    True
    >>> path = model.save("model.safetensors")
    >>> bool((recq.Recommender.load(path).embeddings()[1] == items).all())
    True

    Attributes
    ----------
    user_ids [U], item_ids [I] : own ids of the data it was built for, or None where numbers are the ids
    config : the settings it was built with, where it was built by name; what `fit` takes if it is given none. A file brings them back,
        but for a model with an auxiliary loss: the loss is not in the file, and training on without it would lead elsewhere
    """

    def __init__(self, graph: Graph, table: Table, encoder: Encoder, readout: Readout, auxiliary: Auxiliary | None = None) -> None:
        super().__init__()
        self.graph, self.table, self.encoder, self.readout, self.auxiliary = graph, table, encoder, readout, auxiliary
        self.user_ids: np.ndarray | None = None
        self.item_ids: np.ndarray | None = None
        self.config: TrainConfig | None = None

    @property
    def n_users(self) -> int:
        return self.graph.n_users

    @property
    def n_items(self) -> int:
        return self.graph.n_items

    def interactions(self) -> sp.csr_matrix:
        """The training interactions [n_users, n_items] that its graph was made from."""
        return self.graph.interactions()

    def layers(self, rows: torch.Tensor | None = None) -> torch.Tensor:
        """Layers [L+1, R, d] at the nodes `rows` (all nodes without it)."""
        if rows is not None and rows.device.type == "cpu" and self.encoder.linear and self.encoder.n_layers > 1:
            source = self.table.source(self.graph)
            if source is not None:  # the same layers without writing the table out
                return CpuPropagation.apply(self.table.weight, source, self.encoder.n_layers, rows)
        return self.encoder(self.table(), self.graph, rows)

    def forward(self, rows: torch.Tensor | None = None) -> torch.Tensor:
        """Stored vectors z [R, D]."""
        return self.readout(self.layers(rows), rows)

    def parts(self) -> list[Part]:
        """Table, encoder, readout, and the auxiliary loss if there is one."""
        return [part for part in (self.table, self.encoder, self.readout, self.auxiliary) if part is not None]

    def begin_epoch(self, epoch: int, epochs: int) -> None:
        """Tell the parts which epoch begins."""
        for part in self.parts():
            part.begin_epoch(epoch, epochs)

    def parameter_groups(self, lr: float) -> list[dict]:
        """All parameters for an optimiser; some parts set the learning rates of their own."""
        own = [group for part in self.parts() for group in part.parameter_groups(lr)]
        taken = {id(p) for group in own for p in group["params"]}
        return [{"params": [p for p in self.parameters() if id(p) not in taken]}, *own]

    @torch.no_grad()
    def embeddings(self) -> tuple[torch.Tensor, torch.Tensor]:
        """(users [U, D], items [I, D]) as they are stored and searched, in evaluation mode."""
        with evaluating(self):
            z = self(None)
        return z[: self.n_users], z[self.n_users :]

    @torch.no_grad()
    def codes(self) -> Codes:
        """What search needs as packed codes, in evaluation mode: their inner products rank as those of `embeddings`.

        Raises `ConfigError` where the readout stores floats; `codes.packing.pack` packs any vectors.
        """
        with evaluating(self):
            codes = self.readout.codes(self.layers(), self.n_users)
        if codes is None:
            kind = type(self.readout).__name__
            raise ConfigError(f"readout is {kind}, which stores floats and no codes; pack its embeddings with codes.packing.pack")
        return codes

    def n_bytes(self) -> dict[str, int]:
        """Bytes of what training adjusts (`parameters`), of the table with its indices (`table`), of what search needs (`stored`)."""
        parameters = sum(p.numel() * p.element_size() for p in self.parameters())
        stored = self.readout.n_bytes(self.graph.n_nodes, self.table.dim, self.encoder.n_layers)
        return {"parameters": parameters, "table": self.table.n_bytes(), "stored": stored}

    # ---- files --------------------------------------------------------------------------------------------------------------

    def save(self, path: Path | str) -> Path:
        """Write all that ranking needs: parameters, how the parts were made (shared rows included), the training graph, own ids.

        One safetensors file, its JSON in the header, written whole or not at all. The auxiliary loss is for training and stays out.
        Raises `ConfigError` for a part made from something that cannot be written, and for a path that cannot be a file.
        """
        return saving.write(self, Path(path))

    @classmethod
    def load(cls, path: Path | str) -> Recommender:
        """The model that `save` wrote, on the CPU and in evaluation mode; no code of the file is run.

        Raises `RecordError` for a file that is missing, damaged, or of another kind or version.
        """
        saved = saving.read(Path(path))
        model = cls(saved.graph, saved.table, saved.encoder, saved.readout)
        model.user_ids, model.item_ids, model.config = saved.user_ids, saved.item_ids, saved.config
        saving.fill(model, saved, Path(path))
        return model.eval()
