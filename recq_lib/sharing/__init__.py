"""Which row of a smaller table every user and item takes: `Sharing`, how big it should be, and where found ones are kept.

The ways to find one live in `papers/baco` and `baselines/sharing`. May import data, io and below.
"""
