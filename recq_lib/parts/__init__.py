"""What models are made of: tables, encoders, readouts, `Recommender`, and `Method`, which puts them together. Imports graph and below."""
