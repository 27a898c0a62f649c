"""Figures, one module per notebook (06 and 07 share one; `accuracy` serves 02, 03 and 05) and one function per figure.
Each returns the figure and saves nothing; what it draws is computed in `analysis`."""
