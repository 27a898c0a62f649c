"""Builders of the methods, a file per family; `recq_lib.registry` holds them by name."""
