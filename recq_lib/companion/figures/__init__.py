"""Figures, one module per notebook and one function per figure; each returns the figure and saves nothing."""
