"""Methods by name, a run from plan to record, and records on disk. May import everything but the command line and the companion."""
