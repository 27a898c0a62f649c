"""The command `recq`: thin, one library call a command."""
