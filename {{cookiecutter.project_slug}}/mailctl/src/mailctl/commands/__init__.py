"""One module a command: its options and its text. The work lies outside, imported lazily."""
