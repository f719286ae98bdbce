"""One module a command: its options and its text. The work lies beside this package and is imported lazily."""
