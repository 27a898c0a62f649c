import numpy as np
import pytest
from helpers import dense_normalised, random_interactions

from recq_lib.companion.checks import ExerciseFailed
from recq_lib.companion.exercises import lightgcn as exercises


def test_third_layer():
    data = random_interactions(seed=5)
    table = np.random.default_rng(1).standard_normal((data.n_nodes, 2))
    matrix = dense_normalised(data)
    exercises.check_third_layer(np.linalg.matrix_power(matrix, 3) @ table, data, table)
    for wrong in (None, matrix @ table, np.linalg.matrix_power(matrix, 3) @ table[:, :1]):
        with pytest.raises(ExerciseFailed):
            exercises.check_third_layer(wrong, data, table)


def test_concat_score():
    def right(layers, u, i):
        n_layers = len(layers) - 1
        return sum(((layer + 1) / (n_layers + 1)) ** 2 * layers[layer][u] @ layers[layer][i] for layer in range(n_layers + 1))

    exercises.check_concat_score(right)
    for wrong in (None, lambda layers, u, i: layers.mean(axis=0)[u] @ layers.mean(axis=0)[i], lambda layers: 0.0):
        with pytest.raises(ExerciseFailed):
            exercises.check_concat_score(wrong)


def test_edge_cost():
    exercises.check_edge_cost(2 * 10 * 3 * 4, 10, 3, 4)
    for wrong in (None, 10 * 3 * 4):
        with pytest.raises(ExerciseFailed):
            exercises.check_edge_cost(wrong, 10, 3, 4)
