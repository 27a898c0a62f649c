"""Everything done *to* notebooks: find, hash, lint, execute, refresh, student build. `recq_lib.runner` is the command line."""
