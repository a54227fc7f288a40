"""What is allowed: facts in, a named verdict out; nothing here reads a clock, a file or a database."""
