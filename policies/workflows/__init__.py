"""Reader, tables and rules of one kind of file: workflows."""
