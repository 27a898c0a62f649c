"""The user-item graph: its normalised adjacency, and propagation over it with a gradient of its own. May import data, kernels and below."""
