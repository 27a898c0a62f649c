"""Everything done *to* notebooks: find, hash, lint, execute, refresh, student build. `recq_lib.companion.runner` is the command line."""
