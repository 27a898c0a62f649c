"""Vectors as codes of 1 to 8 bits: packing, one file format, search. May import kernels, io; no torch model is needed here."""
