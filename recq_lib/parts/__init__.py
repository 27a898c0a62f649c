"""What models are made of: tables, encoders, readouts, `Recommender`, and `Method`, which puts them together.
`protocols.py` says what each part must offer. May import evaluation, codes, sharing, graph and below.
"""
