"""One half-step of information-theoretic co-clustering on a sparse graph."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from recq_lib.kernels.compiled import compiled


class Scratch(NamedTuple):
    """Sums and lists per cluster, zero between calls where sums are kept."""

    counts: np.ndarray  # [column clusters] float64, zero
    scores: np.ndarray  # [row clusters] float64, zero
    mass: np.ndarray  # [row clusters] float64, zero
    columns: np.ndarray  # [column clusters] int64
    found: np.ndarray  # [row clusters] int64

    @classmethod
    def of(cls, n_row_clusters: int, n_column_clusters: int) -> Scratch:
        """All of it, as a first call needs it."""
        rows, columns = n_row_clusters, n_column_clusters
        return cls(np.zeros(columns), np.zeros(rows), np.zeros(rows), np.empty(columns, np.int64), np.empty(rows, np.int64))


@compiled()
def reassign(
    matrix: tuple[np.ndarray, np.ndarray], column_labels: np.ndarray, joint: tuple[np.ndarray, np.ndarray, np.ndarray],
    labels: np.ndarray, scratch: Scratch,
) -> None:  # fmt: skip
    """Every row of a matrix takes the row cluster nearest to it in Kullback-Leibler divergence; labels change in place.

    A row x with n_xl interactions in column cluster l goes to the cluster k with the largest

        Σ_l n_xl·log[p(k, l) / (p(k)·p(l))]

    which is the smallest D(p(y|x) || q(y|k)) (Dhillon et al., KDD 2003). Where k and l share no interaction the
    divergence is infinite, so only clusters that share some with every l of the row are candidates; the present one
    always is. Of equal clusters the present one wins, then the lower number.

    Parameters
    ----------
    matrix : (indptr, indices), CSR; rows are what moves
    column_labels : cluster of every column
    joint : (indptr, rows, log ratios), CSC of the row clusters × column clusters that share interactions, before the
        move
    labels : [n] int64, changed in place
    scratch : `Scratch`
    """
    indptr, indices = matrix
    joint_indptr, joint_rows, log_ratio = joint
    counts, scores, mass, columns, found = scratch
    for row in range(labels.shape[0]):
        degree = indptr[row + 1] - indptr[row]
        if degree == 0:
            continue
        n_columns = 0
        for e in range(indptr[row], indptr[row + 1]):
            column = column_labels[indices[e]]
            if counts[column] == 0.0:
                columns[n_columns] = column
                n_columns += 1
            counts[column] += 1.0
        n_found = 0
        for c in range(n_columns):
            column = columns[c]
            for e in range(joint_indptr[column], joint_indptr[column + 1]):
                k = joint_rows[e]
                if mass[k] == 0.0:
                    found[n_found] = k
                    n_found += 1
                mass[k] += counts[column]
                scores[k] += counts[column] * log_ratio[e]
            counts[column] = 0.0
        present = labels[row]
        best, highest = present, -np.inf
        for j in range(n_found):
            k = found[j]
            score = scores[k] if mass[k] == degree else -np.inf
            if score > highest or (score == highest and best != present and (k == present or k < best)):
                best, highest = k, score
            scores[k], mass[k] = 0.0, 0.0
        labels[row] = best
