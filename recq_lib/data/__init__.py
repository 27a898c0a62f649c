"""Interactions: loading, reading, splitting and generating them. `load(name)` is the usual way in."""

from recq_lib.data.catalogue import CATALOGUE, DatasetCard, RemoteFile
from recq_lib.data.interactions import Interactions
from recq_lib.data.loading import available, fetch, load, load_csv, verify

__all__ = ["CATALOGUE", "DatasetCard", "Interactions", "RemoteFile", "available", "fetch", "load", "load_csv", "verify"]
