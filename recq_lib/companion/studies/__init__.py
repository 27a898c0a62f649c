"""Named grids of runs: a study is a function from profile to plans, and running it skips what is recorded."""
