"""What the figures of notebook 00 show: the numbers in the artists, not the pixels."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from recq_lib.companion.figures import start as plots
from recq_lib.data.toy import toy


def texts(fig):
    return [text.get_text() for ax in fig.axes for text in ax.texts]


def test_parts_name_the_four_choices_and_the_three_papers():
    fig = plots.parts()
    assert isinstance(fig, Figure)
    shown = texts(fig)
    for name in ("table", "encoder", "readout", "score", "BACO", "L²Q-GCN", "HQ-GNN"):
        assert name in shown


def test_table_bytes_marks_lie_at_the_bytes_and_ratios_are_float_over_codes():
    rows = [("big", 8, 8_000_000, 2_000_000, 500_000), ("small", 8, 80_000, 20_000, 10_000)]
    rows += [("big", 16, 16_000_000, 4_000_000, 800_000), ("small", 16, 160_000, 40_000, 10_000)]
    fig = plots.table_bytes(pd.DataFrame(rows, columns=["dataset", "d", "float32", "shared", "codes"]))
    narrow, wide = fig.axes
    assert [label.get_text() for label in narrow.get_yticklabels()] == ["small", "big"]
    marks = {part.get_label(): part.get_offsets()[:, 0].tolist() for part in narrow.collections if not part.get_label().startswith("_")}
    assert marks["float32 table"] == pytest.approx([0.08, 8.0])
    assert marks["1-bit codes + one scale"] == pytest.approx([0.01, 0.5])
    assert [text.get_text().split("×")[0] for text in wide.texts] == ["16", "20"]


def test_toy_matrix_shows_every_pair_and_degree_once():
    data = toy()
    fig = plots.toy_matrix(data)
    matrix, graph = fig.axes
    shown = [text.get_text() for text in matrix.texts]
    assert shown.count("train") == data.train.nnz and shown.count("test") == data.test.nnz
    degrees = [text for text in shown if text.isdigit()]
    assert degrees == [str(int(n)) for n in [*data.train.sum(axis=1).A1, *data.train.sum(axis=0).A1]]
    assert len(graph.get_lines()) == data.train.nnz + data.test.nnz
    assert len(graph.texts) == data.n_nodes
    assert all(np.diff(line.get_ydata()) == -1 for line in graph.get_lines())  # every edge goes from a user to an item
