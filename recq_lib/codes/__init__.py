"""Vectors as codes of 1 to 8 bits, and as rows that items share: packing, one file format, search.

May import kernels, io and below: no torch is needed here.
"""
