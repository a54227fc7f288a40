"""The composition root and the processes."""
