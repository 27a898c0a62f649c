"""recq: small and fast recommender embeddings, reproduced. See README.md for the map."""

__version__ = "0.1.0"
