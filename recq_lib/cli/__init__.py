"""The command `recq`: thin, one library call a command. May import the library; commands of the companion are found by name."""
