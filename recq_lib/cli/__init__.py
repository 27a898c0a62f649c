"""The command `recq`: thin, one library call a command. May import the whole library, not the companion, whose commands it finds by name."""
