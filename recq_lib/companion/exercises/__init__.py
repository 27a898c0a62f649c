"""Checks of the exercises, one module per notebook; the answers are in the notebooks."""
