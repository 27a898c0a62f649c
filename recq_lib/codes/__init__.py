"""Vectors as codes of 1 to 8 bits: packing, one file format, search. May import kernels, io and below: no torch is needed here."""
