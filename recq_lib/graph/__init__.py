"""The user-item graph: its normalised adjacency, and propagation over it with a gradient. May import data, kernels, io."""
