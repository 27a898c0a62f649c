"""Interactions: public ones by name (`load`), own ones from a table (`Interactions.from_pandas`, `load_csv`), splits, generated ones.

Own ids are mapped in `ids.py`, tables checked in `own_table.py`, files read in `readers.py`, `containers.py` and `table_files.py`.
Imports errors and io alone.
"""

from recq_lib.data.cards import DatasetCard, RemoteFile
from recq_lib.data.catalogue import CATALOGUE
from recq_lib.data.interactions import Interactions
from recq_lib.data.loading import available, fetch, load, load_csv, verify

__all__ = ["CATALOGUE", "DatasetCard", "Interactions", "RemoteFile", "available", "fetch", "load", "load_csv", "verify"]
