"""One half-step of information-theoretic co-clustering on a sparse graph."""

from __future__ import annotations

import numpy as np

from recq_lib.kernels.compiled import compiled


@compiled()
def reassign(indptr, indices, column_labels, joint_indptr, joint_rows, log_ratio, labels, counts, scores, mass, columns, found):
    """Every row of a matrix takes the row cluster nearest to it in Kullback-Leibler divergence; labels change in place.

    A row x with n_xl interactions in column cluster l goes to the cluster k with the largest

        Σ_l n_xl·log[p(k, l) / (p(k)·p(l))]

    which is the smallest D(p(y|x) || q(y|k)) (Dhillon et al., KDD 2003). Where k and l share no interaction the divergence is
    infinite, so only clusters that share some with every l of the row are candidates; the present one always is. Of equal clusters
    the present one wins, then the lower number.

    Parameters
    ----------
    indptr, indices : CSR of the matrix, rows are what moves
    column_labels : cluster of every column
    joint_indptr, joint_rows, log_ratio : CSC of the row clusters × column clusters that share interactions
    labels : [n] int64, changed in place; `joint_*` describe the state before
    counts [column clusters], scores, mass [row clusters] : float64, zero between calls
    columns [column clusters], found [row clusters] : int64, scratch
    """
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
