"""The HTTP doors: provider callbacks and health."""
