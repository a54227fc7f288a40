"""What things are: frozen models without I/O, without a clock."""
