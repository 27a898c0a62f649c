"""Vectors as codes of 1 to 8 bits: one type (`codes.Codes`), packing of any vectors (`packing.pack`), one file format, search.

May import kernels, io, errors. Nothing here needs torch: a service that only searches does without it.
"""
