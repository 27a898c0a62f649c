"""Builders of the methods, a file per family; `recq_lib.runs.registry` holds them by name."""
