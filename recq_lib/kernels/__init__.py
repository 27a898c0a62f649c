"""Compiled loops (numba), each with its NumPy meaning in its docstring; arrays in, arrays out. Imports errors and io alone."""
