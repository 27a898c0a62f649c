"""From records to tables, tests and sentences: what notebooks say is computed here."""
