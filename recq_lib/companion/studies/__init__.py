"""Named grids of runs."""
